# SPDX-License-Identifier: Apache-2.0
"""`history=N` begins N frames back, as far as they are still there; without it a newcomer does not look back."""

from __future__ import annotations

import numpy as np
import pytest

import framebus


def send(publisher: framebus.Publisher, count: int, shape: tuple[int, ...] = (48, 64)) -> None:
    for _ in range(count):
        publisher.send(np.zeros(shape, np.uint8))


def fetch(subscriber: framebus.Subscriber) -> list[int]:
    """Fetch what is there; gives the numbers."""
    numbers = []
    while (frame := subscriber.try_recv()) is not None:
        numbers.append(frame.seq)
        frame.release()
    return numbers


@pytest.mark.parametrize(("every", "expected"), [(False, [5]), (True, [])], ids=["latest", "every"])
def test_without_history_a_newcomer_gets_the_newest_frame_or_only_those_to_come(
    channel_name: str, every: bool, expected: list[int]
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, 5)
        with framebus.Subscriber(channel_name, every=every) as subscriber:
            assert fetch(subscriber) == expected
            send(publisher, 1)
            assert fetch(subscriber) == [6]


@pytest.mark.parametrize("history", [1, 2, 3, 5])
def test_history_begins_that_many_frames_back_and_goes_on_without_a_gap(channel_name: str, history: int) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, 5)
        with framebus.Subscriber(channel_name, every=True, history=history) as subscriber:
            send(publisher, 1)
            assert fetch(subscriber) == list(range(6 - history, 7))


@pytest.mark.parametrize("history", [1, 3, 5])
def test_first_frame_of_a_subscriber_of_the_latest_is_that_many_back(channel_name: str, history: int) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, 5)
        with framebus.Subscriber(channel_name, history=history) as subscriber:
            assert subscriber.recv(5.0).seq == 6 - history
            numbers = fetch(subscriber)
            assert numbers == sorted(set(numbers))
            assert numbers == [] if history == 1 else numbers[-1] == 5


def test_history_of_more_than_there_ever_was_begins_at_the_first_frame(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, 4)
        with framebus.Subscriber(channel_name, every=True, history=1024) as subscriber:
            assert fetch(subscriber) == [1, 2, 3, 4]


def test_history_of_more_than_the_ring_keeps_begins_at_the_oldest_frame_left(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        send(publisher, 50)
        with framebus.Subscriber(channel_name, every=True, history=1024) as subscriber:
            numbers = fetch(subscriber)
            assert numbers == list(range(numbers[0], 51))
            assert 1 < len(numbers) < 50
            assert subscriber.statistics().dropped == 0
            assert subscriber.statistics().missed == 0


def test_history_on_a_channel_without_frames_begins_with_the_first(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, every=True, history=3) as subscriber:
            assert fetch(subscriber) == []
            send(publisher, 2)
            assert fetch(subscriber) == [1, 2]


def test_wish_for_history_is_remembered_for_large_frames(channel_name: str) -> None:
    large = (1080, 1920)
    with framebus.Publisher(channel_name, slots=8) as publisher:
        send(publisher, 3, large)
        with framebus.Subscriber(channel_name, history=4) as first:
            send(publisher, 20, large)
            with framebus.Subscriber(channel_name, every=True, history=4) as second:
                assert fetch(second) == [20, 21, 22, 23]
            assert fetch(first)[-1] == 23


def test_frames_of_the_past_are_whole(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for number in range(1, 6):
            publisher.send(np.full((48, 64), number, np.uint8), meta={"number": number})
        with framebus.Subscriber(channel_name, every=True, history=5) as subscriber:
            for number in range(1, 6):
                frame = subscriber.recv(5.0)
                assert set(frame.array.ravel().tolist()) == {number}
                assert frame.meta == {"number": number}
