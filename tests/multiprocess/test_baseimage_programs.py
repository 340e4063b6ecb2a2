# SPDX-License-Identifier: Apache-2.0
"""Base images between real programs, in Python and in plain C++: every number arrives, also when one is killed."""

from __future__ import annotations

import random
import re
import signal
from pathlib import Path

import pytest
from tests.support.compiled import CppPrograms
from tests.support.harness import Program, Programs
from tests.support.started import Started
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus import baseimage
from framebus.baseimage.place import system

SHARED_MEMORY = Path("/dev/shm")
KILLS = 8
FRAMES = 2000
SHAPE = [240, 320, 3]


def start(programs: Programs, name: str, role: str, **options: object) -> Program:
    program = programs.start("base_image", role=role, name=name, **options)
    program.expect("ready")
    return program


def writer_that_waits(programs: Programs, name: str) -> Program:
    return start(programs, name, "writer", wait_for_reader=True)


def reader_that_acknowledges(programs: Programs, name: str) -> Program:
    return start(programs, name, "reader", acknowledge="after", connect_timeout=WATCHDOG_S)


def heard_numbers(program: Program) -> list[int]:
    numbers = []
    while program.heard("number"):
        numbers.append(program.expect("number")["number"])
    return numbers


def test_2000_numbered_frames_to_a_reader_that_acknowledges_none_lost_none_torn(
    programs: Programs, channel_name: str
) -> None:
    writer, reader = writer_that_waits(programs, channel_name), reader_that_acknowledges(programs, channel_name)
    reader.tell("recv_numbers", last=FRAMES)
    writer.tell("send_numbers", first=1, last=FRAMES, shape=SHAPE, quiet=True)
    assert reader.answer() == {"frames": FRAMES, "torn": 0, "torn_and_marked": 0}
    assert heard_numbers(reader) == list(range(1, FRAMES + 1))
    writer.answer()
    assert writer.ask("statistics")["overwritten"] == 0
    statistics = reader.ask("statistics")
    assert (statistics["frames"], statistics["retries"], statistics["torn_suspected"]) == (FRAMES, 0, 0)


def test_a_writer_that_does_not_wait_tears_no_frame_of_ours_unnoticed(programs: Programs, channel_name: str) -> None:
    writer, reader = start(programs, channel_name, "writer"), start(programs, channel_name, "reader", retries=1)
    reader.tell("recv_numbers", last=FRAMES)
    writer.tell("send_numbers", first=1, last=FRAMES, shape=[720, 1280, 3], quiet=True)
    counts = reader.answer()
    numbers = heard_numbers(reader)
    assert counts["torn"] == counts["torn_and_marked"]
    assert (numbers[-1], numbers) == (FRAMES, sorted(numbers))


def test_a_reader_killed_at_any_moment_loses_only_the_frame_in_its_hands(programs: Programs, channel_name: str) -> None:
    chance = random.Random(5)
    last = 600
    writer = writer_that_waits(programs, channel_name)
    writer.tell("send_numbers", first=1, last=last, shape=SHAPE)
    seen: list[int] = []
    for _ in range(KILLS):
        reader = reader_that_acknowledges(programs, channel_name)
        reader.tell("recv_numbers", last=last)
        seen += [reader.expect("number")["number"] for _ in range(chance.randint(1, 40))]
        reader.kill()
        seen += heard_numbers(reader)
    reader = reader_that_acknowledges(programs, channel_name)
    reader.tell("recv_numbers", last=last)
    assert reader.answer()["torn"] == 0
    seen += heard_numbers(reader)
    writer.answer()
    assert seen == sorted(seen)
    assert len(set(range(1, last + 1)) - set(seen)) <= KILLS
    assert len(seen) - len(set(seen)) <= KILLS


def test_a_writer_killed_at_any_moment_leaves_no_half_frame_to_a_reader_that_acknowledges(
    programs: Programs, channel_name: str
) -> None:
    chance = random.Random(6)
    reader = None
    sent = 0
    for _ in range(KILLS):
        writer = writer_that_waits(programs, channel_name)
        if reader is None:
            reader = reader_that_acknowledges(programs, channel_name)
            reader.tell("recv_numbers", last=1_000_000)
        writer.tell("send_numbers", first=sent + 1, last=1_000_000, shape=SHAPE)
        for _ in range(chance.randint(1, 60)):
            writer.expect("number")
            sent += 1
        writer.kill()
        sent += 1 + len(heard_numbers(writer))  # the next one may have been announced, but not said
    writer = writer_that_waits(programs, channel_name)
    writer.tell("send_numbers", first=1_000_000, last=1_000_000, shape=SHAPE)
    assert reader is not None
    counts = reader.answer()
    seen = heard_numbers(reader)
    assert counts["torn"] == 0
    assert seen == sorted(set(seen))
    assert len(set(range(1, sent + 1)) - set(seen)) <= KILLS, "what had been announced was lost with its writer"


def is_inside_a_frame(name: str) -> bool:
    """Whether a Writer has begun a frame, and the one before still waits to be taken."""
    place = system().open(name)
    try:
        return place.is_being_written() and place.is_set()
    finally:
        place.close(keep=True)


def test_a_writer_that_stands_still_in_the_middle_of_a_frame_is_noticed(programs: Programs, channel_name: str) -> None:
    writer = start(programs, channel_name, "writer")
    writer.tell("send_numbers", first=1, last=10**9, shape=[1080, 1920, 3], quiet=True)
    with baseimage.Reader(channel_name, retries=0, fresh=False) as reader:
        reader.recv(WATCHDOG_S)
        writer.signal(signal.SIGSTOP)
        while not is_inside_a_frame(channel_name):
            writer.signal(signal.SIGCONT)
            writer.signal(signal.SIGSTOP)
        assert reader.recv(WATCHDOG_S).meta == {"torn_suspected": True}
        writer.kill()
        with pytest.raises(framebus.Timeout):
            reader.recv(0.0)


def test_the_next_program_to_leave_removes_what_killed_ones_have_left(programs: Programs, channel_name: str) -> None:
    writer, reader = start(programs, channel_name, "writer"), start(programs, channel_name, "reader")
    writer.kill()
    reader.kill()
    assert (SHARED_MEMORY / channel_name).exists()
    with pytest.raises(framebus.Timeout), baseimage.Reader(channel_name) as late:
        late.recv(0.0)
    assert not (SHARED_MEMORY / channel_name).exists()
    assert not (SHARED_MEMORY / f"sem.{channel_name}Mutex").exists()


def test_a_reader_goes_on_with_a_program_a_that_comes_back(programs: Programs, channel_name: str) -> None:
    reader = None
    for value in (1, 2, 3):
        writer = start(programs, channel_name, "writer")
        reader = reader or start(programs, channel_name, "reader")
        reader.tell("recv")
        reader.expect("waiting")
        writer.ask("send", value=value, shape=[48, 64])
        assert reader.answer()["values"] == [value]
        writer.stop()


# Plain C++


def test_plain_cpp_program_a_to_a_python_reader(
    programs: Programs, channel_name: str, cpp_programs: CppPrograms
) -> None:
    baseimage.Writer(channel_name, keep=True).close()  # so that the reader is there before A
    reader = start(programs, channel_name, "reader")
    reader.tell("recv_numbers", last=200)
    assert Started(cpp_programs["article_a"], channel_name, 200, 320, 240, 5).output() == "sent 200\n"
    counts = reader.answer()
    numbers = heard_numbers(reader)
    assert numbers[-1] == 200
    assert numbers == sorted(numbers)
    assert counts["torn"] <= counts["frames"] // 10  # none but where A was not scheduled in the middle of a frame


@pytest.mark.parametrize("width", [321, 320, 1])
def test_python_writer_to_plain_cpp_program_b_loses_nothing_where_b_acknowledges(
    programs: Programs, channel_name: str, cpp_programs: CppPrograms, width: int
) -> None:
    writer = writer_that_waits(programs, channel_name)
    b = Started(cpp_programs["article_b"], channel_name, 300, "after")
    writer.ask("send_numbers", first=1, last=300, shape=[24, width, 3])
    assert b.output() == "received 300, torn 0, missed 0, last 300\n"


def test_python_writer_to_plain_cpp_program_b_as_the_article_has_it(
    programs: Programs, channel_name: str, cpp_programs: CppPrograms
) -> None:
    writer = start(programs, channel_name, "writer")
    b = Started(cpp_programs["article_b"], channel_name, 300, "before")
    writer.ask("send_numbers", first=1, last=300, shape=SHAPE)
    found = re.fullmatch(r"received (\d+), torn (\d+), missed (\d+), last 300\n", b.output())
    assert found
    assert int(found[1]) + int(found[3]) >= 300  # some may have come twice


def test_plain_cpp_program_b_says_that_a_has_not_started(channel_name: str, cpp_programs: CppPrograms) -> None:
    b = Started(cpp_programs["article_b"], channel_name, 1, "before")
    output, errors = b.communicate(timeout=WATCHDOG_S)
    assert (b.returncode, output, errors) == (1, "", "program A has not started: No such file or directory\n")
