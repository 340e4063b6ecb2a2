# SPDX-License-Identifier: Apache-2.0
"""What pipe: takes, carries, refuses and leaves behind, with both ends in one process.

Whoever opens pipe:fd/N gives the descriptor away; `pipe` hands out the numbers of a fresh pipe.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus.endpoint import wire
from framebus.endpoint.kinds.pipe import descriptors

GRADIENT = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)


class Pipe:
    """A pipe whose ends are opened by their numbers, or written and read as they are."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self._opened: list[Any] = []

    def source(self, options: str = "", **given: object) -> Any:
        number, self.reading = self.reading, -1
        self._opened.append(framebus.source(f"pipe:fd/{number}{options}", **given))
        return self._opened[-1]

    def sink(self, options: str = "", **given: object) -> Any:
        number, self.writing = self.writing, -1
        self._opened.append(framebus.sink(f"pipe:fd/{number}{options}", **given))
        return self._opened[-1]

    def write(self, data: bytes) -> None:
        assert os.write(self.writing, data) == len(data)

    def hang_up(self) -> None:
        os.close(self.writing)
        self.writing = -1

    def read(self) -> bytes:
        """Everything up to the end of the stream."""
        with os.fdopen(self.reading, "rb") as file:
            self.reading = -1
            return file.read()

    def close(self) -> None:
        for end in self._opened:
            end.close()
        for number in (self.reading, self.writing):
            if number >= 0:
                os.close(number)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def message(array: np.ndarray[Any, Any] = GRADIENT) -> bytes:
    """One frame as it stands in a stream of mode=message."""
    frame = framebus.OutgoingFrame({"image": array}, 7, 1, 2, {"a": 1}, "BGR8")
    head, arrays = wire.encode(frame)
    return head + b"".join(wire.pieces(arrays))


def in_thread(call: Callable[[], object]) -> Callable[[], object]:
    """Runs a call beside the test; the result waits for it, and is what it returned or raised."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> object:
        thread.join(WATCHDOG_S)
        assert found, "the call did not end"
        return found[0]

    return result


# Whole frames


def test_a_frame_arrives_with_all_it_carries(pipe: Pipe) -> None:
    source, sink = pipe.source(), pipe.sink()
    depth = np.arange(12, dtype=">u2").reshape(3, 4)[::-1]
    sink.send(
        {"colour": GRADIENT, "depth": depth}, meta={"k": [1, "x"]}, pixel_format="BGR8", seq=41, timestamp_ns=5,
        wall_time_ns=6,
    )  # fmt: skip
    frame = source.recv(WATCHDOG_S)
    assert list(frame.arrays) == ["colour", "depth"]
    np.testing.assert_array_equal(frame.arrays["colour"], GRADIENT)
    np.testing.assert_array_equal(frame.arrays["depth"], depth)
    assert frame.arrays["depth"].dtype == depth.dtype
    assert (frame.seq, frame.timestamp_ns, frame.wall_time_ns) == (41, 5, 6)
    assert (frame.meta, frame.pixel_format) == ({"k": [1, "x"]}, "BGR8")


def test_every_array_of_a_received_frame_is_aligned_and_lies_in_one_buffer(pipe: Pipe) -> None:
    source, sink = pipe.source(), pipe.sink()
    sink.send({"a": np.zeros(3, np.uint8), "b": GRADIENT, "c": np.ones(5)})
    arrays = list(source.recv(WATCHDOG_S).arrays.values())
    assert [array.ctypes.data % wire.LINE for array in arrays] == [0, 0, 0]
    assert len({id(array.base) for array in arrays}) == 1


def test_a_received_frame_stays_as_it_is_while_others_come(pipe: Pipe) -> None:
    source, sink = pipe.source(), pipe.sink()
    kept = []
    for value in range(5):
        sink.send(np.full((48, 64), value, np.uint8))
        kept.append(source.recv(WATCHDOG_S).array)
    assert [int(array.min()) for array in kept] == [int(array.max()) for array in kept] == [0, 1, 2, 3, 4]


def test_the_end_of_the_stream_is_told_after_all_frames_and_as_often_as_asked(pipe: Pipe) -> None:
    source, sink = pipe.source(), pipe.sink()
    for _ in range(3):
        sink.send(GRADIENT)
    sink.close()
    assert len(list(source)) == 3
    for _ in range(2):
        with pytest.raises(framebus.ChannelClosed, match="has closed it"):
            source.recv(0)


@pytest.mark.parametrize("length", [1, 23, 24, 100, 192, 1000, len(message()) - 1])
def test_a_stream_that_breaks_off_within_a_frame_is_a_death_and_delivers_nothing(pipe: Pipe, length: int) -> None:
    source = pipe.source()
    pipe.write(message() + message()[:length])
    pipe.hang_up()
    assert source.recv(WATCHDOG_S).seq == 7
    for _ in range(2):
        with pytest.raises(framebus.PublisherDied, match="middle of a frame"):
            source.recv(WATCHDOG_S)
    assert source.statistics().frames == 1


def test_a_stream_that_stops_between_frames_without_saying_so_is_a_death(pipe: Pipe) -> None:
    source = pipe.source()
    pipe.write(message())
    pipe.hang_up()
    source.recv(WATCHDOG_S)
    with pytest.raises(framebus.PublisherDied, match="without saying that it ends"):
        source.recv(WATCHDOG_S)


@pytest.mark.parametrize("cut", [1, 24, 30, 250, 5000])
def test_half_a_frame_waits_for_its_other_half_over_timeouts(pipe: Pipe, cut: int) -> None:
    source = pipe.source()
    pipe.write(message()[:cut])
    for timeout in (0, 0.01):
        with pytest.raises(framebus.Timeout):
            source.recv(timeout)
    pipe.write(message()[cut:] + message())
    for _ in range(2):
        np.testing.assert_array_equal(source.recv(WATCHDOG_S).array, GRADIENT)


@pytest.mark.parametrize(
    ("junk", "says"),
    [
        (b"P6\n640 480\n255\n" + bytes(100), "begins with"),
        (b"FBUS\x02" + bytes(100), "version 2"),
        (wire.HEAD.pack(wire.MAGIC, 1, 1, 0, 64, 0, 1 << 62), "larger max_bytes"),
        (wire.HEAD.pack(wire.MAGIC, 1, 1, 0, 64, 0, 64) + b"[" * 64, "description"),
    ],
)
def test_what_is_no_frame_is_refused_counted_and_ends_the_stream(pipe: Pipe, junk: bytes, says: str) -> None:
    source = pipe.source()
    pipe.write(junk)
    for _ in range(2):
        with pytest.raises(framebus.EndpointError, match=says):
            source.recv(WATCHDOG_S)
    assert source.statistics().refused == 1


def test_nothing_is_allocated_for_a_size_that_is_only_claimed(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    from framebus.endpoint.kinds.pipe import message as messages

    asked = []
    monkeypatch.setattr(messages, "aligned", lambda size: asked.append(size))
    source = pipe.source("?max_bytes=1000000000000")
    pipe.write(wire.HEAD.pack(wire.MAGIC, 1, 1, 0, 64, 0, 1 << 38) + message()[24:88])
    with pytest.raises(framebus.EndpointError):
        source.recv(WATCHDOG_S)
    assert asked == []


# Deadlines and ends


def test_a_deadline_before_the_first_byte_leaves_nothing_behind_and_one_within_a_frame_nothing_half(pipe: Pipe) -> None:
    source, sink = pipe.source(), pipe.sink()
    image = np.zeros(4 << 20, np.uint8)  # more than any pipe holds
    image[:] = 1
    assert sink.send(image, timeout=0.01) == 1
    image[:] = 2  # what is left of the first frame must not be this
    for _ in range(2):
        with pytest.raises(framebus.Timeout, match="no room"):
            sink.send(image, timeout=0.01)
    reader = in_thread(lambda: [(frame.seq, set(np.unique(frame.array))) for frame in source])
    assert sink.send(image, timeout=WATCHDOG_S) == 2
    sink.close()
    assert reader() == [(1, {1}), (2, {2})]


def test_close_gives_up_on_a_reader_that_stands_still_and_says_so(pipe: Pipe) -> None:
    sink = pipe.sink("?linger=0.05")
    sink.send(np.zeros(4 << 20, np.uint8), timeout=0)
    with pytest.raises(framebus.EndpointError, match="larger linger="):
        sink.close()
    assert sink.statistics().dropped == 1
    with pytest.raises(framebus.PublisherDied, match="middle of a frame"):
        pipe.source().recv(WATCHDOG_S)


def test_a_reader_that_has_gone_is_a_closed_channel(pipe: Pipe) -> None:
    sink = pipe.sink()
    sink.send(GRADIENT)
    os.close(pipe.reading)
    pipe.reading = -1
    for _ in range(2):
        with pytest.raises(framebus.ChannelClosed, match="no program reads"):
            sink.send(GRADIENT)
    sink.close()


@pytest.mark.parametrize("role", ["source", "sink"])
def test_closing_an_end_ends_the_wait_of_another_thread(pipe: Pipe, role: str) -> None:
    if role == "source":
        end: Any = pipe.source()
        waiting = in_thread(end.recv)
    else:
        end = pipe.sink("?linger=0")
        end.send(np.zeros(4 << 20, np.uint8), timeout=0)
        waiting = in_thread(lambda: end.send(GRADIENT))
    with pytest.raises(framebus.EndpointError) if role == "sink" else contextlib.nullcontext():
        end.close()
    assert isinstance(waiting(), framebus.ChannelClosed)


def test_threads_that_send_at_once_never_mix_their_frames(pipe: Pipe) -> None:
    source, sink = pipe.source(), pipe.sink()
    senders = [
        in_thread(lambda value=value: [sink.send(np.full(300_000, value, np.uint8)) for _ in range(10)])  # type: ignore[misc]
        for value in range(4)
    ]
    values = [np.unique(source.recv(WATCHDOG_S).array).tolist() for _ in range(40)]
    assert sorted(values) == sorted([value] for value in range(4) for _ in range(10))
    assert all(isinstance(sender(), list) for sender in senders)


# Descriptors


def test_the_description_that_others_share_stays_blocking(pipe: Pipe) -> None:
    shared = os.dup(pipe.reading), os.dup(pipe.writing)
    source, sink = pipe.source(), pipe.sink()
    sink.send(GRADIENT)
    source.recv(WATCHDOG_S)
    assert [os.get_blocking(number) for number in shared] == [True, True]
    for number in shared:
        os.close(number)


def test_the_pipe_is_made_as_large_as_asked_and_never_smaller(pipe: Pipe) -> None:
    shared = os.dup(pipe.writing)
    pipe.source("?buffer=300000")
    assert fcntl.fcntl(shared, fcntl.F_GETPIPE_SZ) >= 300000
    descriptors.enlarge(shared, 4096)
    assert fcntl.fcntl(shared, fcntl.F_GETPIPE_SZ) >= 300000
    descriptors.enlarge(shared, 1 << 60)  # more than the system allows is not an error
    os.close(shared)


def test_an_end_owns_its_descriptor_and_closes_it(pipe: Pipe) -> None:
    source = pipe.source()
    pipe.write(b"x")
    source.close()
    with pytest.raises(BrokenPipeError):
        pipe.write(b"x")


def test_a_socket_carries_frames_although_it_may_block() -> None:
    # Some programs start their children with sockets for standard streams.
    left, right = socket.socketpair()
    sink, source = framebus.sink(f"pipe:fd/{left.detach()}"), framebus.source(f"pipe:fd/{right.detach()}")
    image = np.arange(1 << 20, dtype=np.uint32)
    received = in_thread(lambda: [frame.array for frame in source])
    assert sink.send(image) == 1
    sink.send(image[::-1], timeout=WATCHDOG_S)
    sink.close()
    found: Any = received()
    np.testing.assert_array_equal(found, [image, image[::-1]])
    source.close()  # type: ignore[attr-defined]


def test_a_socket_that_nobody_reads_obeys_the_timeout() -> None:
    left, right = socket.socketpair()
    with framebus.sink(f"pipe:fd/{left.detach()}?linger=0") as sink:  # type: ignore[attr-defined]
        sink.send(np.zeros(1 << 20, np.uint8), timeout=0.05)  # begun, and the rest kept
        with pytest.raises(framebus.Timeout):
            sink.send(GRADIENT, timeout=0.05)
        right.close()


@pytest.mark.parametrize("options", ["", "?mode=byte&width=64&height=48&pixel_format=BGR8"])
def test_a_file_is_read_from_where_it_stands(tmp_path: Path, options: str) -> None:
    path = tmp_path / "frames"
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(file, b"first line\n")
    with framebus.sink(f"pipe:fd/{file}{options}") as sink:  # type: ignore[attr-defined]
        sink.send(GRADIENT, pixel_format="BGR8")
    file = os.open(path, os.O_RDONLY)
    os.read(file, 11)
    with framebus.source(f"pipe:fd/{file}{options}") as source:  # type: ignore[attr-defined]
        frames = list(source)
    assert len(frames) == 1
    np.testing.assert_array_equal(frames[0].array, GRADIENT)


def test_a_descriptor_that_does_not_fit_is_refused(pipe: Pipe) -> None:
    for opener, number, says in (
        (framebus.source, pipe.writing, "can only be written to"),
        (framebus.sink, pipe.reading, "can only be read from"),
        (framebus.source, 987, "pass_fds"),
    ):
        with pytest.raises(framebus.EndpointError, match=says):
            opener(f"pipe:fd/{number}")
    terminal, other = os.openpty()
    for opener in (framebus.source, framebus.sink):
        with pytest.raises(framebus.EndpointError, match="is a terminal"):
            opener(f"pipe:fd/{other}")
    os.close(terminal)
    os.close(other)


@pytest.mark.parametrize(
    ("opener", "url", "says"),
    [
        (framebus.source, "pipe:stdout", "not a pipe for a source"),
        (framebus.sink, "pipe:stdin", "not a pipe for a sink"),
        (framebus.source, "pipe:fd/x", "not a pipe for a source"),
        (framebus.source, "pipe:?argv=ls", "keyword argument, argv="),
        (framebus.source, "pipe:?mode=byte", "pass width=, height= and pixel_format="),
        (framebus.source, "pipe:?width=3", "mode=byte"),
        (framebus.source, "pipe:?format=y4m", "mode=byte"),
        (framebus.source, "pipe:?mode=byte&format=y4m&width=4&height=4", "says its size itself"),
        (framebus.source, "pipe:?mode=byte&format=y4m&pixel_format=Mono16", "knows pixel_format"),
        (framebus.source, "pipe:?mode=byte&width=4&height=0&pixel_format=RGB8", "1 or more"),
        (framebus.source, "pipe:?mode=byte&width=3&height=3&pixel_format=Mono12p", "whole number of bytes"),
        (framebus.source, "pipe:?mode=byte&width=4&height=4&pixel_format=rgb24", "RGB8"),
        (framebus.source, "pipe:?mode=byte&width=99999&height=99999&pixel_format=RGB8", "max_bytes"),
        (framebus.sink, "pipe:?mode=byte&width=4", "belong together"),
        (framebus.sink, "pipe:?fps=0", "fps must be above 0"),
        (framebus.source, "pipe:?linger=-1", "linger must be 0 or more"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_touched(
    opener: Callable[[str], object], url: str, says: str
) -> None:
    with pytest.raises(framebus.InvalidUrl, match=says):
        opener(url)


def test_an_argument_list_is_a_list(pipe: Pipe) -> None:
    for argv in ("ls -l", [], [1]):
        with pytest.raises(TypeError, match="no shell looks at it"):
            framebus.source("pipe:", argv=argv)
    with pytest.raises(framebus.InvalidUrl, match="name two pipes"):
        framebus.source(f"pipe:fd/{pipe.reading}", argv=["ls"])
    with pytest.raises(framebus.EndpointError, match="can't start"):
        framebus.source("pipe:", argv=["no such program"])
