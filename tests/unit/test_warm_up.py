# SPDX-License-Identifier: Apache-2.0
"""Publisher.warm_up() has no effect that anybody can see, and sources call it before their frames.

That it makes the next frame quicker is measured by `python -m benchmarks warm_up`.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.forking import in_forked_child

import framebus
from framebus.endpoint import BaseSink, Deadline, OutgoingFrame
from framebus.endpoint.kinds.camera import CameraSource

SHAPE = (48, 64)
EARLY_S = 0.02  # on a busy machine timers are later than the 0.3 ms of users
HISTORY = 8


def send(publisher: framebus.Publisher, how: str, value: int) -> None:
    if how == "send":
        publisher.send(np.full(SHAPE, value, np.uint8))
        return
    with publisher.loan(SHAPE) as loan:
        loan.array[:] = value


def counts(publisher: framebus.Publisher) -> dict[str, Any]:
    """All statistics as text, so that NaN equals NaN, without the rate, which decays with time."""
    return {name: repr(value) for name, value in vars(publisher.statistics()).items() if name != "rate_hz"}


def seen_by_a_new_subscriber(name: str) -> list[dict[str, Any]]:
    """All that is known of each frame that is still there."""
    with framebus.Subscriber(name, history=HISTORY, every=True, hold=HISTORY) as subscriber:
        found = []
        while (frame := subscriber.try_recv()) is not None:
            told = {name: getattr(frame, name) for name in ("seq", "timestamp_ns", "wall_time_ns", "meta")}
            found.append(told | {"shape": frame.array.shape, "values": np.unique(frame.array).tolist()})
        return found


@pytest.fixture(params=["send", "loan"])
def how(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_nothing_is_sent_lost_or_changed(channel_name: str, how: str) -> None:
    with (
        framebus.Publisher(channel_name, slots=HISTORY) as publisher,
        framebus.Subscriber(channel_name, every=True) as subscriber,
    ):
        for value in range(1, 2 * HISTORY):
            send(publisher, how, value)
            subscriber.recv(0).release()
            before, there = counts(publisher), seen_by_a_new_subscriber(channel_name)
            for _ in range(3):
                publisher.warm_up()
            assert subscriber.try_recv() is None
            assert counts(publisher) == before
            assert seen_by_a_new_subscriber(channel_name) == there
            assert there[-1]["values"] == [value]
            assert [frame["seq"] for frame in there] == list(range(max(1, value - HISTORY + 1), value + 1))[
                -len(there) :
            ]
        assert subscriber.statistics().dropped == 0


@pytest.mark.parametrize("on_full", ["block", "raise", "drop"])
def test_a_full_channel_stays_as_it_is(channel_name: str, on_full: framebus.channel.publisher.OnFull) -> None:
    with (
        framebus.Publisher(channel_name, slots=2, on_full=on_full) as publisher,
        framebus.Subscriber(channel_name, every=True) as subscriber,
    ):
        sent = 0
        slots = -1
        while subscriber.statistics().pending < publisher.statistics().slots != slots:
            slots = publisher.statistics().slots
            send(publisher, "send", sent := sent + 1)
        before = counts(publisher)
        publisher.warm_up()
        assert counts(publisher) == before
        frames = []
        while (frame := subscriber.try_recv()) is not None:
            frames.append(frame.seq)
            frame.release()
        assert frames == list(range(1, sent + 1))


def test_frames_of_before_stay_where_the_next_slot_has_too_few_pages(channel_name: str) -> None:
    with framebus.Publisher(channel_name, max_bytes=400_000, slots=HISTORY) as publisher:
        for value in range(20):
            send(publisher, "send", value)
        publisher.send(np.zeros(300_000, np.uint8))
        there = seen_by_a_new_subscriber(channel_name)
        publisher.warm_up()
        assert seen_by_a_new_subscriber(channel_name) == there


def test_it_does_nothing_before_the_first_frame_and_after_close(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    assert publisher.warm_up() is None
    assert publisher.statistics().frames == 0
    send(publisher, "send", 1)
    publisher.close()
    assert publisher.warm_up() is None


def test_it_does_nothing_in_a_forked_child(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, "send", 1)
        assert in_forked_child(lambda: publisher.warm_up() is None)
        publisher.warm_up()
        send(publisher, "send", 2)
        assert [frame["values"] for frame in seen_by_a_new_subscriber(channel_name)] == [[1], [2]]


def test_the_launched_programs_are_started_by_a_frame_and_not_by_a_rehearsal(channel_name: str) -> None:
    with framebus.Publisher(channel_name, launch=[sys.executable, "-c", ""]) as publisher:
        publisher.warm_up()
        assert [program.starts for program in publisher.launched] == [0]


def test_it_keeps_nothing(channel_name: str, how: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, how, 1)
        publisher.warm_up()
        gc.collect()
        before = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())
        held = publisher.statistics().held
        for _ in range(1000):
            publisher.warm_up()
        gc.collect()
        after = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else len(gc.get_objects())
        assert after - before < 100
        assert publisher.statistics().held == held


def test_threads_that_send_and_warm_up_at_once_lose_and_mix_up_nothing(channel_name: str, how: str) -> None:
    frames, ended = 600, threading.Event()

    def warm_up() -> None:
        while not ended.is_set():
            publisher.warm_up()

    with (
        framebus.Publisher(channel_name, slots=3, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True) as subscriber,
    ):
        threads = [threading.Thread(target=warm_up) for _ in range(2)]
        sender = threading.Thread(target=lambda: [send(publisher, how, n % 251) for n in range(1, frames + 1)])
        for thread in (*threads, sender):
            thread.start()
        try:
            for number in range(1, frames + 1):
                with subscriber.recv(60) as frame:
                    assert frame.seq == number
                    assert (frame.array == number % 251).all()
        finally:
            ended.set()
            for thread in (*threads, sender):
                thread.join()
        assert publisher.statistics().frames == frames


class Device:
    """A camera that gives a picture whenever its time has come."""

    def __init__(self, period_s: float, pictures: int) -> None:
        self._due = deque(time.monotonic() + period_s * n for n in range(1, pictures + 1))

    def read(self) -> NDArray[Any]:
        if not self._due:
            raise EOFError("all were taken")
        time.sleep(max(0.0, self._due.popleft() - time.monotonic()))
        return np.zeros((*SHAPE, 3), np.uint8)

    def release(self) -> None:
        """Nothing."""


def test_a_camera_calls_before_frame_once_for_each_picture_once_it_knows_the_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("framebus.endpoint.kinds.camera.WARM_UP_S", EARLY_S)
    events: list[str] = []
    with CameraSource("test", Device(0.03, 30), 4) as source:
        source.before_frame = lambda: events.append("warm")
        for _ in range(30):
            source.recv(60)
            events.append("frame")
    runs = "".join(event[0] for event in events)
    assert runs.count("f") == 30
    assert runs.index("w") >= 5, "there were four intervals before"
    assert "ww" not in runs.rstrip("w")
    assert runs.count("w") > 5


def test_a_paced_source_calls_before_frame_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framebus.endpoint.paced_source.WARM_UP_S", EARLY_S)
    events: list[str] = []
    with framebus.source("pattern:bars?count=15&fps=20&width=64&height=48") as source:
        source.before_frame = lambda: events.append("warm")  # type: ignore[attr-defined]
        events.extend("frame" for _ in source)
    runs = "".join(event[0] for event in events)
    assert runs.count("f") == 15
    assert "ww" not in runs
    assert runs.count("w") > 5


def test_a_paced_source_calls_before_frame_once_where_recv_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framebus.endpoint.paced_source.WARM_UP_S", EARLY_S)
    calls: list[int] = []
    with framebus.source("pattern:bars?count=3&fps=5&width=64&height=48") as source:
        source.before_frame = lambda: calls.append(1)  # type: ignore[attr-defined]
        frames = 0
        while frames < 3:
            try:
                source.recv(0.001)
            except framebus.Timeout:
                continue
            frames += 1
    assert len(calls) <= 3


@pytest.mark.parametrize("what", ["close", "recv"])
def test_before_frame_may_use_its_source(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr("framebus.endpoint.paced_source.WARM_UP_S", 0.1)
    got: list[int] = []
    called: list[int] = []  # how many frames had come before

    with framebus.source("pattern:bars?count=5&fps=2&width=64&height=48") as source:

        def before_frame() -> None:
            source.before_frame = None  # type: ignore[attr-defined]
            called.append(len(got))
            if what == "close":
                source.close()
            else:
                got.append(source.recv().seq)

        source.before_frame = before_frame  # type: ignore[attr-defined]
        for frame in source:
            got.append(frame.seq)  # noqa: PERF401 - before_frame adds to it, too
    assert len(called) == 1
    if what == "close":
        assert got == list(range(1, called[0] + 1))
    else:
        assert sorted(got) == [1, 2, 3, 4, 5]


def test_a_relay_leaves_a_before_frame_of_the_program_alone(channel_name: str) -> None:
    def mine() -> None:
        """What the program wants called."""

    with (
        framebus.source("pattern:bars?count=2&fps=20&width=64&height=48") as source,
        framebus.Publisher(channel_name) as sink,
    ):
        source.before_frame = mine  # type: ignore[attr-defined]
        framebus.relay(source, sink)
        assert source.before_frame is mine  # type: ignore[attr-defined]


def test_a_relay_takes_no_attribute_of_another_sink_for_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(BaseSink):
        warm_up = 30  # of its own, in seconds

        def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
            """Takes it."""

    monkeypatch.setattr("framebus.endpoint.paced_source.WARM_UP_S", EARLY_S)
    with framebus.source("pattern:bars?count=5&fps=20&width=64&height=48") as source, Other("other:") as sink:
        assert framebus.relay(source, sink).frames == 5


@pytest.mark.parametrize(("how", "loans"), [("send", 0), ("loan", 1)])
def test_it_goes_the_way_of_the_last_frame(
    channel_name: str, monkeypatch: pytest.MonkeyPatch, how: str, loans: int
) -> None:
    freed: list[int] = []
    with framebus.Publisher(channel_name) as publisher:
        for earlier in ("loan", "send"):
            send(publisher, earlier, 1)
        send(publisher, how, 2)
        monkeypatch.setattr(framebus.Loan, "__del__", lambda self: freed.append(id(self)), raising=False)
        publisher.warm_up()
        assert len(freed) == loans


def test_a_source_that_does_not_wait_calls_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    framebus.relay("pattern:bars?count=15&fps=1000&width=64&height=48", f"video:{path}")
    with framebus.source(f"video:{path}?pace=fast") as source:
        source.before_frame = lambda: pytest.fail("it knows no pace")  # type: ignore[attr-defined]
        assert len(list(source)) == 15


def test_a_relay_lets_its_publisher_warm_up_and_takes_that_back(
    channel_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framebus.endpoint.paced_source.WARM_UP_S", EARLY_S)

    class Counting(framebus.Publisher):
        warmed = 0

        def warm_up(self) -> None:
            self.warmed += 1
            super().warm_up()

    with (
        framebus.source("pattern:bars?count=15&fps=20&width=64&height=48") as source,
        Counting(channel_name) as publisher,
        framebus.Subscriber(channel_name, every=True, history=HISTORY) as subscriber,
    ):
        assert framebus.relay(source, publisher).frames == 15
        assert publisher.warmed > 5
        assert source.before_frame is None  # type: ignore[attr-defined]
        assert subscriber.statistics().dropped == 0
        assert publisher.statistics().frames == 15
