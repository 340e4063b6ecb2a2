# SPDX-License-Identifier: Apache-2.0
"""A subscriber holds as many frames at once as it said it would, and not one more."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

import framebus

PICTURE = np.zeros((48, 64), np.uint8)


@pytest.mark.parametrize("every", [False, True], ids=["latest", "every"])
@pytest.mark.parametrize("hold", [1, 2, 5, 64])
def test_one_more_than_the_budget_is_refused_at_once_with_the_budget(channel_name: str, hold: int, every: bool) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, hold=hold, every=every) as subscriber:
            frames = []
            for _ in range(hold):
                publisher.send(PICTURE)
                frames.append(subscriber.recv(5.0))
            publisher.send(PICTURE)
            assert subscriber.statistics().held == hold
            for refused in (subscriber.recv, lambda: subscriber.recv(3600.0), subscriber.try_recv):
                with pytest.raises(framebus.TooManyHeld, match=rf"\b{hold}\b"):
                    refused()
            frames.pop(0)
            assert subscriber.recv(5.0).seq == hold + 1, "the refused frame must not be lost"


@pytest.mark.parametrize("how", ["release", "with", "del"])
def test_every_way_of_letting_go_makes_room(channel_name: str, how: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=1) as subscriber:
        for number in range(1, 51):
            publisher.send(PICTURE)
            frame = subscriber.recv(5.0)
            assert frame.seq == number
            if how == "release":
                frame.release()
            elif how == "with":
                with frame:
                    pass
            else:
                del frame


def test_any_view_counts_as_its_frame(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=1) as subscriber:
        publisher.send(PICTURE)
        view: Any = subscriber.recv(5.0).array[3:5]
        publisher.send(PICTURE)
        with pytest.raises(framebus.TooManyHeld):
            subscriber.recv(5.0)
        del view
        assert subscriber.recv(5.0).seq == 2


def test_copies_and_skipped_frames_cost_no_budget(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=1) as subscriber:
        copies = []
        for _ in range(20):
            publisher.send(PICTURE)
            publisher.send(PICTURE)
            copies.append(subscriber.recv(5.0).copy())
        assert [copy.seq for copy in copies] == list(range(2, 41, 2))
        assert subscriber.statistics().held == 0


def test_subscribers_do_not_share_a_budget(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=2, on_full="raise") as publisher:
        subscribers = [framebus.Subscriber(channel_name, hold=hold) for hold in (1, 3, 7)]
        kept = []
        for number in range(1, 8):
            publisher.send(np.full((48, 64), number, np.uint8))
            kept += [
                subscriber.recv(5.0) for subscriber, hold in zip(subscribers, (1, 3, 7), strict=True) if number <= hold
            ]
        for _ in range(1000):
            publisher.send(PICTURE)
        assert [frame.seq for frame in kept] == [frame.array.max() for frame in kept]
        assert publisher.statistics().held == 11
        assert publisher.statistics().dropped == 0
        kept.clear()
        assert publisher.statistics().held == 0
        for subscriber in subscribers:
            subscriber.close()


def test_the_65th_subscriber_is_refused_until_one_of_the_64_leaves(channel_name: str) -> None:
    with framebus.Publisher(channel_name), contextlib.ExitStack() as opened:
        first = framebus.Subscriber(channel_name)
        for _ in range(63):
            opened.enter_context(framebus.Subscriber(channel_name))
        with pytest.raises(framebus.TooManySubscribers, match=r"already has 64 subscribers.*close one of them"):
            framebus.Subscriber(channel_name)
        first.close()
        opened.enter_context(framebus.Subscriber(channel_name))


def test_channel_that_runs_out_of_slots_grows_to_what_all_budgets_together_need(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=2, on_full="raise") as publisher:
        with framebus.Subscriber(channel_name, hold=64) as subscriber, framebus.Subscriber(channel_name, hold=30):
            kept = []
            for _ in range(8):
                publisher.send(PICTURE)
                kept.append(subscriber.recv(5.0))
            assert publisher.statistics().slots >= 64 + 30 + 2
            kept.clear()
