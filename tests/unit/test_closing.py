# SPDX-License-Identifier: Apache-2.0
"""What happens at the end: of a publisher, of a subscriber, of the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebus

PICTURE = np.zeros((48, 64), np.uint8)


def files(name: str) -> list[Path]:
    return list(Path("/dev/shm").glob(f"framebus.{name}*"))


def test_closing_twice_is_fine_and_closed_says_so(channel_name: str) -> None:
    ends: list[Any] = [framebus.Publisher(channel_name), framebus.Subscriber(channel_name)]
    for end in ends:
        assert not end.closed
        end.close()
        assert end.closed
        end.close()
        assert end.name == channel_name


PUBLISHER_CALLS: dict[str, Callable[[framebus.Publisher], Any]] = {
    "send": lambda publisher: publisher.send(PICTURE),
    "loan": lambda publisher: publisher.loan((3,)),
}
SUBSCRIBER_CALLS: dict[str, Callable[[framebus.Subscriber], Any]] = {
    "recv": lambda subscriber: subscriber.recv(5.0),
    "try_recv": lambda subscriber: subscriber.try_recv(),
    "fileno": lambda subscriber: subscriber.fileno(),
}


@pytest.mark.parametrize("call", PUBLISHER_CALLS.values(), ids=PUBLISHER_CALLS.keys())
def test_closed_publisher_refuses_to_be_used(channel_name: str, call: Callable[[framebus.Publisher], Any]) -> None:
    publisher = framebus.Publisher(channel_name)
    publisher.close()
    with pytest.raises(framebus.ChannelClosed, match=channel_name):
        call(publisher)


@pytest.mark.parametrize("call", SUBSCRIBER_CALLS.values(), ids=SUBSCRIBER_CALLS.keys())
@pytest.mark.parametrize("reconnect", [True, False], ids=["reconnect", "no reconnect"])
def test_closed_subscriber_refuses_to_be_used(
    channel_name: str, call: Callable[[framebus.Subscriber], Any], reconnect: bool
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        subscriber = framebus.Subscriber(channel_name, reconnect=reconnect)
        publisher.send(PICTURE)
        subscriber.close()
        with pytest.raises(framebus.ChannelClosed, match=channel_name):
            call(subscriber)


@pytest.mark.parametrize("publisher_first", [True, False])
def test_last_one_out_removes_the_files(channel_name: str, publisher_first: bool) -> None:
    ends: list[Any] = [framebus.Publisher(channel_name), framebus.Subscriber(channel_name)]
    ends[0].send(PICTURE)
    if not publisher_first:
        ends.reverse()
    ends[0].close()
    assert files(channel_name)
    ends[1].close()
    assert not files(channel_name)


def test_ends_that_are_forgotten_close_by_themselves(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    subscriber = framebus.Subscriber(channel_name)
    publisher.send(PICTURE)
    view = subscriber.recv(5.0).array
    del publisher, subscriber
    assert view.max() == 0
    del view
    assert not files(channel_name)


def test_growth_leaves_no_old_files_behind(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=8) as subscriber:
        kept = []
        for size in (10, 10_000, 1_000_000, 5_000_000):
            publisher.send(np.zeros(size, np.uint8))
            kept.append(subscriber.recv(5.0))
        assert len(files(channel_name)) == 2
        kept.clear()


def test_iteration_delivers_what_is_left_and_ends_when_the_publisher_closes(channel_name: str) -> None:
    for reconnect in (True, False):
        publisher = framebus.Publisher(channel_name)
        with framebus.Subscriber(channel_name, every=True, reconnect=reconnect) as subscriber:
            first = publisher.send(PICTURE)
            publisher.send(PICTURE)
            publisher.close()
            assert [frame.seq for frame in subscriber] == [first, first + 1]
            assert [frame.seq for frame in subscriber] == []


def test_recv_without_reconnect_delivers_what_is_left_and_then_raises(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name, every=True, reconnect=False) as subscriber:
        publisher.send(PICTURE)
        publisher.send(PICTURE)
        publisher.close()
        assert [subscriber.recv(5.0).seq for _ in range(2)] == [1, 2]
        for call in (subscriber.recv, subscriber.try_recv):
            with pytest.raises(framebus.ChannelClosed, match=channel_name):
                call()


def test_recv_with_reconnect_goes_on_with_the_next_publisher_of_that_name(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name) as subscriber:
        for number in range(1, 6):
            assert publisher.send(PICTURE) == number
            assert subscriber.recv(5.0).seq == number
            publisher.close()
            assert subscriber.try_recv() is None
            with pytest.raises(framebus.ChannelClosed, match=channel_name):
                subscriber.recv(0.02)
            publisher = framebus.Publisher(channel_name)
    publisher.close()


def test_subscriber_comes_and_goes_without_touching_the_channel(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for number in range(1, 301):
            with framebus.Subscriber(channel_name, hold=8) as subscriber:
                assert publisher.send(PICTURE) == number
                assert subscriber.recv(5.0).seq == number
        assert publisher.statistics().subscribers == 0
        assert publisher.statistics().slots < 100


def test_channel_may_be_made_and_closed_again_and_again(channel_name: str) -> None:
    for _ in range(200):
        with framebus.Publisher(channel_name) as publisher:
            with framebus.Subscriber(channel_name) as subscriber:
                publisher.send(PICTURE)
                assert subscriber.recv(5.0).seq == 1


@pytest.mark.parametrize("reconnect", [True, False], ids=["reconnect", "no reconnect"])
def test_subscriber_closed_by_another_thread_wakes_the_one_that_waits(channel_name: str, reconnect: bool) -> None:
    raised: list[BaseException] = []
    with framebus.Publisher(channel_name):
        subscriber = framebus.Subscriber(channel_name, reconnect=reconnect)
        entered = threading.Event()

        def wait() -> None:
            entered.set()
            try:
                subscriber.recv()
            except BaseException as error:
                raised.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        entered.wait()
        subscriber.close()
        waiting.join()
    assert [type(error) for error in raised] == [framebus.ChannelClosed]


def test_publisher_closed_by_another_thread_wakes_the_one_that_waits(channel_name: str) -> None:
    raised: list[BaseException] = []
    publisher = framebus.Publisher(channel_name, on_full="block")
    with framebus.Subscriber(channel_name, every=True):

        def send() -> None:
            try:
                while True:
                    publisher.send(PICTURE)
            except BaseException as error:
                raised.append(error)

        sending = threading.Thread(target=send)
        sending.start()
        while publisher.statistics().frames < 2:
            pass
        publisher.close()
        sending.join()
    assert [type(error) for error in raised] == [framebus.ChannelClosed]
