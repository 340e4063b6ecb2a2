# SPDX-License-Identifier: Apache-2.0
"""A subscriber with `every=True` gets every frame once, in order, whatever it holds and however the channel grows.

The random walks send, fetch and let go in an order drawn from a seed, and compare each step with what must come of it;
the seed is the test's id, so that a walk that fails can be walked again.
"""

from __future__ import annotations

import random
from typing import Literal

import numpy as np
import pytest

import framebus


def picture(number: int, size: int = 64) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full(size, number % 251, np.uint8)


def send_all(publisher: framebus.Publisher, limit: int) -> int:
    """Send until the channel is full or that many frames are there; gives the number of the last."""
    number = publisher.statistics().frames
    try:
        while number < limit:
            number = publisher.send(picture(number + 1), timeout=0)
    except framebus.ChannelFull:
        pass
    return number


@pytest.mark.parametrize("slots", [2, 3, 8])
@pytest.mark.parametrize("hold", [1, 2, 8, 16])
def test_channel_that_grows_while_a_reader_lags_loses_none_of_its_frames(
    channel_name: str, slots: int, hold: int
) -> None:
    with (
        framebus.Publisher(channel_name, slots=slots, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, hold=hold) as subscriber,
    ):
        publisher.send(picture(1))
        first = subscriber.recv(5.0)
        last = send_all(publisher, limit=100)
        assert publisher.statistics().dropped == 0
        first.release()
        for number in range(2, last + 1):
            with subscriber.recv(5.0) as frame:
                assert (frame.seq, set(frame.array.tolist())) == (number, {number % 251})
        assert subscriber.statistics().dropped == 0


@pytest.mark.parametrize("timeout", [0, 0.001])
@pytest.mark.parametrize(("on_full", "is_timeout"), [("raise", False), ("block", True)])
def test_a_full_channel_raises_a_timeout_only_where_a_timeout_ran_out(
    channel_name: str, on_full: Literal["raise", "block"], is_timeout: bool, timeout: float
) -> None:
    text = f"had no room within the timeout of {timeout} s" if is_timeout else "is full"
    with (
        framebus.Publisher(channel_name, slots=2, on_full=on_full) as publisher,
        framebus.Subscriber(channel_name, every=True),
    ):
        last = send_all(publisher, limit=100)
        with pytest.raises(framebus.ChannelFull, match=text) as full:
            publisher.send(picture(last + 1), timeout=timeout)
    assert isinstance(full.value, framebus.Timeout) is is_timeout


class Walk:
    """One publisher and one subscriber, and what is known of the frames between them."""

    def __init__(self, chance: random.Random, publisher: framebus.Publisher, subscriber: framebus.Subscriber) -> None:
        self.chance, self.publisher, self.subscriber = chance, publisher, subscriber
        self.sent = 0
        self.fetched = 0
        self.held: list[framebus.Frame] = []

    def send(self) -> None:
        size = self.chance.choice([64, 64, 64, 64, 5000])
        try:
            self.sent = self.publisher.send(picture(self.sent + 1, size), timeout=0)
        except framebus.ChannelFull:
            assert self.sent > self.fetched, "full although nothing waits to be fetched"

    def fetch(self, budget: int) -> None:
        if len(self.held) == budget:
            with pytest.raises(framebus.TooManyHeld):
                self.subscriber.try_recv()
            return
        frame = self.subscriber.try_recv()
        if frame is None:
            assert self.fetched == self.sent, "a frame that was sent is not there"
            return
        self.fetched += 1
        assert frame.seq == self.fetched
        self.held.append(frame)

    def let_go(self) -> None:
        if self.held:
            self.held.pop(self.chance.randrange(len(self.held)))

    def check(self) -> None:
        assert all((frame.array == frame.seq % 251).all() for frame in self.held), "a frame changed while it was held"
        assert self.subscriber.statistics().held == len(self.held)
        assert self.subscriber.statistics().frames == self.fetched
        assert self.subscriber.statistics().dropped == self.publisher.statistics().dropped == 0


@pytest.mark.parametrize("seed", range(60))
def test_random_walk_with_block_loses_nothing(channel_name: str, seed: int) -> None:
    chance = random.Random(seed)
    slots, hold = chance.choice([2, 3, 4, 8]), chance.choice([1, 2, 4, 8, 16])
    with (
        framebus.Publisher(channel_name, slots=slots, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, hold=hold) as subscriber,
    ):
        walk = Walk(chance, publisher, subscriber)
        for _ in range(200):
            step = chance.choices(["send", "fetch", "let go"], [5, 3, 2])[0]
            if step == "send":
                walk.send()
            elif step == "fetch":
                walk.fetch(hold)
            else:
                walk.let_go()
            walk.check()
        walk.held.clear()


@pytest.mark.parametrize("seed", range(30))
def test_random_walk_with_drop_accounts_for_every_frame(channel_name: str, seed: int) -> None:
    chance = random.Random(1000 + seed)
    slots, hold = chance.choice([2, 3, 4, 8]), chance.choice([1, 2, 4, 8])
    with (
        framebus.Publisher(channel_name, slots=slots, on_full="drop") as publisher,
        framebus.Subscriber(channel_name, every=True, hold=hold) as subscriber,
    ):
        held: list[framebus.Frame] = []
        sent = last = fetched = 0
        for _ in range(300):
            step = chance.choices(["send", "fetch", "let go"], [5, 3, 2])[0]
            if step == "send":
                sent = publisher.send(picture(sent + 1))
            elif step == "let go" and held:
                held.pop(chance.randrange(len(held)))
            elif len(held) < hold and (frame := subscriber.try_recv()) is not None:
                assert frame.seq > last
                last, fetched = frame.seq, fetched + 1
                held.append(frame)
                del frame
                assert subscriber.statistics().dropped == last - fetched
            assert all((frame.array == frame.seq % 251).all() for frame in held)
        held.clear()
        while (frame := subscriber.try_recv()) is not None:
            last, fetched = frame.seq, fetched + 1
            frame.release()
        assert last == sent == publisher.statistics().frames
        assert subscriber.statistics().dropped == publisher.statistics().dropped == sent - fetched
