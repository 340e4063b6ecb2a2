# SPDX-License-Identifier: Apache-2.0
"""No room, no permission, no /dev/shm, no descriptors, no address space: an error that says so, and nothing is harmed.

Full and forbidden places are mounted for the test alone; descriptors and address space are limited for a program.
"""

from __future__ import annotations

import re

import pytest
from tests.support.harness import Program, Programs, Refused
from tests.support.places import EMPTY, Place, needs_root

NAME = "camera0"
MEGABYTE = 1_000_000
BY_ONE_AND_ALL = [f"framebus.{NAME}", f"framebus.{NAME}@1"]

TRY = """
import os, sys, framebus
user = int(sys.argv[2])
os.setgroups([]), os.setgid(user), os.setuid(user)
call = {"Publisher": lambda: framebus.Publisher("camera0"), "Subscriber": lambda: framebus.Subscriber("camera0"),
        "channels": framebus.channels}[sys.argv[1]]
try:
    print(call())
except framebus.Error as error:
    print(type(error).__name__, error, sep=": ")
"""


def refused(program: Program, command: str, **arguments: object) -> Refused:
    with pytest.raises(Refused) as caught:
        program.ask(command, **arguments)
    return caught.value


def assert_says_what_is_missing(error: Refused, wanted: int) -> None:
    assert error.error == "FrameTooLarge"
    numbers = re.search(r"/dev/shm is full: wanted (\d+) bytes for [\w ]+, free (\d+);", error.message)
    assert numbers, error.message
    assert int(numbers[1]) == wanted
    assert 0 <= int(numbers[2]) < wanted
    assert "docker run --shm-size=1g" in error.message
    assert error.message.endswith("the channel keeps working as it was")


@needs_root
@pytest.mark.parametrize("command", ["send", "begin_loan"])
def test_a_frame_that_does_not_fit_is_refused_and_the_channel_goes_on_as_it_was(
    place: Place, programs: Programs, command: str
) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    receiver = programs.subscriber(NAME, under=place.inside, every=True)
    sender.ask("send", shape=[MEGABYTE], fill=5)
    receiver.ask("recv", keep=True)
    before = place.files()
    for _ in range(3):
        assert_says_what_is_missing(refused(sender, command, shape=[100 * MEGABYTE], fill=6), 100 * MEGABYTE)
    assert place.files() == before
    assert sender.ask("send", shape=[MEGABYTE], fill=7) == 2
    assert receiver.ask("recv")["arrays"]["image"] == [[MEGABYTE], "|u1", 7.0, 7.0]
    assert receiver.ask("kept_unchanged") == [True]


@needs_root
def test_a_frame_that_leaves_no_room_for_another_is_sent_and_only_the_next_is_refused(
    place: Place, programs: Programs
) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    receiver = programs.subscriber(NAME, under=place.inside)
    # The slot for a next frame is prepared when this one is out; that this fails is nobody's business yet.
    assert sender.ask("send", shape=[40 * MEGABYTE], fill=5) == 1
    for _ in range(2):
        assert_says_what_is_missing(refused(sender, "send", shape=[40 * MEGABYTE], fill=6), 40 * MEGABYTE)
    assert receiver.ask("recv", keep=True)["arrays"]["image"] == [[40 * MEGABYTE], "|u1", 5.0, 5.0]
    assert receiver.ask("kept_unchanged") == [True]


@needs_root
def test_moving_to_a_larger_store_that_does_not_fit_beside_the_old_one_changes_nothing(
    place: Place, programs: Programs
) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    sender.ask("send", shape=[30 * MEGABYTE], fill=5)
    assert refused(sender, "send", shape=[40 * MEGABYTE]).error == "FrameTooLarge"
    receiver = programs.subscriber(NAME, under=place.inside)
    assert receiver.ask("recv")["arrays"]["image"] == [[30 * MEGABYTE], "|u1", 5.0, 5.0]
    assert place.files() == BY_ONE_AND_ALL


@needs_root
def test_what_subscribers_hold_stays_valid_when_memory_runs_out(place: Place, programs: Programs) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    receiver = programs.subscriber(NAME, under=place.inside, hold=16)
    for fill in range(6):
        sender.ask("send", shape=[10 * MEGABYTE], fill=fill)
        receiver.ask("recv", keep=True)
    assert_says_what_is_missing(refused(sender, "send", shape=[10 * MEGABYTE]), 10 * MEGABYTE)
    assert receiver.ask("kept_unchanged") == [True] * 6
    receiver.ask("forget")
    number = sender.ask("send", shape=[10 * MEGABYTE], fill=9)
    assert receiver.ask("recv")["seq"] == number


@needs_root
def test_where_not_one_byte_is_free_channels_go_on_and_no_new_one_is_made(place: Place, programs: Programs) -> None:
    sender = programs.publisher(NAME, under=place.inside)
    sender.ask("send", shape=[MEGABYTE], fill=1, count=20)
    place.run("sh", "-c", "cat /dev/zero >/dev/shm/rubbish")
    done = place.python(TRY.replace(NAME, "another"), "Publisher", "0")
    assert done.stdout.startswith("FrameTooLarge: /dev/shm is full: wanted 69632 bytes for the control block"), done
    assert "free 0; make it larger (docker run --shm-size=1g)" in done.stdout
    assert place.files() == [*BY_ONE_AND_ALL, "rubbish"]
    assert sender.ask("send", shape=[MEGABYTE], fill=2) == 21
    receiver = programs.subscriber(NAME, under=place.inside)
    assert receiver.ask("recv")["arrays"]["image"] == [[MEGABYTE], "|u1", 2.0, 2.0]
    assert f"name='{NAME}', alive=True" in place.python(TRY, "channels", "0").stdout


NO_PLACE = "cannot make a file in /dev/shm (a writable tmpfs must be mounted there): "
FORBIDDEN = {
    "read-only": ("mount -t tmpfs -o ro tmpfs /dev/shm", "Publisher", "0", f"PermissionDenied: {NO_PLACE}Read-only"),
    "not-writable": (
        "mount -t tmpfs -o mode=755 tmpfs /dev/shm", "Publisher", "1234", f"PermissionDenied: {NO_PLACE}Permission d"
    ),
    "not-readable": (
        "mount -t tmpfs -o mode=700 tmpfs /dev/shm", "channels", "1234", "PermissionDenied: cannot look into /dev/shm: "
    ),
    "missing-for-a-publisher": ("mount -t tmpfs tmpfs /dev", "Publisher", "0", f"SystemFailure: {NO_PLACE}No such fil"),
    "missing-for-a-subscriber": (
        "mount -t tmpfs tmpfs /dev", "Subscriber", "0",
        "ChannelNotFound: no program publishes 'camera0'; there is no /dev/shm here, which framebus needs"
    ),
    "missing-for-a-list": ("mount -t tmpfs tmpfs /dev", "channels", "0", "[]"),
    "no-proc": (
        f"{EMPTY}; mount -t tmpfs tmpfs /proc", "Publisher", "0", "SystemFailure: cannot open /proc/self/fd/"
    ),
}  # fmt: skip


@needs_root
@pytest.mark.parametrize(("setup", "end", "user", "said"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_place_that_cannot_be_used_is_an_error_that_says_why(setup: str, end: str, user: str, said: str) -> None:
    place = Place(setup)
    done = place.python(TRY, end, user)
    left = place.files() if place.shared_memory.exists() else []
    place.close()
    assert done.stdout.startswith(said), done
    assert done.stderr == ""
    assert left == []


def test_a_program_without_descriptors_gets_errors_and_goes_on_when_it_has_some(
    programs: Programs, channel_name: str
) -> None:
    program = programs.start("limited", name=channel_name)
    program.expect("ready")
    assert program.ask("recv") == [1, 10000]
    program.ask("use_up_descriptors")
    said = {
        "another publisher": refused(program, "open_another", end="publisher", name=f"{channel_name}-2"),
        "another subscriber": refused(program, "open_another", end="subscriber", name=channel_name),
        "a larger store": refused(program, "send", size=10 * MEGABYTE),
        "the first fileno()": refused(program, "fileno"),
        "the list": refused(program, "channels"),
    }
    for what, error in said.items():
        assert error.error == "SystemFailure", what
        assert error.message.endswith(
            ": Too many open files; this program may have no more: close some, or raise the limit (ulimit -n)"
        ), (what, error.message)
    assert program.ask("send", size=10000) == 2, "what needs no descriptor works"
    assert program.ask("recv") == [2, 10000]
    program.ask("give_descriptors_back")
    assert program.ask("send", size=10 * MEGABYTE) == 3
    assert program.ask("recv") == [3, 10 * MEGABYTE]
    program.ask("open_another", end="publisher", name=f"{channel_name}-2")
    assert channel_name in program.ask("channels")


def test_the_last_one_out_removes_the_files_also_without_a_descriptor(programs: Programs, channel_name: str) -> None:
    program = programs.start("limited", name=channel_name)
    program.expect("ready")
    program.ask("use_up_descriptors")
    assert program.wait() == 0, program.errors()


def test_a_program_without_address_space_gets_errors_and_keeps_its_channel(
    programs: Programs, channel_name: str
) -> None:
    program = programs.start("limited", name=channel_name)
    program.expect("ready")
    program.ask("limit_address_space", room=20 * MEGABYTE)
    error = refused(program, "send", size=50 * MEGABYTE)
    assert error.error == "SystemFailure"
    assert "bytes of shared memory: Cannot allocate memory; this program may have no more" in error.message
    assert program.ask("send", size=10000) == 2
    assert program.ask("recv") == [2, 10000]
    receiver = programs.subscriber(channel_name)
    assert receiver.ask("recv")["seq"] == 2
