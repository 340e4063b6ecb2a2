# SPDX-License-Identifier: Apache-2.0
"""The public API as a type checker sees it. Nobody runs this: `mypy --strict` passing over it is the test.

Where a line must not pass, it is marked as ignored with its error; a mark that is not needed is an error itself.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import framebus


def publish(image: npt.NDArray[np.uint8], depth: npt.NDArray[np.uint16], on_full: Literal["drop", "block"]) -> None:
    with framebus.Publisher("camera0") as publisher:
        assert_type(publisher, framebus.Publisher)
        assert_type(publisher.send(image), int)
        assert_type(publisher.send({"color": image, "depth": depth}, meta={"exposure_us": 900}), int)
        assert_type(publisher.send(b"bytes", pixel_format="Mono8", timeout=0.5), int)
        assert_type(publisher.send(memoryview(b"bytes"), timestamp_ns=1, wall_time_ns=2), int)
        assert_type(publisher.statistics(), framebus.Statistics)
        assert_type(publisher.name, str)
        assert_type(publisher.closed, bool)
    framebus.Publisher("camera0", slots=8, max_bytes=None, mode=0o600, on_full=on_full).close()
    framebus.Publisher(1)  # type: ignore[arg-type]
    framebus.Publisher("camera0", 8)  # type: ignore[call-arg]
    framebus.Publisher("camera0", on_full="wait")  # type: ignore[arg-type]
    publisher.send(image, timeout="soon")  # type: ignore[arg-type]


def launch(publisher: framebus.Publisher) -> None:
    one = framebus.Launch(
        ["python", "algo.py"], on_exit="stop", stop_with_publisher=False, kill_timeout=1, env={"A": "b"}
    )
    framebus.Publisher("camera0", launch=["python", "algo.py"])
    framebus.Publisher("camera0", launch=one)
    framebus.Publisher("camera0", launch=[one, ["python", "viewer.py"]])
    assert_type(publisher.launched, tuple[framebus.Launched, ...])
    for status in publisher.launched:
        assert_type(status.pid, int | None)
        assert_type(status.alive, bool)
        assert_type(status.starts, int)
        assert_type(status.exit_code, int | None)
        assert_type(status.last_lines, tuple[str, ...])
    with framebus.Launcher(one, "camera0") as launcher:
        assert_type(launcher, framebus.Launcher)
        launcher.start()
        assert_type(launcher.wait(1.0), bool)
        assert_type(launcher.programs, tuple[framebus.Launched, ...])
    one.max_restarts = 5  # type: ignore[misc]
    framebus.Publisher("camera0", launch=5)  # type: ignore[arg-type]
    framebus.Launch(["python"], on_exit="again")  # type: ignore[arg-type]


def lend(publisher: framebus.Publisher) -> None:
    with publisher.loan((1080, 1920, 3), "uint8", meta={"gain": 1}, pixel_format="BGR8", timeout=1.0) as loan:
        assert_type(loan, framebus.Loan)
        assert_type(loan.array, npt.NDArray[Any])
        assert_type(loan.arrays, dict[str, npt.NDArray[Any]])
        loan.meta = {"gain": 2}
        loan.pixel_format = "RGB8"
    with publisher.loan({"color": ((480, 640, 3), "uint8"), "depth": ((480, 640), np.dtype(np.uint16))}) as loan:
        assert_type(loan, framebus.Loan)


def fetch(wait: Literal["park", "spin", "adaptive"]) -> None:
    with framebus.Subscriber("camera0", every=True, hold=4, history=2, connect_timeout=1.0, wait=wait) as subscriber:
        assert_type(subscriber, framebus.Subscriber)
        assert_type(subscriber.recv(), framebus.Frame)
        assert_type(subscriber.recv(timeout=1.0), framebus.Frame)
        assert_type(subscriber.recv(None), framebus.Frame)
        assert_type(subscriber.try_recv(), framebus.Frame | None)
        assert_type(subscriber.fileno(), int)
        assert_type(subscriber.statistics(), framebus.Statistics)
        assert_type(subscriber.name, str)
        assert_type(subscriber.closed, bool)
        for frame in subscriber:
            assert_type(frame, framebus.Frame)
    print(subscriber.try_recv().array)  # type: ignore[union-attr]
    assert_type(framebus.wait([subscriber, subscriber], timeout=1.0), list[framebus.Subscriber])
    assert_type(framebus.wait(iter((subscriber,))), list[framebus.Subscriber])
    framebus.wait(subscriber)  # type: ignore[arg-type]
    framebus.Subscriber("camera0", wait="sleep")  # type: ignore[arg-type]


def capture(image: npt.NDArray[np.uint8]) -> None:
    capture = framebus.VideoCapture(
        "camera0", 0, [framebus.CAP_PROP_READ_TIMEOUT_MSEC, 500], zero_copy=True, every=True
    )
    assert_type(framebus.VideoCapture(timeout=None, connect_timeout=1.0, wait="park"), framebus.VideoCapture)
    assert_type(capture.open("camera0"), bool)
    assert_type(capture.isOpened(), bool)
    assert_type(capture.grab(), bool)
    assert_type(capture.read(), tuple[bool, Any])
    assert_type(capture.read(image), tuple[bool, Any])
    assert_type(capture.retrieve(image, flag=1), tuple[bool, Any])
    assert_type(capture.get(framebus.CAP_PROP_FPS), float)
    assert_type(capture.set(framebus.CAP_PROP_CONVERT_RGB, 0), bool)
    assert_type(capture.getBackendName(), str)
    assert_type(capture.getExceptionMode(), bool)
    capture.setExceptionMode(True)
    capture.release()
    framebus.VideoCapture(0)  # type: ignore[arg-type]
    capture.get("width")  # type: ignore[arg-type]
    capture.read("image")  # type: ignore[arg-type]


async def fetch_async(subscriber: framebus.Subscriber) -> None:
    assert_type(await subscriber.recv_async(), framebus.Frame)
    assert_type(await subscriber.recv_async(timeout=1.0), framebus.Frame)
    print(subscriber.recv_async().array)  # type: ignore[attr-defined]
    async for frame in subscriber:
        assert_type(frame, framebus.Frame)


def look(frame: framebus.Frame) -> None:
    assert_type(frame.array, npt.NDArray[Any])
    assert_type(frame.arrays["depth"], npt.NDArray[Any])
    assert_type(frame.seq, int)
    assert_type(frame.timestamp_ns, int)
    assert_type(frame.wall_time_ns, int)
    assert_type(frame.meta, dict[str, Any])
    assert_type(frame.pixel_format, str | None)
    assert_type(frame.copy(), framebus.Frame)
    tensor: npt.NDArray[Any] = np.from_dlpack(frame)
    array: npt.NDArray[Any] = np.asarray(frame)
    print(tensor, array)
    with frame as same:
        assert_type(same, framebus.Frame)
    frame.release()


def ask(statistics: framebus.Statistics) -> None:
    assert_type(statistics.frames, int)
    assert_type(statistics.bytes, int)
    assert_type(statistics.dropped, int)
    assert_type(statistics.missed, int)
    assert_type(statistics.held, int)
    assert_type(statistics.subscribers, int)
    assert_type(statistics.pending, int)
    assert_type(statistics.slots, int)
    assert_type(statistics.generation, int)
    assert_type(statistics.memory_bytes, int)
    statistics.frames = 5  # type: ignore[misc]


def relay_frames(subscriber: framebus.Subscriber, publisher: framebus.Publisher) -> None:
    with framebus.source("tcp://127.0.0.1:7000", mode="every") as source:
        assert_type(source, framebus.Source)
        assert_type(source.recv(timeout=1.0), framebus.Frame)
        assert_type(source.try_recv(), framebus.Frame | None)
        assert_type(source.statistics(), framebus.EndpointStatistics | framebus.Statistics)
        assert_type(source.statistics().frames, int)
        assert_type(source.statistics().bytes, int)
        assert_type(source.statistics().dropped, int)
        print(source.statistics().missed)  # type: ignore[union-attr]
        for frame in source:
            assert_type(frame, framebus.Frame)
    with framebus.sink("camera1") as sink:
        assert_type(sink, framebus.Sink)
        assert_type(sink.send(b"bytes", meta={"gain": 1}, pixel_format="Mono8", timeout=0.5), int)
        assert_type(sink.send(b"bytes", timestamp_ns=1, wall_time_ns=2, seq=3), int)
        assert_type(sink.statistics(), framebus.EndpointStatistics | framebus.Statistics)
    as_source: framebus.Source = subscriber
    as_sink: framebus.Sink = publisher
    print(as_source, as_sink)
    report = framebus.relay("camera0", sink, fps=10, limit=5, timeout=1.0)
    assert_type(report, framebus.RelayReport)
    assert_type(report.frames, int)
    assert_type(report.seconds, float)
    assert_type(report.reason, Literal["limit", "closed", "timeout"])
    framebus.relay(subscriber, publisher, transform=lambda frame: frame.array, on_error="skip")
    framebus.relay(subscriber, publisher, on_error=lambda error, frame: print(error, frame.seq))
    framebus.relay(5, publisher)  # type: ignore[arg-type]
    framebus.relay(publisher, publisher)  # type: ignore[arg-type]
    framebus.relay("camera0", "camera1", on_error="ignore")  # type: ignore[arg-type]
    framebus.relay("camera0", "camera1", 10)  # type: ignore[call-arg]
    sink.recv()  # type: ignore[attr-defined]


class Twice(framebus.BaseSink):
    def _send(self, frame: framebus.OutgoingFrame, deadline: framebus.Deadline) -> None:
        assert_type(frame.arrays, dict[str, npt.NDArray[Any]])
        assert_type(frame.array, npt.NDArray[Any])
        assert_type(deadline.left(), float | None)


class Nothing(framebus.BaseSource):
    def _receive(self, deadline: framebus.Deadline) -> framebus.Frame:
        raise deadline.fail("nothing ever comes")


def open_twice(rest: str, *, lossy: bool = False) -> Twice:
    assert_type(Twice(rest).statistics(), framebus.EndpointStatistics)
    assert_type(Nothing(rest).try_recv(), framebus.Frame | None)
    as_sink: framebus.Sink = Twice(rest)
    as_source: framebus.Source = Nothing(rest)
    print(as_sink, as_source, lossy)
    return Twice(rest)


ENDPOINT = framebus.Endpoint(
    "twice", "a test", "twice:", sink=open_twice, capabilities=framebus.Capabilities(meta=False)
)
framebus.Capabilities(delivery="sometimes")  # type: ignore[arg-type]


def list_endpoints() -> None:
    for endpoint in framebus.endpoints():
        assert_type(endpoint, framebus.EndpointInfo)
        assert_type(endpoint.scheme, str)
        assert_type(endpoint.installed, bool)
        assert_type(endpoint.extra, str | None)
        assert_type(endpoint.capabilities, framebus.Capabilities)
        assert_type(endpoint.capabilities.delivery, Literal["every", "latest", "either"])
        for options in (endpoint.source, endpoint.sink):
            for name, option in (options or {}).items():
                assert_type(name, str)
                assert_type(option.meaning, str)


def list_all() -> None:
    for channel in framebus.channels():
        assert_type(channel, framebus.ChannelInfo)
        assert_type(channel.name, str)
        assert_type(channel.alive, bool)
        assert_type(channel.publisher, framebus.Participant | None)
        assert_type(channel.subscribers, tuple[framebus.Participant, ...])
        assert_type(channel.arrays, tuple[framebus.ArrayInfo, ...])
        assert_type(channel.shape, tuple[int, ...] | None)
        assert_type(channel.pixel_format, str | None)
        assert_type(channel.seq, int)
        for participant in channel.subscribers:
            assert_type(participant.pid, int)
            assert_type(participant.command, str)


def catch() -> None:
    try:
        framebus.Subscriber("camera0").recv(1.0)
    except (framebus.ChannelNotFound, framebus.PublisherDied) as error:
        assert_type(error, framebus.ChannelNotFound | framebus.PublisherDied)
    except framebus.Timeout as error:
        as_timeout: TimeoutError = error
        print(as_timeout)
    except framebus.Error as error:
        as_exception: Exception = error
        print(as_exception)


def cpp_folders() -> None:
    assert_type(framebus.get_include(), str)
    assert_type(framebus.cmake_dir(), str)
    assert_type(framebus.pkgconfig_dir(), str)
