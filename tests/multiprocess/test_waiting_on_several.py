# SPDX-License-Identifier: Apache-2.0
"""wait() and recv_async() between programs: publishers killed while they wait, replaced, removed; waiters killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.harness import Program, Programs, Refused

import framebus

SHAPE = [8, 8]
WAITS: dict[str, dict[str, Any]] = {
    "wait": {"command": "wait"},
    "recv_async": {"command": "recv_async"},
    "recv_async in trio": {"command": "recv_async", "library": "trio"},
}


@pytest.fixture(params=WAITS.values(), ids=WAITS.keys())
def how(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


def begin(subscriber: Program, how: dict[str, Any], **arguments: object) -> None:
    """Have it wait, and come back when it does."""
    subscriber.tell(**how, **arguments)
    subscriber.expect("waiting")


def test_a_frame_of_another_program_ends_the_wait(programs: Programs, channel_name: str, how: dict[str, Any]) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name)
    for number in (1, 2, 3):
        begin(subscriber, how)
        publisher.ask("send", shape=SHAPE, fill=number)
        assert subscriber.answer()["seq"] == number


def test_publisher_killed_during_the_wait_is_told(programs: Programs, channel_name: str, how: dict[str, Any]) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, reconnect=False)
    begin(subscriber, how)
    publisher.kill()
    with pytest.raises(Refused) as refused:
        subscriber.answer()
    assert refused.value.error == "PublisherDied"


def test_the_next_publisher_ends_the_wait(programs: Programs, channel_name: str, how: dict[str, Any]) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name)
    publisher.ask("send", shape=SHAPE)
    assert subscriber.ask("recv")["seq"] == 1
    begin(subscriber, how)
    publisher.kill()
    programs.publisher(channel_name).ask("send", shape=SHAPE)
    assert subscriber.answer()["seq"] == 2


def test_a_channel_removed_by_hand_and_made_again_ends_the_wait(
    programs: Programs, channel_name: str, how: dict[str, Any]
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name)
    publisher.ask("send", shape=SHAPE, count=5)
    assert subscriber.ask("recv")["seq"] == 5
    begin(subscriber, how)
    for path in Path("/dev/shm").glob(f"framebus.{channel_name}*"):
        if "quiet" not in path.name:
            path.unlink()
    publisher.kill()
    programs.publisher(channel_name).ask("send", shape=SHAPE)
    assert subscriber.answer()["seq"] == 1


def test_the_end_of_the_time_is_told_as_by_recv(programs: Programs, channel_name: str, how: dict[str, Any]) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name)
    publisher.kill()
    if how["command"] == "wait":
        assert subscriber.ask(**how, timeout=0.1) is None
        return
    with pytest.raises(Refused) as refused:
        subscriber.ask(**how, timeout=0.1)
    assert refused.value.error == "Timeout"
    assert "died and no other came within 0.1 s" in str(refused.value)


def test_the_publisher_goes_on_when_those_who_wait_are_killed(
    programs: Programs, channel_name: str, how: dict[str, Any]
) -> None:
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        for number in range(3):
            victim = programs.subscriber(channel_name, every=True)
            begin(victim, how)
            assert publisher.statistics().subscribers == 1
            victim.kill()
            for _ in range(20):
                publisher.send(bytes(64))
            assert publisher.statistics().subscribers == 0, number
    for path in Path("/dev/shm").glob(f"framebus.{channel_name}-quiet*"):
        path.unlink()
