# SPDX-License-Identifier: Apache-2.0
"""Programs in different containers that share /dev/shm: other process ids, other users, and the same truth about who
is alive.

A container here is a pid namespace with its own /proc, made with `unshare`; in each of them the program is process 1.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from tests.support.harness import Program, Programs, Refused
from tests.support.places import Place, needs_root

pytestmark = needs_root

NAME = "camera0"
OWNER, FRIEND = 1000, 1234
LOOK = """
import dataclasses, framebus, json
print(json.dumps([dataclasses.asdict(channel.publisher) for channel in framebus.channels()]))
"""


def container(place: Place) -> list[str]:
    """The beginning of a command that runs in a pid namespace of its own."""
    return [*place.inside, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def start(programs: Programs, place: Place, program: str, uid: int = 0, **options: object) -> Program:
    """Starts a program in a container of its own, as this user, and waits until it has its end of the channel."""
    started = programs.start(
        "as_user", under=container(place), uid=uid, gid=uid, program=program, options={"name": NAME, **options}
    )
    started.expect("ready" if program == "publish" else "attached")
    return started


def kill(program: Program) -> None:
    """Kills the program itself and waits until it is gone; `unshare` then ends with it."""
    (child,) = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    assert program.wait() != 0


USERS = pytest.mark.parametrize(("sender_is", "receiver_is"), [(0, 0), (OWNER, FRIEND), (OWNER, 0), (0, FRIEND)])


@USERS
def test_frames_and_holds_are_seen_across_containers(
    place: Place, programs: Programs, sender_is: int, receiver_is: int
) -> None:
    sender = start(programs, place, "publish", sender_is, mode=0o666)
    receiver = start(programs, place, "subscribe", receiver_is)
    sender.ask("send", shape=[1000], fill=1)
    receiver.ask("recv", keep=True)
    assert sender.ask("statistics")["held"] == 1
    sender.ask("send", shape=[1000], fill=2, count=50)
    assert receiver.ask("kept_unchanged") == [True]
    assert receiver.ask("recv")["seq"] == 51
    sender.ask("close")
    receiver.ask("close")


@USERS
def test_a_killed_publisher_is_noticed_in_the_other_container(
    place: Place, programs: Programs, sender_is: int, receiver_is: int
) -> None:
    sender = start(programs, place, "publish", sender_is, mode=0o666)
    receiver = start(programs, place, "subscribe", receiver_is, reconnect=False)
    faithful = start(programs, place, "subscribe", receiver_is, every=True)
    sender.ask("send", shape=[1000])
    assert receiver.ask("recv")["seq"] == 1
    with pytest.raises(Refused) as alive:
        receiver.ask("recv", timeout=0.3)
    assert alive.value.error == "Timeout"
    receiver.tell("recv")
    receiver.expect("waiting")
    kill(sender)
    with pytest.raises(Refused) as dead:
        receiver.answer()
    assert dead.value.error == "PublisherDied"
    successor = start(programs, place, "publish", sender_is, mode=0o666)
    successor.ask("send", shape=[1000])
    assert [faithful.ask("recv")["seq"] for _ in range(2)] == [1, 2]


@USERS
def test_a_killed_subscriber_is_noticed_in_the_other_container(
    place: Place, programs: Programs, sender_is: int, receiver_is: int
) -> None:
    sender = start(programs, place, "publish", sender_is, mode=0o666, slots=4, on_full="block")
    receiver = start(programs, place, "subscribe", receiver_is, every=True, hold=1)
    assert sender.ask("statistics")["subscribers"] == 1
    sender.ask("send_until_full", shape=[2_000_000], limit=100)
    sender.tell("send", shape=[2_000_000])
    sender.expect("waiting")
    kill(receiver)
    assert sender.answer() > 0, "blocked on a dead subscriber"
    assert sender.ask("statistics")["subscribers"] == 0


def test_a_second_publisher_is_refused_across_containers(place: Place, programs: Programs) -> None:
    start(programs, place, "publish")
    second = programs.start("as_user", under=container(place), uid=0, gid=0, program="publish", options={"name": NAME})
    refused = second.expect("refused")
    assert refused["error"] == "ChannelInUse"
    assert "already has a publisher: process 1 (" in refused["message"], "a process id is that of its own container"


def test_a_list_says_who_is_alive_in_other_containers(place: Place, programs: Programs) -> None:
    sender = start(programs, place, "publish")
    receiver = start(programs, place, "subscribe")
    (publisher,) = json.loads(place.python(LOOK).stdout)
    assert (publisher["pid"], publisher["alive"]) == (1, True)
    kill(sender)
    (publisher,) = json.loads(place.python(LOOK).stdout)
    assert publisher["alive"] is False
    receiver.ask("close")


def test_the_last_one_out_removes_the_files_in_whichever_container_it_is(place: Place, programs: Programs) -> None:
    sender = start(programs, place, "publish")
    sender.ask("send", shape=[1000])
    receiver = start(programs, place, "subscribe")
    kill(sender)
    assert place.files() == [f"framebus.{NAME}", f"framebus.{NAME}@1"]
    receiver.ask("close")
    assert place.files() == []


def test_cleaning_in_one_container_leaves_what_lives_in_another(place: Place, programs: Programs) -> None:
    sender = start(programs, place, "publish")
    sender.ask("send", shape=[1000])
    assert place.framebus("doctor", "--clean").returncode == 0
    receiver = start(programs, place, "subscribe")
    assert receiver.ask("recv")["seq"] == 1


def dropped(programs: Programs, place: Place, end: str, **options: object) -> Program:
    """One end of a channel, in a container, that was opened as root and belongs to an ordinary user now."""
    program = programs.start("dropping", under=container(place), end=end, name=NAME, **options)
    program.expect("ready")
    return program


def test_a_publisher_that_dropped_root_is_alive_until_it_is_killed(place: Place, programs: Programs) -> None:
    sender = dropped(programs, place, "publisher", max_bytes=1000)
    sender.ask("send", size=1000)
    receiver = start(programs, place, "subscribe", reconnect=False)
    sender.ask("become", uid=FRIEND)
    assert receiver.ask("recv")["seq"] == 1
    with pytest.raises(Refused) as alive:
        receiver.ask("recv", timeout=0.3)
    assert alive.value.error == "Timeout"
    sender.ask("send", size=1000)
    assert receiver.ask("recv")["seq"] == 2
    kill(sender)
    with pytest.raises(Refused) as dead:
        receiver.ask("recv")
    assert dead.value.error == "PublisherDied"


def test_a_subscriber_that_dropped_root_is_alive_until_it_is_killed(place: Place, programs: Programs) -> None:
    sender = start(programs, place, "publish")
    sender.ask("send", shape=[1000])
    receiver = dropped(programs, place, "subscriber")
    assert receiver.ask("recv") == 1
    receiver.ask("become", uid=FRIEND)
    sender.ask("send", shape=[1000])
    assert receiver.ask("recv") == 2
    assert sender.ask("statistics")["subscribers"] == 1
    sender.ask("send", shape=[1_000_000])
    with pytest.raises(Refused) as refused:
        receiver.ask("recv")
    assert refused.value.error == "PermissionDenied", "the next store is opened as the user that it is now"
    kill(receiver)
    sender.ask("send", shape=[1000])
    assert sender.ask("statistics")["subscribers"] == 0
