# SPDX-License-Identifier: Apache-2.0
"""Threads of one program may share a publisher or a subscriber, and waiting leaves the interpreter to the others."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import framebus

THREADS = 4


def run_together(works: list[Callable[[], None]]) -> None:
    """Run all of them at once, each in a thread; what one raises is raised here."""
    raised: list[BaseException] = []
    start = threading.Barrier(len(works))

    def guarded(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


@pytest.mark.parametrize("wait", ["park", "spin", "adaptive"])
@pytest.mark.parametrize("how", ["recv", "try_recv", "iteration"])
def test_each_frame_goes_to_exactly_one_of_the_threads_that_share_a_subscriber(
    channel_name: str, how: str, wait: Any
) -> None:
    count = 2000
    seen: list[list[tuple[int, int, int]]] = [[] for _ in range(THREADS)]

    def frames(subscriber: framebus.Subscriber) -> Iterator[framebus.Frame]:
        if how == "iteration":
            yield from subscriber
            return
        with contextlib.suppress(framebus.ChannelClosed):
            while True:
                if how == "recv":
                    yield subscriber.recv()
                elif (frame := subscriber.try_recv()) is not None:
                    yield frame
                else:
                    time.sleep(0)

    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, hold=16, reconnect=False, wait=wait) as subscriber,
    ):

        def send() -> None:
            for number in range(1, count + 1):
                publisher.send(np.full(64, number % 251, np.uint8))
            publisher.close()

        def fetch(thread: int) -> None:
            for frame in frames(subscriber):
                seen[thread].append((frame.seq, int(frame.array.min()), int(frame.array.max())))
                frame.release()

        run_together([send, *(lambda thread=thread: fetch(thread) for thread in range(THREADS))])
        statistics = subscriber.statistics()
    fetched = sorted(entry for thread in seen for entry in thread)
    assert fetched == [(number, number % 251, number % 251) for number in range(1, count + 1)]
    assert all(entries == sorted(entries) for entries in seen)
    assert (statistics.frames, statistics.missed, statistics.dropped, statistics.held) == (count, 0, 0, 0)


def test_frames_sent_by_several_threads_are_all_different_and_whole(channel_name: str) -> None:
    each = 300
    sent: list[dict[int, int]] = [{} for _ in range(THREADS)]
    received: dict[int, int] = {}
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True) as subscriber,
    ):

        def send(thread: int) -> None:
            for count in range(each):
                value = thread * each + count
                if count % 3:
                    number = publisher.send(np.full((48, 64), value, np.uint16))
                    sent[thread][number] = value
                else:
                    with publisher.loan((48, 64), "uint16") as loan:
                        loan.array.fill(value)

        def fetch() -> None:
            for _ in range(THREADS * each):
                with subscriber.recv(30.0) as frame:
                    assert frame.array.min() == frame.array.max()
                    assert frame.seq not in received
                    received[frame.seq] = int(frame.array[0, 0])

        run_together([fetch, *(lambda thread=thread: send(thread) for thread in range(THREADS))])
    assert sorted(received) == list(range(1, THREADS * each + 1))
    assert Counter(received.values()) == Counter(range(THREADS * each))
    for numbers in sent:
        assert {number: received[number] for number in numbers} == numbers
        assert list(numbers) == sorted(numbers)


def test_statistics_and_channels_may_be_asked_for_while_others_send_and_fetch(channel_name: str) -> None:
    done = threading.Event()
    with (
        framebus.Publisher(channel_name) as publisher,
        framebus.Subscriber(channel_name) as subscriber,
    ):

        def send() -> None:
            for number in range(2000):
                publisher.send(np.full((48, 64), number % 251, np.uint8))
            done.set()

        def fetch() -> None:
            while not done.is_set():
                if (frame := subscriber.try_recv()) is not None:
                    assert frame.array.min() == frame.array.max()
                    frame.release()

        def ask() -> None:
            last = 0
            while not done.is_set():
                frames = publisher.statistics().frames
                assert frames >= last
                last = frames
                assert subscriber.statistics().held <= 2
                assert channel_name in [channel.name for channel in framebus.channels()]

        run_together([send, fetch, ask])
        assert publisher.statistics().frames == 2000


@pytest.mark.parametrize("wait", ["park", "spin", "adaptive"])
def test_other_threads_run_while_one_waits_for_a_frame(channel_name: str, wait: Any) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, wait=wait) as subscriber:
            numbers: list[int] = []
            ticks = 0

            def tick_and_send() -> None:
                nonlocal ticks
                while ticks < 200:
                    ticks += 1
                    time.sleep(0.0001)
                publisher.send(np.zeros(3))

            run_together([lambda: numbers.append(subscriber.recv().seq), tick_and_send])
            assert (numbers, ticks) == ([1], 200)


def test_views_may_be_dropped_in_any_thread(channel_name: str) -> None:
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name, every=True, hold=32) as subscriber:
            handed_on: list[framebus.Frame] = []
            fetched = threading.Semaphore(0)

            def send() -> None:
                for number in range(1, 1001):
                    publisher.send(np.full(640, number % 251, np.uint8))

            def fetch() -> None:
                for _ in range(1000):
                    while subscriber.statistics().held > 30:
                        time.sleep(0)
                    handed_on.append(subscriber.recv(30.0))
                    fetched.release()

            def drop() -> None:
                for number in range(1, 1001):
                    fetched.acquire()
                    assert handed_on.pop(0).array.max() == number % 251

            run_together([send, fetch, drop])
            assert subscriber.statistics().held == 0
