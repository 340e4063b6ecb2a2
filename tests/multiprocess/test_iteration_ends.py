# SPDX-License-Identifier: Apache-2.0
"""A loop over a channel ends when the publisher closes, at whatever moment that comes, and with all frames before it.

The reader stops at a step between two looks (tests/crash/iterate.hpp, FRAMEBUS_STOP_AT); meanwhile this process sends
what is left and closes, dies or is replaced; then the reader goes on. What happens once in some thousand loops happens
every time here. The threads at the end try moments that nobody has thought of.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.support.harness import Programs
from tests.support.started import Started

import framebus

PATIENCE = 30.0  # seconds; a watchdog
IMAGE = np.zeros(64, np.uint8)
LOOPS = ["loop", "next", "timed", "brief", "look"]
ENDS_BY_ERROR = ["recv", "try"]
# Where the reader has read that there is no end yet; where it has found nothing; after a slice of sleep.
PLACES = ["recv:ending_read:1", "recv:nothing_found:1", "wait:woken:1", "recv:ending_read:2", "recv:nothing_found:2"]


class Reader:
    """A reader that is stopped at a step until it is let go."""

    def __init__(self, program: Path, stop_at: str, *options: str) -> None:
        self.process = Started(program, "iterate", *options, env={"FRAMEBUS_STOP_AT": stop_at})
        assert self.process.line() == "attached"
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), f"it never came to {stop_at}"

    def go_on(self) -> list[str]:
        """Lets it run to its end; gives what it has printed."""
        self.process.send_signal(signal.SIGCONT)
        return self.process.finish()[1].split()


def places(how: str) -> list[str]:
    """Where a reader of that kind comes by without a frame in the channel."""
    if how in ("try", "look"):
        return ["try_recv:nothing_found:1", "try_recv:ending_read:1", "try_recv:nothing_found:2"]
    return [place for place in PLACES if how != "brief" or not place.startswith("wait")]


LOOPS_AND_PLACES = [(how, place) for how in LOOPS for place in places(how)]


@pytest.mark.parametrize("reconnect", ["once", "again"])
@pytest.mark.parametrize(("how", "place"), LOOPS_AND_PLACES)
def test_a_loop_ends_after_the_frames_that_came_with_the_close(
    role: Path, channel_name: str, how: str, place: str, reconnect: str
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        reader = Reader(role, place, how, channel_name, "every", reconnect)
        for _ in range(3):
            publisher.send(IMAGE)
    assert reader.go_on() == ["1", "2", "3", "ended"]


@pytest.mark.parametrize(("how", "place"), LOOPS_AND_PLACES)
def test_a_loop_ends_where_nothing_came_with_the_close(role: Path, channel_name: str, how: str, place: str) -> None:
    with framebus.Publisher(channel_name):
        reader = Reader(role, place, how, channel_name, "newest", "once")
    assert reader.go_on() == ["ended"]


@pytest.mark.parametrize(("how", "place"), [(how, place) for how in ENDS_BY_ERROR for place in places(how)])
def test_recv_gives_the_frames_that_came_with_the_close_before_it_says_closed(
    role: Path, channel_name: str, how: str, place: str
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        reader = Reader(role, place, how, channel_name, "every", "once")
        for _ in range(3):
            publisher.send(IMAGE)
    assert reader.go_on() == ["1", "2", "3", "channel_closed"]


@pytest.mark.parametrize(("how", "place"), [(how, place) for how in (*LOOPS, *ENDS_BY_ERROR) for place in places(how)])
def test_frames_of_a_publisher_that_died_come_before_its_death(
    role: Path, programs: Programs, channel_name: str, how: str, place: str
) -> None:
    victim = programs.publisher(channel_name)
    reader = Reader(role, place, how, channel_name, "every", "once")
    victim.ask("send", shape=[64], count=3)
    victim.kill()
    assert reader.go_on() == ["1", "2", "3", "publisher_died"]
    framebus.Publisher(channel_name).close()  # cleans up


@pytest.mark.parametrize(("how", "place"), LOOPS_AND_PLACES)
def test_a_loop_without_reconnect_ends_where_the_next_publisher_has_come_already(
    role: Path, channel_name: str, how: str, place: str
) -> None:
    with framebus.Publisher(channel_name):
        reader = Reader(role, place, how, channel_name, "newest", "once")
    with framebus.Publisher(channel_name):
        assert reader.go_on() == ["ended"]


def iterate_in_thread(subscriber: framebus.Subscriber) -> None:
    for _ in subscriber:
        pass


def iterate_with_short_waits(subscriber: framebus.Subscriber) -> None:
    """What a relay and a VideoCapture do."""
    while True:
        try:
            if subscriber._next(0.0005) is None:
                return
        except framebus.Timeout:
            continue


def iterate_in_asyncio(subscriber: framebus.Subscriber) -> None:
    async def loop() -> None:
        async for _ in subscriber:
            pass

    asyncio.run(loop())


@pytest.mark.parametrize("how", [iterate_in_thread, iterate_with_short_waits, iterate_in_asyncio])
@pytest.mark.parametrize("wait", ["park", "adaptive", "spin"])
@pytest.mark.parametrize("reconnect", [False, True])
def test_loops_of_many_threads_end_without_an_error(
    channel_name: str, how: Callable[[framebus.Subscriber], None], wait: str, reconnect: bool
) -> None:
    seen: Counter[str] = Counter()

    def work(subscriber: framebus.Subscriber) -> None:
        try:
            how(subscriber)
            seen["ended"] += 1
        except BaseException as error:
            seen[repr(error)] += 1

    until = time.monotonic() + 1.0  # how long it tries
    rounds = 0
    while time.monotonic() < until or rounds < 5:
        rounds += 1
        with framebus.Publisher(channel_name) as publisher:
            subscribers = [
                framebus.Subscriber(channel_name, reconnect=reconnect, hold=16, wait=wait)  # type: ignore[arg-type]
                for _ in range(2)
            ]
            threads = [threading.Thread(target=work, args=(one,)) for one in subscribers for _ in range(2)]
            for thread in threads:
                thread.start()
            for _ in range(1 + rounds % 40):
                publisher.send(IMAGE)
        for thread in threads:
            thread.join(PATIENCE)
        for one in subscribers:
            one.close()
    assert seen == {"ended": 4 * rounds}
