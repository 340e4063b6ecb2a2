# SPDX-License-Identifier: Apache-2.0
"""A frame is counted as dropped by the publisher exactly if its reader never gets it, wherever the publisher pauses.

The publisher stops at a step between the mark in a slot and its decision (tests/crash/role.cpp, FRAMEBUS_STOP_AT), as
one does from which the system takes the processor just there. Meanwhile readers of this process look for frames.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.started import Started

import framebus

PATIENCE = 30.0  # seconds; a watchdog
FRAMES = 12
SLOTS = 4
FIRST = SLOTS + 3  # the first slots are free, and marked twice where they have no pages yet
MARKED = [f"claim:marked:{n}" for n in range(FIRST, FRAMES + 3)]


@contextmanager
def stopped(role: Path, name: str, stop_at: str, crash_at: str = "") -> Iterator[tuple[Started, framebus.Subscriber]]:
    """A publisher that has stopped at the step, and a subscriber that has not taken any of its frames yet."""
    with Started(
        role, "drop", name, FRAMES, env={"FRAMEBUS_STOP_AT": stop_at, "FRAMEBUS_CRASH_AT": crash_at}
    ) as publisher:
        assert publisher.line() == "ready"
        with framebus.Subscriber(name, every=True, hold=1) as subscriber:
            publisher.tell()
            _, status = os.waitpid(publisher.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), f"it never came to {stop_at}"
            yield publisher, subscriber


def taken(subscriber: framebus.Subscriber) -> list[int]:
    """Takes all frames that are there now."""
    found = []
    while (frame := subscriber.try_recv()) is not None:
        assert (frame.array == frame.seq % 251).all()
        found.append(frame.seq)
        frame.release()
    return found


@pytest.mark.parametrize("stop_at", MARKED)
def test_a_reader_waits_for_the_decision_and_both_sides_count_alike(
    role: Path, channel_name: str, stop_at: str
) -> None:
    with stopped(role, channel_name, stop_at) as (publisher, subscriber):
        before = taken(subscriber)
        pending = subscriber.statistics().pending
        publisher.send_signal(signal.SIGCONT)
        _, dropped, _ = publisher.finish()
        after = taken(subscriber)
        assert before == [], "frames after one on which nothing has been decided"
        assert pending > 0
        assert after[-1] == FRAMES
        assert subscriber.statistics().dropped == int(dropped) == FRAMES - len(after)


def test_a_task_that_waits_looks_again_though_the_decision_wakes_nobody(role: Path, channel_name: str) -> None:
    async def first() -> int:
        waiting = asyncio.ensure_future(subscriber.recv_async())  # one with a timeout looks at its end, too
        await asyncio.sleep(0)  # it has looked now
        publisher.send_signal(signal.SIGCONT)
        return (await asyncio.wait_for(waiting, PATIENCE)).seq

    # It is killed after the decision, so that no later frame wakes the task.
    with stopped(role, channel_name, MARKED[0], f"claim:taken:{FIRST}") as (publisher, subscriber):
        assert asyncio.run(first()) == 2
        assert publisher.finish()[0] == -signal.SIGKILL
    framebus.Publisher(channel_name).close()  # cleans up


@pytest.mark.parametrize("successor", [False, True], ids=["nobody else", "the next one has sent nothing"])
def test_the_mark_of_a_publisher_that_died_holds_nobody_up(role: Path, channel_name: str, successor: bool) -> None:
    with stopped(role, channel_name, MARKED[0]) as (publisher, subscriber):
        publisher.end()
        if not successor:
            assert taken(subscriber) == [2, 3, 4]
            assert subscriber.statistics().dropped == 1
            framebus.Publisher(channel_name).close()  # cleans up
            return
        with framebus.Publisher(channel_name) as next_one:
            assert subscriber.recv(PATIENCE).seq == 2
            assert taken(subscriber) == [3, 4]
            assert next_one.statistics().subscribers == 1


def test_waits_end_in_time_while_a_publisher_stays_stopped(role: Path, channel_name: str) -> None:
    with stopped(role, channel_name, MARKED[0]) as (publisher, subscriber):
        with pytest.raises(framebus.Timeout):
            subscriber.recv(0.1)
        assert framebus.wait([subscriber], timeout=0.1) == []
        publisher.send_signal(signal.SIGCONT)
        publisher.finish()
        assert taken(subscriber)[-1] == FRAMES


def test_select_finds_the_frames_once_the_publisher_has_decided(role: Path, channel_name: str) -> None:
    with stopped(role, channel_name, MARKED[0], f"claim:taken:{FIRST}") as (publisher, subscriber):
        descriptor = subscriber.fileno()
        assert subscriber.try_recv() is None
        publisher.send_signal(signal.SIGCONT)
        assert publisher.finish()[0] == -signal.SIGKILL
        assert select.select([descriptor], [], [], PATIENCE)[0], "the decision was made, and nobody looks again"
        assert taken(subscriber) == [2, 3, 4]
    framebus.Publisher(channel_name).close()  # cleans up


def test_wait_is_over_once_the_publisher_has_taken_the_slot(role: Path, channel_name: str) -> None:
    with stopped(role, channel_name, MARKED[0], f"claim:taken:{FIRST}") as (publisher, subscriber):
        assert subscriber.try_recv() is None
        publisher.send_signal(signal.SIGCONT)
        assert publisher.finish()[0] == -signal.SIGKILL  # it has taken the slot and will never publish it
        assert framebus.wait([subscriber], timeout=PATIENCE) == [subscriber]
        assert taken(subscriber) == [2, 3, 4]
    framebus.Publisher(channel_name).close()  # cleans up
