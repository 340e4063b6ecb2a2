# SPDX-License-Identifier: Apache-2.0
"""What all mechanisms have in common: deadlines, counting, closing, and the refusal of what one can't carry."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import framebus
from framebus import BaseSink, BaseSource, Capabilities, Deadline, Frame, OutgoingFrame

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)
ANYTHING = Capabilities()
ONE_PLAIN_IMAGE = Capabilities(arrays="one", meta=False, pixel_format="none", timestamps=False, seq=False)


class Sink(BaseSink):
    """Keeps what it is given."""

    def __init__(self, capabilities: Capabilities = ANYTHING, lossy: bool = False) -> None:
        super().__init__("test:sink")
        self.capabilities, self.lossy = capabilities, lossy
        self.got: list[OutgoingFrame] = []
        self.closings = 0
        self.error: Exception | None = None

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        if self.error is not None:
            raise self.error
        self.got.append(frame)
        self.deadline = deadline

    def _close(self) -> None:
        self.closings += 1


class Source(BaseSource):
    """Gives what it was made of, frames or errors."""

    def __init__(self, *items: Frame | Exception) -> None:
        super().__init__("test:source")
        self.items = list(items)
        self.closings = 0

    def _receive(self, deadline: Deadline) -> Frame:
        self.deadline = deadline
        item = self.items.pop(0) if self.items else deadline.fail("nothing came")
        if isinstance(item, Exception):
            raise item
        return item

    def _close(self) -> None:
        self.closings += 1


def frame(*arrays: np.ndarray[Any, Any], seq: int = 1) -> Frame:
    return Frame({str(i): array for i, array in enumerate(arrays)}, seq=seq, timestamp_ns=2, wall_time_ns=3)


# Deadlines


@pytest.mark.parametrize("timeout", [-1, -0.001, -math.inf, math.nan])
def test_a_timeout_below_zero_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be 0 or more seconds, or None for no limit, got"):
        Deadline(timeout)


def test_a_deadline_of_none_never_comes() -> None:
    deadline = Deadline(None)
    assert deadline.left() is None
    assert not deadline.is_over
    assert deadline.left_ms() == 1000
    assert deadline.left_ms(at_most=0.25) == 250
    assert str(deadline.fail("nothing came")) == "nothing came"


def test_a_deadline_of_zero_is_over_at_once() -> None:
    deadline = Deadline(0)
    assert deadline.is_over
    assert deadline.left() == 0
    assert deadline.left_ms() == 0


def test_a_deadline_comes_closer_and_then_stays_over() -> None:
    deadline = Deadline(0.02)
    last = deadline.left()
    while not deadline.is_over:
        left = deadline.left()
        assert left is not None
        assert last is not None
        assert 0 <= left <= last <= 0.02
        last = left
        time.sleep(0.001)
    assert deadline.left() == 0


def test_milliseconds_are_rounded_up_so_that_nobody_polls_with_zero_before_the_end() -> None:
    assert Deadline(1e9).left_ms(at_most=0.0001) == 1
    assert Deadline(1e9).left_ms() == 1000
    assert Deadline(math.inf).left_ms() == 1000


def test_what_a_deadline_fails_with_says_what_was_waited_for_and_how_long() -> None:
    error = Deadline(0.5).fail("nothing came")
    assert isinstance(error, framebus.Timeout)
    assert isinstance(error, TimeoutError)
    assert str(error) == "nothing came within 0.5 s"


# Sources


def test_a_source_counts_frames_and_bytes_of_all_their_arrays() -> None:
    source = Source(frame(IMAGE), frame(IMAGE, IMAGE.astype(np.float64)))
    assert source.statistics() == framebus.EndpointStatistics()
    source.recv()
    source.recv()
    assert source.statistics() == framebus.EndpointStatistics(frames=2, bytes=12 + 12 + 96)
    with pytest.raises(framebus.Timeout):
        source.recv(0)
    assert source.statistics().frames == 2
    source.close()
    assert source.statistics().frames == 2


def test_counts_of_several_threads_add_up() -> None:
    sink = Sink()
    threads = [threading.Thread(target=lambda: [sink.send(IMAGE) for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.statistics() == framebus.EndpointStatistics(frames=2000, bytes=2000 * IMAGE.nbytes)


def test_try_recv_gives_none_where_nothing_is_new_and_never_waits() -> None:
    source = Source(frame(IMAGE), framebus.EndpointError("broken"))
    assert source.try_recv() is not None
    assert source.deadline.timeout == 0
    with pytest.raises(framebus.EndpointError):
        source.try_recv()
    assert source.try_recv() is None


def test_iteration_ends_where_the_other_end_closes_and_nowhere_else() -> None:
    source = Source(frame(IMAGE, seq=1), frame(IMAGE, seq=2), framebus.ChannelClosed("over"), frame(IMAGE, seq=3))
    assert [frame.seq for frame in source] == [1, 2]
    with pytest.raises(framebus.PublisherDied):
        list(Source(frame(IMAGE), framebus.PublisherDied("dead")))


@pytest.mark.parametrize("end", [Sink(), Source()], ids=["sink", "source"])
def test_an_end_closes_once_and_is_not_used_after(end: Any) -> None:
    with end as same:
        assert same is end
        assert "closed" not in repr(end)
    end.close()
    assert end.closings == 1
    assert end.closed
    assert repr(end).endswith(" closed>")
    with pytest.raises(framebus.ChannelClosed, match=r"this end of 'test:.*' is closed; open another one"):
        end.recv(0) if isinstance(end, Source) else end.send(IMAGE)


def test_iteration_over_a_closed_source_ends_at_once() -> None:
    source = Source(frame(IMAGE))
    source.close()
    assert list(source) == []


# Sinks


def test_a_sink_is_given_a_frame_that_is_complete() -> None:
    sink = Sink()
    before = time.monotonic_ns(), time.time_ns()
    assert sink.send({"a": IMAGE, "b": b"xy"}, meta={"pair": (1, 2)}, pixel_format="Mono8", timeout=5) == 1
    (got,) = sink.got
    assert list(got.arrays) == ["a", "b"]
    assert got.array is got.arrays["a"]
    assert got.meta == {"pair": [1, 2]}
    assert got.pixel_format == "Mono8"
    assert before <= (got.timestamp_ns, got.wall_time_ns) <= (time.monotonic_ns(), time.time_ns())
    assert sink.deadline.timeout == 5


def test_a_single_array_is_called_image_and_says_nothing_of_itself() -> None:
    sink = Sink()
    sink.send(IMAGE)
    (got,) = sink.got
    assert (list(got.arrays), got.meta, got.pixel_format) == (["image"], {}, None)


def test_what_is_given_is_handed_on_as_it_is() -> None:
    sink = Sink()
    given = {"timestamp_ns": 5, "wall_time_ns": 0, "seq": 100}
    assert sink.send(IMAGE, **given) == 100
    assert {name: getattr(sink.got[0], name) for name in given} == given


def test_numbers_go_on_from_the_last_one_that_was_sent() -> None:
    sink = Sink()
    assert [sink.send(IMAGE), sink.send(IMAGE), sink.send(IMAGE, seq=10), sink.send(IMAGE)] == [1, 2, 10, 11]
    sink.error = framebus.Timeout("no room")
    with pytest.raises(framebus.Timeout):
        sink.send(IMAGE)
    sink.error = None
    assert sink.send(IMAGE) == 12
    assert sink.statistics().frames == 5


@pytest.mark.parametrize("name", ["seq", "timestamp_ns", "wall_time_ns"])
def test_numbers_are_whole_and_have_64_bits(name: str) -> None:
    sink = Sink()
    sink.send(IMAGE, **{name: np.int64(5)})
    assert type(getattr(sink.got[0], name)) is int
    for wrong in (1.5, "1"):
        with pytest.raises(TypeError):
            sink.send(IMAGE, **{name: wrong})
    for wrong in (1 << 63, -(1 << 63) - 1):
        with pytest.raises(ValueError, match=f"{name} must have at most 64 bits"):
            sink.send(IMAGE, **{name: wrong})
    assert len(sink.got) == 1


@pytest.mark.parametrize(
    ("image", "given", "error", "says"),
    [
        ([1, 2], {}, TypeError, "numpy.asarray"),
        ({}, {}, ValueError, "1 to 8 arrays, got 0"),
        ({str(i): IMAGE for i in range(9)}, {}, ValueError, "1 to 8 arrays, got 9"),
        ({"": IMAGE}, {}, ValueError, "1 to 32 bytes of UTF-8, got ''"),
        ({"n" * 33: IMAGE}, {}, ValueError, "1 to 32 bytes of UTF-8"),
        ({"\u2603" * 11: IMAGE}, {}, ValueError, "1 to 32 bytes of UTF-8"),
        ({"\ud800": IMAGE}, {}, ValueError, "1 to 32 bytes of UTF-8"),
        ({5: IMAGE}, {}, TypeError, "array names are str"),
        (np.array(["text"]), {}, TypeError, "array 'image' has dtype <U4"),
        (np.zeros(2, "datetime64[s]"), {}, TypeError, "datetime64"),
        (np.zeros(2, "u1,u2"), {}, TypeError, "a frame carries bool, integer, float and complex"),
        (np.zeros((1,) * 9), {}, ValueError, "has 9 dimensions; a frame carries 0 to 8"),
        (IMAGE, {"meta": {"x": math.nan}}, ValueError, "meta['x'] is nan"),
        (IMAGE, {"meta": {1: 2}}, TypeError, "keys must be str"),
        (IMAGE, {"meta": []}, TypeError, "meta must be a dict"),
        (IMAGE, {"meta": "none"}, TypeError, "meta must be a dict"),
        (IMAGE, {"pixel_format": "BGR9"}, ValueError, "BGR9"),
        (IMAGE, {"timeout": -1}, ValueError, "timeout must be 0 or more"),
    ],
)
def test_what_is_no_frame_is_refused_before_the_mechanism_sees_it(
    image: object, given: dict[str, Any], error: type[Exception], says: str
) -> None:
    sink = Sink(lossy=True)
    with pytest.raises(error) as raised:
        sink.send(image, **given)
    assert says in str(raised.value)
    assert sink.got == []
    assert sink.statistics() == framebus.EndpointStatistics()
    assert sink.send(IMAGE) == 1


TOO_MUCH = [
    ({"image": IMAGE, "depth": IMAGE}, {}, "2 arrays"),
    (IMAGE, {"meta": {"gain": 1}}, "metadata"),
    (IMAGE, {"pixel_format": "Mono8"}, "pixel format Mono8"),
    (
        {"a": IMAGE, "b": IMAGE},
        {"meta": {"gain": 1}, "pixel_format": "Mono8"},
        "2 arrays and metadata and pixel format",
    ),
]


@pytest.mark.parametrize(("image", "given", "what"), TOO_MUCH)
def test_what_a_mechanism_cannot_carry_is_refused_unless_it_may_be_left_out(
    image: object, given: dict[str, Any], what: str
) -> None:
    sink = Sink(ONE_PLAIN_IMAGE)
    with pytest.raises(framebus.EndpointError, match=rf"'test:sink' can't carry {what}.*\?lossy"):
        sink.send(image, **given)
    assert sink.got == []
    lossy = Sink(ONE_PLAIN_IMAGE, lossy=True)
    assert lossy.send(image, **given) == 1
    assert len(lossy.got) == 1


def test_what_is_not_there_is_not_missed() -> None:
    sink = Sink(ONE_PLAIN_IMAGE)
    assert sink.send({"image": IMAGE}, meta={}, timestamp_ns=5, seq=3) == 3


@pytest.mark.parametrize("lossy", [False, True])
def test_a_frame_over_the_size_of_the_mechanism_is_refused_even_where_something_may_be_left_out(lossy: bool) -> None:
    sink = Sink(replace(Capabilities(), max_bytes=IMAGE.nbytes), lossy)
    assert sink.send(IMAGE) == 1
    with pytest.raises(framebus.EndpointError, match="frames of at most 12 bytes, got 24"):
        sink.send({"a": IMAGE, "b": IMAGE})
    assert len(sink.got) == 1


def test_what_an_endpoint_accepts_is_declared_for_programs_as_well_as_in_words() -> None:
    infos = {info.scheme: info.capabilities for info in framebus.endpoints()}
    for scheme, takes in infos.items():
        assert takes.accepts is None or takes.dtypes != "any", scheme
    image = infos["baseimage"].accepts
    assert image is not None
    assert all(image(dtype, shape) for dtype, shape in (("|u1", (4, 6)), ("|u1", (4, 6, 3)), ("<u2", (4, 6))))
    refused = (("|u1", (4, 6, 2)), ("|u1", (0, 6)), ("|u1", (4,)), ("<u2", (4, 6, 3)), (">u2", (4, 6)), ("<f4", (4, 6)))
    assert not any(image(dtype, shape) for dtype, shape in refused)
