# SPDX-License-Identifier: Apache-2.0
"""Channels between users: who may subscribe, who may publish, and that nobody but the publisher can write frames.

The users are real: root starts a program, which loads what it needs and then becomes somebody else for good.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest
from tests.support.harness import Program, Programs, Refused
from tests.support.places import Place, needs_root

pytestmark = needs_root

NAME = "camera0"
OWNER, FRIEND, STRANGER = 1000, 1234, 1235
OWN_GROUP, SHARED_GROUP = 1000, 4321


def start_as(
    programs: Programs, place: Place, uid: int, program: str, *, gid: int | None = None, groups: tuple[int, ...] = (),
    **options: object
) -> Program:  # fmt: skip
    return programs.start(
        "as_user",
        under=place.inside,
        uid=uid,
        gid=uid if gid is None else gid,
        groups=list(groups),
        program=program,
        options={"name": NAME, **options},
    )


def publisher_of(programs: Programs, place: Place, uid: int, gid: int | None = None, **options: object) -> Program:
    program = start_as(programs, place, uid, "publish", gid=gid, **options)
    program.expect("ready")
    program.ask("send", shape=[64], fill=1)
    return program


def refusal(program: Program) -> tuple[str, str]:
    message = program.expect("refused")
    assert program.wait() == 0, program.errors()
    return message["error"], message["message"]


def facts(place: Place) -> dict[str, tuple[int, int, int]]:
    """Owner, group and mode of every file."""
    stats = {path.name: path.stat() for path in place.shared_memory.iterdir()}
    return {name: (stat.st_uid, stat.st_gid, stat.st_mode & 0o777) for name, stat in stats.items()}


def test_a_channel_is_closed_to_other_users_unless_it_is_shared(place: Place, programs: Programs) -> None:
    publisher_of(programs, place, OWNER)
    assert {mode for _, _, mode in facts(place).values()} == {0o600}
    error, message = refusal(start_as(programs, place, STRANGER, "subscribe"))
    assert error == "PermissionDenied"
    assert f"/dev/shm/framebus.{NAME}: permission denied" in message
    assert f"belongs to user {OWNER}, group {OWN_GROUP}, with mode 0600, you are user {STRANGER}" in message
    assert "mode=0o660" in message


@pytest.mark.parametrize("mode", [0o640, 0o660], ids=oct)
def test_a_shared_group_may_subscribe_and_nobody_else(place: Place, programs: Programs, mode: int) -> None:
    sender = publisher_of(programs, place, OWNER, gid=SHARED_GROUP, mode=mode)
    assert facts(place)[f"framebus.{NAME}@1"] == (OWNER, SHARED_GROUP, mode)
    friend = start_as(programs, place, FRIEND, "subscribe", groups=(SHARED_GROUP,))
    friend.expect("attached")
    assert friend.ask("recv", keep=True)["seq"] == 1
    assert (sender.ask("statistics")["subscribers"], sender.ask("statistics")["held"]) == (1, 1)
    sender.ask("send", shape=[64], count=100)
    assert friend.ask("kept_unchanged") == [True]
    friend.ask("forget")
    assert sender.ask("statistics")["held"] == 0
    sender.ask("send", shape=[100_000], fill=2)  # a larger store is shared as the first was
    assert friend.ask("recv")["arrays"]["image"] == [[100_000], "|u1", 2.0, 2.0]
    error, message = refusal(start_as(programs, place, STRANGER, "subscribe"))
    assert error == "PermissionDenied"
    assert f"group {SHARED_GROUP}" in message


@pytest.mark.parametrize("mode", [0o644, 0o666], ids=oct)
def test_a_channel_may_be_shared_with_everybody(place: Place, programs: Programs, mode: int) -> None:
    publisher_of(programs, place, OWNER, mode=mode)
    stranger = start_as(programs, place, STRANGER, "subscribe")
    stranger.expect("attached")
    assert stranger.ask("recv")["seq"] == 1


def test_every_later_store_has_the_group_of_the_channel(place: Place, programs: Programs) -> None:
    sender = publisher_of(programs, place, 0, gid=0, mode=0o640)
    os.chown(place.shared_memory / f"framebus.{NAME}", -1, SHARED_GROUP)
    sender.ask("send", shape=[100_000])
    assert facts(place)[f"framebus.{NAME}@2"] == (0, SHARED_GROUP, 0o640)
    friend = start_as(programs, place, FRIEND, "subscribe", groups=(SHARED_GROUP,))
    friend.expect("attached")
    assert friend.ask("recv")["seq"] == 2


@pytest.mark.parametrize("other", [FRIEND, 0], ids=["user", "root"])
@pytest.mark.parametrize("alive", [True, False], ids=["alive", "dead"])
def test_nobody_else_can_publish_over_a_channel(place: Place, programs: Programs, other: int, alive: bool) -> None:
    sender = publisher_of(programs, place, OWNER, mode=0o666)
    witness = start_as(programs, place, STRANGER, "subscribe")
    witness.expect("attached")
    if not alive:
        sender.kill()
    before = facts(place)
    error, message = refusal(start_as(programs, place, other, "publish"))
    assert error == "PermissionDenied"
    assert f"belongs to user {OWNER}, you are user {other}" in message
    assert message.endswith("choose another name")
    assert facts(place) == before
    assert witness.ask("recv")["seq"] == 1


def mappings(program: Program) -> dict[str, set[str]]:
    """Access flags by file, of all that the program has mapped from /dev/shm."""
    found: dict[str, set[str]] = {}
    for line in Path(f"/proc/{program.pid}/maps").read_text().splitlines():
        if mapped := re.search(r" (\S{4}) .* /dev/shm/(\S+)", line):
            found.setdefault(mapped[2], set()).add(mapped[1])
    return found


def test_subscribers_map_frames_read_only(place: Place, programs: Programs) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    receiver = programs.subscriber(NAME, under=place.inside, every=True, hold=4)
    for shape in ([64], [100_000], [1_000_000]):
        sender.ask("send", shape=shape)
        receiver.ask("recv", keep=True)
    assert mappings(receiver) == {
        f"framebus.{NAME}": {"rw-s"},
        **{f"framebus.{NAME}@{generation}": {"r--s"} for generation in (1, 2, 3)},
    }


def test_a_subscriber_that_writes_to_a_frame_is_ended_by_the_kernel(place: Place, programs: Programs) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    receiver = programs.subscriber(NAME, under=place.inside, every=True)
    sender.ask("send", shape=[100_000], fill=3)
    vandal = programs.start("scribble", under=place.inside, name=NAME)
    assert vandal.expect("has a frame")["seq"] == 1
    assert vandal.wait() == -signal.SIGSEGV
    assert 'scribble.py", line 14' in vandal.errors(), "it died elsewhere"
    assert receiver.ask("recv")["arrays"]["image"] == [[100_000], "|u1", 3.0, 3.0]
    assert sender.ask("send", shape=[100_000], fill=4) == 2


def test_what_another_user_may_not_remove_as_the_last_one_out_goes_with_the_next_publisher(
    place: Place, programs: Programs
) -> None:
    sender = publisher_of(programs, place, OWNER, mode=0o666)
    friend = start_as(programs, place, FRIEND, "subscribe")
    friend.expect("attached")
    assert sender.wait() == 0
    assert friend.wait() == 0
    assert place.files() == [f"framebus.{NAME}", f"framebus.{NAME}@1"], "in a sticky folder only the owner may"
    successor = publisher_of(programs, place, OWNER)
    assert successor.wait() == 0
    assert place.files() == []


def test_a_program_that_changed_its_user_after_opening_goes_on_until_it_needs_a_new_store(
    place: Place, programs: Programs
) -> None:
    sender = programs.start("dropping", under=place.inside, end="publisher", name=NAME, mode=0o644, max_bytes=1000)
    sender.expect("ready")
    receiver = programs.subscriber(NAME, under=place.inside, every=True)
    sender.ask("send", size=1000)
    sender.ask("become", uid=FRIEND)
    assert sender.ask("send", size=1000) == 2
    before = facts(place)
    with pytest.raises(Refused) as refused:
        sender.ask("send", size=1_000_000)
    assert refused.value.error == "PermissionDenied"
    assert f"opened by user 0 and needs a new store, but this program has become user {FRIEND}" in refused.value.message
    assert facts(place) == before
    assert sender.ask("send", size=1000) == 3
    assert [receiver.ask("recv")["seq"] for _ in range(3)] == [1, 2, 3]
