# SPDX-License-Identifier: Apache-2.0
"""How a subscriber waits: who spins and who sleeps, what that costs, and when the publisher makes a system call."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import framebus
from framebus import _core
from framebus.frames.frame import _warm_up

PICTURE = np.zeros(64, np.uint8)
PERIOD_S = 0.005
RHYTHM = 60  # frames; enough to learn a rhythm


def send_in_rhythm(publisher: framebus.Publisher, frames: int) -> threading.Thread:
    """Starts sending one frame every PERIOD_S, on a grid; a busy machine may delay any of them."""

    def send() -> None:
        due = time.monotonic()
        for _ in range(frames):
            due += PERIOD_S
            time.sleep(max(0.0, due - time.monotonic()))
            publisher.send(PICTURE)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def test_who_parks_never_spins_and_sleeps_for_every_frame_it_waits_for(channel_name: str) -> None:
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, wait="park") as subscriber,
    ):
        thread = send_in_rhythm(publisher, 20)
        assert [subscriber.recv(30.0).seq for _ in range(20)] == list(range(1, 21))
        thread.join()
        assert subscriber.statistics().spun_s == 0.0
        assert subscriber.statistics().sleeps > 0


def test_who_spins_never_sleeps_and_costs_the_publisher_no_system_call(channel_name: str) -> None:
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, wait="spin") as subscriber,
    ):
        thread = send_in_rhythm(publisher, 20)
        assert [subscriber.recv(30.0).seq for _ in range(20)] == list(range(1, 21))
        thread.join()
        assert subscriber.statistics().sleeps == 0
        assert subscriber.statistics().spun_s > 0.0
        assert publisher.statistics().wakeups == 0


def test_nobody_asleep_costs_no_system_call(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for _ in range(50):
            publisher.send(PICTURE)
            assert subscriber.try_recv() is not None
        assert publisher.statistics().wakeups == 0


def test_one_system_call_wakes_all_who_sleep(channel_name: str) -> None:
    frames, readers = 30, 4
    got: list[list[int]] = [[] for _ in range(readers)]
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        subscribers = [framebus.Subscriber(channel_name, every=True, wait="park") for _ in range(readers)]

        def receive(mine: int) -> None:
            got[mine] += [subscribers[mine].recv(30.0).seq for _ in range(frames)]

        threads = [threading.Thread(target=receive, args=(mine,)) for mine in range(readers)]
        for thread in threads:
            thread.start()
        send_in_rhythm(publisher, frames).join()
        for thread in threads:
            thread.join()
        assert got == [list(range(1, frames + 1))] * readers
        assert 0 < publisher.statistics().wakeups <= frames
        for subscriber in subscribers:
            subscriber.close()


@pytest.mark.parametrize("every", [False, True])
def test_predictive_spins_once_it_knows_the_rhythm_and_stops_when_the_source_does(
    channel_name: str, every: bool
) -> None:
    with (
        framebus.Publisher(channel_name, slots=100) as publisher,
        framebus.Subscriber(channel_name, every=every, wait="predictive", max_spin=0.002) as subscriber,
    ):
        last = 0
        for end in range(RHYTHM, 20 * RHYTHM, RHYTHM):  # on a busy machine the rhythm is uneven for a while
            thread = send_in_rhythm(publisher, RHYTHM)
            while last < end:
                seq = subscriber.recv(30.0).seq
                assert seq > last
                last = seq
            thread.join()
            learned = subscriber.statistics()
            if learned.spun_s > 0.0:
                break
        assert learned.spun_s > 0.0
        assert learned.sleeps > 0

        for _ in range(2):  # one window may still be spun over, in the first
            with pytest.raises(framebus.Timeout):
                subscriber.recv(timeout=4 * PERIOD_S)
            stopped, before = subscriber.statistics(), learned
            learned = stopped
        assert stopped.spun_s == before.spun_s, "it spins although the source has stopped"
        assert stopped.sleeps > before.sleeps


def test_python_warms_up_before_a_frame_is_due_and_a_fault_in_that_costs_no_frame(
    channel_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[np.ndarray[Any, Any]] = []
    told: list[object] = []

    def warm_up(array: np.ndarray[Any, Any]) -> None:
        seen.append(array)
        raise ValueError("a warm-up that fails")

    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))
    _core.set_frame_class(framebus.Frame, warm_up)
    try:
        with (
            framebus.Publisher(channel_name, on_full="block") as publisher,
            framebus.Subscriber(channel_name, every=True, wait="predictive", max_spin=0.002) as subscriber,
        ):
            for begin in range(1, 20 * RHYTHM, RHYTHM):  # on a busy machine the rhythm is uneven for a while
                thread = send_in_rhythm(publisher, RHYTHM)
                assert [subscriber.recv(30.0).seq for _ in range(RHYTHM)] == list(range(begin, begin + RHYTHM))
                thread.join()
                if seen:
                    break
    finally:
        _core.set_frame_class(framebus.Frame, _warm_up)
    assert seen
    assert all(array.shape == (1,) for array in seen)
    assert [str(error) for error in told] == ["a warm-up that fails"] * len(seen)


def test_predictive_with_nothing_to_spin_sleeps_and_gets_everything(channel_name: str) -> None:
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, wait="predictive", max_spin=0.0) as subscriber,
    ):
        thread = send_in_rhythm(publisher, RHYTHM)
        assert [subscriber.recv(30.0).seq for _ in range(RHYTHM)] == list(range(1, RHYTHM + 1))
        thread.join()
        assert subscriber.statistics().spun_s == 0.0


def test_adaptive_with_nothing_to_spin_never_does(channel_name: str) -> None:
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, max_spin=0) as subscriber,
    ):
        thread = send_in_rhythm(publisher, 20)
        for _ in range(20):
            subscriber.recv(30.0)
        thread.join()
        assert subscriber.statistics().spun_s == 0.0


def test_what_was_spun_and_slept_is_known_after_close(channel_name: str) -> None:
    with framebus.Publisher(channel_name):
        subscriber = framebus.Subscriber(channel_name, wait="spin")
        with pytest.raises(framebus.Timeout):
            subscriber.recv(timeout=0.01)
        subscriber.close()
        assert subscriber.statistics().spun_s > 0.0


@pytest.mark.parametrize("bad", [-0.001, 1.5, float("nan"), float("inf")])
def test_impossible_max_spin_is_refused_with_its_range(channel_name: str, bad: float) -> None:
    with framebus.Publisher(channel_name), pytest.raises(ValueError, match="max_spin must be 0 to 1 seconds, got"):
        framebus.Subscriber(channel_name, max_spin=bad)
