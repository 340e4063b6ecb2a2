# SPDX-License-Identifier: Apache-2.0
"""The next publisher's mode is what both files of the channel have, whatever the one before asked for.

The users are real, as in test_users.py. A program that may no longer be there is put out: a chmod would leave it the
control block that it has open, so the control block is another file then.
"""

from __future__ import annotations

import mmap
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest
from test_users import FRIEND, OWNER, SHARED_GROUP, STRANGER, facts, publisher_of, refusal, start_as
from tests.support.harness import Programs, Refused
from tests.support.places import Place, needs_root
from tests.support.waiting import WATCHDOG_S

import framebus

PICTURE = np.zeros((4, 4), np.uint8)


def control_path(name: str) -> Path:
    return Path(f"/dev/shm/framebus.{name}")


def modes(name: str) -> dict[str, str]:
    """The modes of a channel's files; a control block's by the empty string, a store's by its generation."""
    prefix = f"framebus.{name}"
    return {
        path.name.removeprefix(prefix): oct(stat.S_IMODE(path.stat().st_mode))
        for path in sorted(Path("/dev/shm").glob(f"{prefix}*"))
    }


CHANGES = [
    (0o666, 0o600),
    (0o660, 0o600),
    (0o666, 0o660),
    (0o644, 0o600),
    (0o600, 0o666),
    (0o600, 0o640),
    (0o640, 0o644),
]


@pytest.mark.parametrize(("first", "second"), CHANGES, ids=lambda mode: f"{mode:o}")
@pytest.mark.parametrize("umask", [0o000, 0o077], ids=oct)
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "closed"])
def test_both_files_have_the_next_publishers_mode_before_and_after_its_first_frame(
    programs: Programs, channel_name: str, first: int, second: int, umask: int, killed: bool
) -> None:
    publisher = programs.publisher(channel_name, mode=first)
    publisher.ask("send", shape=[64], count=3)
    with framebus.Subscriber(channel_name, every=True, history=3) as stays:
        publisher.kill() if killed else publisher.ask("close")
        before = os.umask(umask)
        try:
            successor = framebus.Publisher(channel_name, mode=second)
        finally:
            os.umask(before)
        control_mode = oct(second | (second & 0o444) >> 1)
        with successor:
            assert modes(channel_name) == {"": control_mode, "@1": oct(second)}
            assert successor.send(PICTURE) == 4
            assert modes(channel_name) == {"": control_mode, "@2": oct(second)}
            successor.send(np.zeros(1_000_000, np.uint8))
            assert modes(channel_name) == {"": control_mode, "@3": oct(second)}
            assert [stays.recv(WATCHDOG_S).seq for _ in range(5)] == [1, 2, 3, 4, 5]
            with framebus.Subscriber(channel_name, history=3) as late:
                assert [late.recv(WATCHDOG_S).seq for _ in range(3)] == [3, 4, 5]
            assert (stays.statistics().missed, stays.statistics().dropped) == (0, 0)


def test_a_channel_keeps_its_control_block_where_no_right_is_taken_away(programs: Programs, channel_name: str) -> None:
    inodes = []
    for mode in (0o600, 0o640, 0o666):
        publisher = programs.publisher(channel_name, mode=mode)
        inodes.append(control_path(channel_name).stat().st_ino)
        publisher.kill()
    assert len(set(inodes)) == 1
    with framebus.Publisher(channel_name, mode=0o640):
        assert control_path(channel_name).stat().st_ino != inodes[0]


def test_a_publisher_that_closes_right_after_the_takeover_loses_no_frame_of_those_who_wait(
    programs: Programs, channel_name: str
) -> None:
    for _ in range(8):  # without the pause before the end the frame was lost in about half of the rounds
        with framebus.Publisher(channel_name, mode=0o666) as publisher:
            first = publisher.send(PICTURE)
            subscriber = programs.subscriber(channel_name, every=True, history=1)
            assert subscriber.ask("recv")["seq"] == first
            subscriber.tell("recv", timeout=WATCHDOG_S)
            subscriber.expect("waiting")
        with framebus.Publisher(channel_name) as successor:
            assert successor.send(PICTURE) == first + 1
        assert subscriber.answer()["seq"] == first + 1
        subscriber.stop()


@pytest.mark.parametrize("policy", ["drop", "block"])
def test_what_a_program_writes_into_a_control_block_it_still_has_mapped_reaches_nobody(
    programs: Programs, channel_name: str, policy: str
) -> None:
    state_at, readers_at, wake_at = 64 + 24, 128, 64 + 16
    publisher = programs.publisher(channel_name, mode=0o666)
    publisher.ask("send", shape=[64])
    reader = programs.subscriber(channel_name)
    assert reader.ask("recv")["seq"] == 1
    with control_path(channel_name).open("r+b") as file:
        block = mmap.mmap(file.fileno(), 0)
    publisher.kill()
    over = threading.Event()

    def scribble() -> None:
        while not over.is_set():
            block[state_at : state_at + 4] = (1).to_bytes(4, "little")  # open
            block[readers_at : readers_at + 8] = b"\xff" * 8  # every seat taken
            block[wake_at : wake_at + 4] = os.urandom(4)

    vandal = threading.Thread(target=scribble)
    vandal.start()
    try:
        with framebus.Publisher(channel_name, on_full=policy, slots=2) as successor:
            reader.tell("recv", timeout=WATCHDOG_S)
            while successor.statistics().subscribers == 0:  # it comes along although the old block says nothing of it
                os.sched_yield()
            for number in range(10):
                assert successor.send(PICTURE, timeout=WATCHDOG_S) == number + 2
            assert reader.answer()["seq"] >= 2
            assert successor.statistics().subscribers == 1
    finally:
        over.set()
        vandal.join()
        block.close()


def test_without_reconnect_another_publisher_with_another_mode_is_another_publisher(
    programs: Programs, channel_name: str
) -> None:
    publisher = programs.publisher(channel_name, mode=0o666)
    publisher.ask("send", shape=[64])
    with framebus.Subscriber(channel_name, reconnect=False) as subscriber:
        assert subscriber.recv(WATCHDOG_S).seq == 1
        publisher.kill()
        with framebus.Publisher(channel_name) as successor:
            successor.send(PICTURE)
            with pytest.raises(framebus.PublisherDied):
                subscriber.recv(WATCHDOG_S)


@needs_root
@pytest.mark.parametrize("how", ["recv", "wait"])
def test_a_subscriber_that_may_no_longer_be_there_is_put_out_with_the_reason(
    place: Place, programs: Programs, how: str
) -> None:
    sender = publisher_of(programs, place, OWNER, mode=0o666)
    spy = start_as(programs, place, STRANGER, "subscribe")
    spy.expect("attached")
    assert spy.ask("recv")["seq"] == 1
    spy.tell(how, timeout=WATCHDOG_S)
    spy.expect("waiting")
    sender.kill()
    successor = publisher_of(programs, place, OWNER)
    with pytest.raises(Refused) as refused:
        spy.answer()
    assert refused.value.error == "PermissionDenied"
    assert f"belongs to user {OWNER}, group {OWNER}, with mode 0600, you are user {STRANGER}" in refused.value.message
    assert successor.ask("statistics")["subscribers"] == 0
    assert {mode for _, _, mode in facts(place).values()} == {0o600}


@needs_root
def test_whoever_may_still_be_there_stays_and_whoever_may_from_now_on_comes(place: Place, programs: Programs) -> None:
    sender = publisher_of(programs, place, OWNER, gid=SHARED_GROUP, mode=0o666)
    friend = start_as(programs, place, FRIEND, "subscribe", groups=(SHARED_GROUP,))
    friend.expect("attached")
    assert friend.ask("recv")["seq"] == 1
    sender.kill()
    sender = publisher_of(programs, place, OWNER, gid=SHARED_GROUP, mode=0o640)
    assert friend.ask("recv", timeout=WATCHDOG_S)["seq"] == 2
    assert refusal(start_as(programs, place, STRANGER, "subscribe"))[0] == "PermissionDenied"
    sender.kill()
    publisher_of(programs, place, OWNER, gid=SHARED_GROUP, mode=0o644)
    stranger = start_as(programs, place, STRANGER, "subscribe", history=3)
    stranger.expect("attached")
    assert [stranger.ask("recv")["seq"] for _ in range(3)] == [1, 2, 3]


@needs_root
def test_the_group_that_a_mode_lets_in_is_the_next_publishers_group(place: Place, programs: Programs) -> None:
    sender = publisher_of(programs, place, OWNER, gid=SHARED_GROUP, mode=0o660)
    friend = start_as(programs, place, FRIEND, "subscribe", groups=(SHARED_GROUP,))
    friend.expect("attached")
    assert friend.ask("recv")["seq"] == 1
    sender.kill()
    publisher_of(programs, place, OWNER, mode=0o660)
    assert {group for _, group, _ in facts(place).values()} == {OWNER}
    with pytest.raises(Refused) as refused:
        friend.ask("recv", timeout=WATCHDOG_S)
    assert refused.value.error == "PermissionDenied"
