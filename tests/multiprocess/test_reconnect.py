# SPDX-License-Identifier: Apache-2.0
"""A publisher closes or dies, another takes the name, and the subscribers carry on without reopening anything."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.harness import Program, Programs, Refused

import framebus

SHAPE = [48, 64]


def close(publisher: Program) -> None:
    publisher.ask("close")


ENDINGS: dict[str, Callable[[Program], None]] = {"closed": close, "was killed": Program.kill}
BOTH_ENDINGS = pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())


@BOTH_ENDINGS
@pytest.mark.parametrize("every", [False, True], ids=["latest", "every"])
def test_subscriber_inside_recv_gets_the_first_frame_of_the_next_publisher(
    programs: Programs, channel_name: str, end: Callable[[Program], None], every: bool
) -> None:
    first = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, every=every)
    assert first.ask("send", shape=SHAPE, fill=1) == 1
    assert subscriber.ask("recv", timeout=30.0)["seq"] == 1
    subscriber.tell("recv")
    subscriber.expect("waiting")
    end(first)
    second = programs.publisher(channel_name)
    assert second.ask("send", shape=SHAPE, fill=2) == 2, "the sequence goes on"
    frame = subscriber.answer()
    assert (frame["seq"], frame["arrays"]["image"][2:]) == (2, [2, 2])
    statistics = subscriber.ask("statistics")
    assert (statistics["frames"], statistics["missed"], statistics["dropped"]) == (2, 0, 0)


@BOTH_ENDINGS
def test_frames_not_yet_fetched_are_delivered_before_the_end_is_noticed(
    programs: Programs, channel_name: str, end: Callable[[Program], None]
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, every=True, reconnect=False)
    publisher.ask("send", shape=SHAPE, count=4)
    end(publisher)
    assert [subscriber.ask("recv", timeout=30.0)["seq"] for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(Refused):
        subscriber.ask("recv", timeout=30.0)
    take_over_and_close(channel_name)


@pytest.mark.parametrize(
    ("end", "error"), [(close, "ChannelClosed"), (Program.kill, "PublisherDied")], ids=ENDINGS.keys()
)
@pytest.mark.parametrize("timeout", [None, 30.0], ids=["without timeout", "with timeout"])
def test_without_reconnect_a_waiting_recv_is_told_how_the_publisher_ended(
    programs: Programs, channel_name: str, end: Callable[[Program], None], error: str, timeout: float | None
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, reconnect=False)
    subscriber.tell("recv", timeout=timeout)
    subscriber.expect("waiting")
    end(publisher)
    with pytest.raises(Refused, match=channel_name) as refusal:
        subscriber.answer()
    assert refusal.value.error == error
    take_over_and_close(channel_name)


@pytest.mark.parametrize(("end", "error"), [(close, "ChannelClosed"), (Program.kill, "Timeout")], ids=ENDINGS.keys())
def test_with_reconnect_recv_waits_until_its_deadline_and_then_says_why(
    programs: Programs, channel_name: str, end: Callable[[Program], None], error: str
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name)
    end(publisher)
    with pytest.raises(Refused) as refusal:
        subscriber.ask("recv", timeout=0.3)
    assert refusal.value.error == error
    assert subscriber.ask("try_recv") is None
    take_over_and_close(channel_name)


@pytest.mark.parametrize("reconnect", [True, False], ids=["reconnect", "no reconnect"])
def test_iteration_ends_when_the_publisher_closes(programs: Programs, channel_name: str, reconnect: bool) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, every=True, reconnect=reconnect)
    subscriber.tell("iterate")
    publisher.ask("send", shape=SHAPE, count=3)
    for seq in (1, 2, 3):
        assert subscriber.expect("frame")["seq"] == seq
    publisher.ask("close")
    assert subscriber.answer() == [1, 2, 3]


def test_iteration_goes_on_with_the_next_publisher_when_one_was_killed(programs: Programs, channel_name: str) -> None:
    subscriber = None
    for number in range(1, 4):
        publisher = programs.publisher(channel_name)
        if subscriber is None:
            subscriber = programs.subscriber(channel_name, every=True)
            subscriber.tell("iterate")
        assert publisher.ask("send", shape=SHAPE) == number
        assert subscriber.expect("frame")["seq"] == number
        publisher.kill()
    assert subscriber is not None
    take_over_and_close(channel_name)
    assert subscriber.answer() == [1, 2, 3]


def test_iteration_is_told_of_the_death_without_reconnect(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, every=True, reconnect=False)
    subscriber.tell("iterate")
    publisher.ask("send", shape=SHAPE)
    subscriber.expect("frame")
    publisher.kill()
    with pytest.raises(Refused) as refusal:
        subscriber.answer()
    assert refusal.value.error == "PublisherDied"
    take_over_and_close(channel_name)


def test_last_good_frame_of_a_killed_publisher_is_there_for_a_newcomer(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=SHAPE, fill=77, count=5)
    publisher.ask("begin_loan", shape=SHAPE, fill=99)
    publisher.kill()
    with framebus.Subscriber(channel_name) as newcomer:
        frame = newcomer.recv(30.0)
        assert (frame.seq, set(frame.array.ravel().tolist())) == (5, {77})
    take_over_and_close(channel_name)


def test_successor_of_a_publisher_killed_with_nobody_attached_keeps_the_sequence_going(
    programs: Programs, channel_name: str
) -> None:
    for number in range(1, 6):
        publisher = programs.publisher(channel_name)
        assert publisher.ask("send", shape=SHAPE) == number
        publisher.kill()
    take_over_and_close(channel_name)


def test_subscriber_that_was_killed_comes_back_to_the_same_channel(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    for number in range(1, 6):
        subscriber = programs.subscriber(channel_name)
        assert publisher.ask("send", shape=SHAPE) == number
        assert subscriber.ask("recv", timeout=30.0)["seq"] == number
        subscriber.kill()
    assert publisher.ask("statistics")["subscribers"] == 0


def take_over_and_close(name: str) -> None:
    """Become the publisher after one that was killed and close, which removes the files."""
    framebus.Publisher(name).close()
