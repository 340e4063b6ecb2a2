# SPDX-License-Identifier: Apache-2.0
"""relay() moves frames with all they carry, ends where it should, and leaves open what is not its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import framebus
from framebus import BaseSink, BaseSource, Deadline, Frame, OutgoingFrame

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


class Source(BaseSource):
    """Frames of these numbers, then what is raised, again and again."""

    def __init__(self, *seqs: int, then: Exception | None = None) -> None:
        super().__init__("test:source")
        self.seqs, self.then = list(seqs), then or framebus.ChannelClosed("over")
        self.timeouts: list[float | None] = []

    def _receive(self, deadline: Deadline) -> Frame:
        self.timeouts.append(deadline.timeout)
        if not self.seqs:
            raise self.then
        seq = self.seqs.pop(0)
        return Frame(
            {"colour": IMAGE + seq, "depth": IMAGE.astype(np.uint16)},
            seq=seq,
            timestamp_ns=seq * 10,
            wall_time_ns=seq * 100,
            meta={"seq": seq},
            pixel_format="Mono8",
        )


class Sink(BaseSink):
    """Keeps copies of what it is given; refuses the numbers it is told to."""

    def __init__(self, *refused: int, error: Exception | None = None) -> None:
        super().__init__("test:sink")
        self.refused, self.error = refused, error or framebus.EndpointError("refused")
        self.got: list[Frame] = []

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - it never waits
        if frame.seq in self.refused:
            raise self.error
        given = {"timestamp_ns": frame.timestamp_ns, "wall_time_ns": frame.wall_time_ns, "meta": frame.meta}
        self.got.append(Frame(frame.arrays, seq=frame.seq, pixel_format=frame.pixel_format, **given).copy())

    @property
    def seqs(self) -> list[int]:
        return [frame.seq for frame in self.got]


class PlainSink:
    """A sink that is not made from BaseSink, and knows no sequence numbers."""

    def __init__(self) -> None:
        self.given: list[dict[str, Any]] = []

    def send(self, image: object, **given: Any) -> int:  # noqa: ARG002 - what matters are the keywords
        self.given.append(given)
        return len(self.given)

    def close(self) -> None: ...


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as open_sink:
        yield open_sink


def test_everything_that_a_frame_carries_is_handed_on(sink: Sink) -> None:
    report = framebus.relay(Source(3, 7), sink)
    assert (report.frames, report.left_out, report.failed, report.reason) == (2, 0, 0, "closed")
    assert report.seconds >= 0
    for frame, seq in zip(sink.got, (3, 7), strict=True):
        assert list(frame.arrays) == ["colour", "depth"]
        assert frame.array.tolist() == (IMAGE + seq).tolist()
        assert frame.arrays["depth"].dtype == np.uint16
        assert (frame.seq, frame.timestamp_ns, frame.wall_time_ns) == (seq, seq * 10, seq * 100)
        assert (frame.meta, frame.pixel_format) == ({"seq": seq}, "Mono8")


def test_a_sink_that_knows_no_sequence_numbers_is_given_none() -> None:
    plain = PlainSink()
    framebus.relay(Source(5), plain)  # type: ignore[arg-type]
    assert "seq" not in plain.given[0]
    assert plain.given[0]["timestamp_ns"] == 50


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_it_ends_after_the_limit_and_takes_no_frame_more(sink: Sink, limit: int) -> None:
    source = Source(*range(1, 10))
    report = framebus.relay(source, sink, limit=limit)
    assert (report.frames, report.reason) == (limit, "limit")
    assert len(source.seqs) == 9 - limit


def test_what_is_left_out_or_fails_does_not_count_towards_the_limit() -> None:
    sink = Sink(2)
    report = framebus.relay(
        Source(*range(1, 10)), sink, limit=3, on_error="skip", transform=lambda f: None if f.seq == 1 else f
    )
    assert (report.frames, report.left_out, report.failed) == (3, 1, 1)
    assert sink.seqs == [3, 4, 5]


def test_it_ends_where_nothing_comes_within_the_timeout(sink: Sink) -> None:
    source = Source(1, then=framebus.Timeout("nothing"))
    report = framebus.relay(source, sink, timeout=0.5)
    assert (report.frames, report.reason) == (1, "timeout")
    assert source.timeouts == [0.5, 0.5]


def test_a_timeout_that_nobody_asked_for_is_an_error(sink: Sink) -> None:
    with pytest.raises(framebus.Timeout):
        framebus.relay(Source(1, then=framebus.Timeout("nothing")), sink)


@pytest.mark.parametrize("on_error", ["raise", "skip", lambda *_: None])
@pytest.mark.parametrize("error", [framebus.PublisherDied("dead"), framebus.EndpointError("broken")])
def test_an_error_of_the_source_always_ends_it(sink: Sink, on_error: Any, error: Exception) -> None:
    with pytest.raises(type(error)):
        framebus.relay(Source(1, then=error), sink, on_error=on_error)
    assert sink.seqs == [1]


def test_a_transform_may_return_a_frame_an_array_a_dict_or_nothing(sink: Sink) -> None:
    def transform(frame: Frame) -> object:
        if frame.seq == 1:
            return Frame(
                {"new": IMAGE * 2}, seq=50, timestamp_ns=51, wall_time_ns=52, meta={"new": 1}, pixel_format="R8"
            )
        if frame.seq == 2:
            return frame.array[::2]
        if frame.seq == 3:
            return {"half": frame.array[::2], "mask": frame.array > 3}
        return None if frame.seq == 4 else frame

    report = framebus.relay(Source(1, 2, 3, 4, 5), sink, transform=transform)
    assert (report.frames, report.left_out) == (4, 1)
    made, array, several, same = sink.got
    assert (made.seq, made.timestamp_ns, made.wall_time_ns, made.meta, made.pixel_format) == (
        50,
        51,
        52,
        {"new": 1},
        "R8",
    )
    assert made.arrays["new"].tolist() == (IMAGE * 2).tolist()
    assert array.arrays["image"].tolist() == (IMAGE + 2)[::2].tolist()
    assert (array.seq, array.timestamp_ns, array.meta, array.pixel_format) == (2, 20, {"seq": 2}, "Mono8")
    assert list(several.arrays) == ["half", "mask"]
    assert (same.seq, same.pixel_format) == (5, "Mono8")


@pytest.mark.parametrize("where", ["sink", "transform"])
def test_an_error_is_raised_skipped_or_given_to_a_function(where: str) -> None:
    def transform(frame: Frame) -> Frame:
        if where == "transform" and frame.seq == 2:
            raise ZeroDivisionError("two")
        return frame

    def run(**options: Any) -> tuple[framebus.RelayReport, Sink]:
        sink = Sink(2 if where == "sink" else -1, error=ZeroDivisionError("two"))
        return framebus.relay(Source(1, 2, 3), sink, transform=transform, **options), sink

    with pytest.raises(ZeroDivisionError, match="two"):
        run()
    with pytest.raises(ZeroDivisionError, match="two"):
        run(on_error="raise")
    report, sink = run(on_error="skip")
    assert (report.frames, report.failed, sink.seqs) == (2, 1, [1, 3])
    seen: list[tuple[str, int]] = []
    report, sink = run(on_error=lambda error, frame: seen.append((str(error), frame.seq)))
    assert (report.frames, report.failed, sink.seqs, seen) == (2, 1, [1, 3], [("two", 2)])


def test_a_function_for_errors_that_raises_ends_it() -> None:
    def give_up(error: Exception, frame: Frame) -> None:
        raise RuntimeError(f"frame {frame.seq}") from error

    with pytest.raises(RuntimeError, match="frame 2"):
        framebus.relay(Source(1, 2, 3), Sink(2), on_error=give_up)


def test_a_sink_that_is_closed_ends_it_whatever_on_error_says() -> None:
    sink = Sink()

    def close_at_2(frame: Frame) -> Frame:
        if frame.seq == 2:
            sink.close()
        return frame

    source = Source(1, 2, 3)
    with pytest.raises(framebus.ChannelClosed):
        framebus.relay(source, sink, transform=close_at_2, on_error="skip")
    assert source.seqs == [3]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fps": 0}, "fps must be above 0, got 0"),
        ({"fps": -1.5}, "fps must be above 0, got -1.5"),
        ({"fps": float("nan")}, "fps must be above 0, got nan"),
        ({"limit": -1}, "limit must be 0 or more, got -1"),
        ({"timeout": -1}, "timeout must be 0 or more"),
        ({"on_error": "ignore"}, "on_error must be 'raise', 'skip' or a function, got 'ignore'"),
        ({"on_error": None}, "on_error must be"),
    ],
)
def test_arguments_out_of_range_are_refused(sink: Sink, options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        framebus.relay(Source(1), sink, **options)
    assert sink.got == []


def test_frames_come_no_faster_than_asked_for(sink: Sink) -> None:
    began = time.monotonic()
    report = framebus.relay(Source(*range(1, 7)), sink, fps=50)
    assert time.monotonic() - began >= 5 / 50
    assert report.frames == 6, "a source that keeps its frames is slowed down, not thinned out"


def test_a_pause_is_not_made_up_for_by_a_burst(sink: Sink) -> None:
    sent: list[float] = []

    def transform(frame: Frame) -> Frame:
        sent.append(time.monotonic())
        if frame.seq == 2:
            time.sleep(0.2)
        return frame

    framebus.relay(Source(*range(1, 9)), sink, fps=50, transform=transform)
    # Behind by less than a frame it may catch up, so that the average holds.
    assert sent[-1] - sent[2] >= 4 / 50


@pytest.mark.parametrize("raises", [False, True])
def test_ends_it_was_given_stay_open_and_ends_it_opened_are_closed(channel_name: str, raises: bool) -> None:
    source, sink = Source(1, 2), Sink(2 if raises else -1)
    with pytest.raises(framebus.EndpointError) if raises else nullcontext():
        framebus.relay(source, sink)
    assert not source.closed
    assert not sink.closed
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(IMAGE)
        framebus.relay(channel_name, f"{channel_name}-out", limit=1)
        assert publisher.statistics().subscribers == 1, "the source that was opened by its URL is still there"
        assert subscriber.recv(0).array.tolist() == IMAGE.tolist()
    with pytest.raises(framebus.ChannelNotFound):
        framebus.Subscriber(f"{channel_name}-out")


def test_a_source_is_closed_again_where_the_sink_cannot_be_opened(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with pytest.raises(framebus.InvalidUrl):
            framebus.relay(channel_name, "carrier-pigeon:5")
        assert publisher.statistics().subscribers == 0


def test_a_frame_of_a_channel_is_held_only_while_it_is_sent(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, every=True) as subscriber:
        for _ in range(5):
            publisher.send(IMAGE)
        held: list[int] = []

        def look(frame: Frame) -> Frame:
            held.append(subscriber.statistics().held)
            return frame

        framebus.relay(subscriber, Sink(), limit=5, transform=look)
        assert held == [1] * 5
        assert subscriber.statistics().held == 0


def test_from_channel_to_channel_with_everything_but_the_number(channel_name: str) -> None:
    out = f"{channel_name}-out"
    with framebus.Publisher(out) as to, framebus.Subscriber(out, every=True) as subscriber:
        framebus.relay(Source(5, 6), to)
        for seq in (5, 6):
            frame = subscriber.recv(0)
            assert (frame.timestamp_ns, frame.wall_time_ns) == (seq * 10, seq * 100)
            assert (frame.meta, frame.pixel_format) == ({"seq": seq}, "Mono8")
            assert list(frame.arrays) == ["colour", "depth"]
            frame.release()
