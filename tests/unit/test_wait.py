# SPDX-License-Identifier: Apache-2.0
"""framebus.wait: until one of several subscribers has something new."""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import framebus

PICTURE = np.zeros((48, 64), np.uint8)


class Links:
    """Channels with both ends."""

    def __init__(self, name: str, count: int, **options: Any) -> None:
        self.publishers = [framebus.Publisher(f"{name}-{i}") for i in range(count)]
        self.subscribers = [framebus.Subscriber(f"{name}-{i}", **options) for i in range(count)]

    def close(self) -> None:
        for end in (*self.subscribers, *self.publishers):
            end.close()


@pytest.fixture
def links(channel_name: str) -> Iterator[Links]:
    made = Links(channel_name, 3)
    yield made
    made.close()


def test_those_with_something_new_are_given_in_the_order_they_were_asked_for(links: Links) -> None:
    a, b, c = links.subscribers
    links.publishers[2].send(PICTURE)
    links.publishers[0].send(PICTURE)
    assert framebus.wait([a, b, c]) == [a, c]
    assert framebus.wait((c, b, a)) == [c, a]
    assert framebus.wait(iter([b, c])) == [c]
    assert a.try_recv() is not None
    assert framebus.wait([a, b, c]) == [c]


def test_nothing_is_returned_when_the_time_is_over(links: Links) -> None:
    assert framebus.wait(links.subscribers, timeout=0) == []
    assert framebus.wait(links.subscribers, timeout=0.12) == []


@pytest.mark.parametrize("policy", ["park", "spin", "adaptive", "predictive"])
def test_other_threads_run_and_their_frame_ends_the_wait(channel_name: str, policy: str) -> None:
    links = Links(channel_name, 2, wait=policy)
    with contextlib.closing(links):
        for number in range(1, 21):
            publisher, subscriber = links.publishers[number % 2], links.subscribers[number % 2]
            sending = threading.Thread(target=publisher.send, args=(PICTURE,))
            sending.start()
            assert framebus.wait(links.subscribers) == [subscriber]
            frame = subscriber.try_recv()
            assert frame is not None
            frame.release()
            sending.join()


def test_a_subscriber_closed_by_another_thread_is_returned_and_raises(links: Links) -> None:
    closing = threading.Timer(0.1, links.subscribers[1].close)
    closing.start()
    assert framebus.wait(links.subscribers) == [links.subscribers[1]]
    closing.join()
    with pytest.raises(framebus.ChannelClosed):
        links.subscribers[1].try_recv()
    assert framebus.wait(links.subscribers) == [links.subscribers[1]]


def test_the_end_of_a_publisher_is_something_new_only_without_reconnect(channel_name: str) -> None:
    first, second = f"{channel_name}-1", f"{channel_name}-2"
    with framebus.Publisher(first) as a, framebus.Publisher(second) as b:
        with framebus.Subscriber(first) as going_on, framebus.Subscriber(second, reconnect=False) as ending:
            a.close()
            b.close()
            assert framebus.wait([going_on, ending]) == [ending]
            with pytest.raises(framebus.ChannelClosed):
                ending.try_recv()
            with framebus.Publisher(first) as successor:
                successor.send(PICTURE)
                assert framebus.wait([going_on]) == [going_on]


def test_a_subscriber_that_holds_all_it_may_is_returned_for_it_raises(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=1) as subscriber:
        publisher.send(PICTURE)
        frame = subscriber.recv()
        assert framebus.wait([subscriber], 0) == []
        publisher.send(PICTURE)
        assert framebus.wait([subscriber], 0) == [subscriber]
        with pytest.raises(framebus.TooManyHeld):
            subscriber.try_recv()
        frame.release()


def test_every_frame_of_several_channels_is_received_by_one_loop(channel_name: str) -> None:
    count, frames = 4, 200
    links = Links(channel_name, count, every=True)
    got: list[list[int]] = [[] for _ in range(count)]

    def send(publisher: framebus.Publisher, numbers: list[int]) -> None:
        for number in range(frames):
            while number - len(numbers) > 4:
                tell.wait(1e-4)
            publisher.send(PICTURE)

    tell = threading.Event()
    with contextlib.closing(links):
        threads = [threading.Thread(target=send, args=pair) for pair in zip(links.publishers, got, strict=True)]
        for thread in threads:
            thread.start()
        while sum(map(len, got)) < count * frames:
            for subscriber in framebus.wait(links.subscribers):
                while (frame := subscriber.try_recv()) is not None:
                    got[links.subscribers.index(subscriber)].append(frame.seq)
                    frame.release()
        for thread in threads:
            thread.join()
    assert got == [list(range(1, frames + 1))] * count


def test_wrong_arguments_are_refused(links: Links) -> None:
    with pytest.raises(ValueError, match="no subscriber"):
        framebus.wait([])
    with pytest.raises(ValueError, match="timeout"):
        framebus.wait(links.subscribers, timeout=-1)
    with pytest.raises(TypeError, match="Publisher"):
        framebus.wait([links.publishers[0]])  # type: ignore[list-item]


def test_descriptor_that_is_made_after_the_end_says_so(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name) as subscriber:
        publisher.close()
        assert select.select([subscriber.fileno()], [], [], 30.0)[0]
