# SPDX-License-Identifier: Apache-2.0
"""The faults of the original article: each is shown with its own two programs, then with one or two of ours.

Programs "a" and "b" of `article` do what the article does; `writer` and `reader` are framebus.baseimage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.harness import Program, Programs, Refused
from tests.support.waiting import WATCHDOG_S, wait_until

import framebus
from framebus import baseimage

SHARED_MEMORY = Path("/dev/shm")
SHAPE = [48, 64]
ZEROS = {"header": [0, 0, 0, 0], "values": []}

Start = Callable[..., Program]


@pytest.fixture
def start(programs: Programs, channel_name: str) -> Iterator[Start]:
    """Starts "a", "b", "writer" or "reader" on the test's image, and waits until it is there."""

    def start_one(role: str, **options: object) -> Program:
        script = "article" if role in ("a", "b") else "base_image"
        program = programs.start(script, role=role, name=channel_name, **options)
        program.expect("ready")
        return program

    yield start_one
    programs.stop_all()
    for name in (channel_name, f"sem.{channel_name}Mutex"):  # the article's programs leave theirs behind
        (SHARED_MEMORY / name).unlink(missing_ok=True)


def image_of(value: int) -> dict[str, Any]:
    return {"header": [48 * 64, 64, 48, 8], "values": [value]}


def leave_a_set_event_without_an_image(start: Start, name: str) -> None:
    """What is left of a program A that was killed, when somebody has tidied up the memory only."""
    earlier = start("a")
    earlier.ask("send", value=9)
    earlier.kill()
    (SHARED_MEMORY / name).unlink()


# The frame of zeros that B gets if it waits before A has written


def test_article_b_gets_a_frame_of_zeros_when_the_event_was_left_set(start: Start, channel_name: str) -> None:
    leave_a_set_event_without_an_image(start, channel_name)
    start("a")
    assert start("b").ask("get_image") == ZEROS


@pytest.mark.parametrize(("fresh", "counted"), [(True, {"stale": 1, "empty": 0}), (False, {"stale": 0, "empty": 1})])
def test_our_reader_passes_over_it(start: Start, channel_name: str, fresh: bool, counted: dict[str, int]) -> None:
    leave_a_set_event_without_an_image(start, channel_name)
    a, reader = start("a"), start("reader", fresh=fresh)
    reader.tell("recv")
    reader.expect("waiting")
    a.ask("send", value=1)
    assert reader.answer()["values"] == [1]
    statistics = reader.ask("statistics")
    assert {name: statistics[name] for name in counted} == counted


@pytest.mark.parametrize("wait_for_reader", [False, True])
def test_our_writer_saves_article_b_from_it(start: Start, channel_name: str, wait_for_reader: bool) -> None:
    leave_a_set_event_without_an_image(start, channel_name)
    writer, b = start("writer", wait_for_reader=wait_for_reader), start("b")
    b.tell("get_image")
    writer.ask("send", value=1, shape=SHAPE)
    assert b.answer() == image_of(1)


# The stale frame that a late B gets


def test_article_b_that_comes_late_gets_an_old_frame(start: Start) -> None:
    start("a").ask("send", value=5)
    assert start("b").ask("get_image") == image_of(5)


def test_our_reader_begins_with_what_is_written_from_now_on(start: Start) -> None:
    a = start("a")
    a.ask("send", value=5)
    reader = start("reader")
    with pytest.raises(Refused, match="Timeout: no frame came"):
        reader.ask("recv", timeout=0.1)
    a.ask("send", value=6)
    assert reader.ask("recv")["values"] == [6]
    assert reader.ask("statistics")["stale"] == 1


def test_our_reader_takes_the_old_frame_if_asked_to(start: Start) -> None:
    start("a").ask("send", value=5)
    assert start("reader", fresh=False).ask("recv")["values"] == [5]


# The frames that are lost while B starts


def test_article_b_never_sees_what_was_sent_while_it_started(start: Start) -> None:
    a = start("a")
    for value in (1, 2, 3):
        a.ask("send", value=value)
    assert start("b").ask("get_image") == image_of(3)


def test_none_is_lost_between_a_writer_that_waits_and_a_reader_that_acknowledges_afterwards(start: Start) -> None:
    writer = start("writer", wait_for_reader=True)
    writer.ask("send", value=1, shape=SHAPE)
    with pytest.raises(Refused, match=r"Timeout: no program took the last frame .* within 0.05 s; start the subsc"):
        writer.ask("send", value=9, shape=SHAPE, timeout=0.05)
    writer.tell("send", value=2, shape=SHAPE)
    writer.expect("waiting")
    reader = start("reader", acknowledge="after")
    assert [reader.ask("recv")["values"] for _ in range(2)] == [[1], [2]]
    assert writer.answer() == 2
    assert writer.ask("statistics")["overwritten"] == 0


def test_a_writer_that_does_not_wait_counts_what_it_overwrites(start: Start) -> None:
    writer = start("writer")
    for value in (1, 2, 3):
        writer.ask("send", value=value, shape=SHAPE)
    assert writer.ask("statistics")["overwritten"] == 2
    assert start("reader", fresh=False).ask("recv")["values"] == [3]


# Torn frames


def test_article_b_gets_a_mixture_when_a_writes_meanwhile(start: Start) -> None:
    a, b = start("a"), start("b")
    a.ask("send", value=1)
    a.ask("write", value=2, part="first")
    assert b.ask("get_image") == {**image_of(0), "values": [1, 2]}


def test_our_reader_notices_that_a_writes_meanwhile_and_marks_the_frame(start: Start, channel_name: str) -> None:
    a = start("a", size=[1920, 1080])
    with baseimage.Reader(channel_name, retries=0) as reader:
        a.tell("flood")
        wait_until(lambda: reader.recv(WATCHDOG_S).meta == {"torn_suspected": True})
        statistics = reader.statistics()
        a.hang_up()
    assert statistics.torn_suspected == 1
    assert statistics.retries == 0


def test_our_reader_raises_instead_if_asked_to_and_goes_on(start: Start, channel_name: str) -> None:
    a = start("a", size=[1920, 1080])
    raised: list[str] = []

    def raises(reader: baseimage.Reader) -> bool:
        try:
            reader.recv(WATCHDOG_S)
        except framebus.CorruptChannel as error:
            raised.append(str(error))
        return bool(raised)

    with baseimage.Reader(channel_name, retries=1, on_torn="raise") as reader:
        a.tell("flood")
        wait_until(lambda: raises(reader))
        for _ in range(5):
            raises(reader)
        statistics = reader.statistics()
        a.hang_up()
    assert raised[0].startswith(f"'{channel_name}' changed while it was copied, 2 times in a row")
    assert statistics.torn_suspected == len(raised)
    assert statistics.retries >= statistics.torn_suspected


def test_our_reader_gives_changing_frames_up_for_the_next_one_until_its_timeout(
    start: Start, channel_name: str
) -> None:
    a = start("a", size=[1920, 1080])
    metas: list[dict[str, Any]] = []

    def gave_up(reader: baseimage.Reader) -> bool:
        try:
            metas.append(reader.recv(0.2).meta)
        except framebus.Timeout:
            return reader.statistics().retries > 0
        return False

    with baseimage.Reader(channel_name, retries=1000, settle=0.05) as reader:
        a.tell("flood")
        wait_until(lambda: gave_up(reader))
        a.hang_up()
        assert reader.statistics().torn_suspected == 0
    assert all(meta == {} for meta in metas)


def test_a_writer_that_stands_still_in_the_middle_of_a_frame_is_not_noticed(start: Start) -> None:
    """What nobody can promise with this layout; docs/baseimage.md says so."""
    a, reader = start("a"), start("reader")
    a.ask("send", value=1)
    a.ask("write", value=2, part="first")
    frame = reader.ask("recv")
    assert (frame["values"], frame["meta"]) == ([1, 2], {})


def test_a_writer_that_goes_on_while_the_reader_lets_it_settle_is_noticed(start: Start) -> None:
    a, reader = start("a"), start("reader", retries=0, settle=1.0)
    a.ask("send", value=1)
    a.ask("write", value=2, part="first")
    reader.tell("recv")
    reader.expect("waiting")
    a.ask("write", value=2, part="second")
    frame = reader.answer()
    assert (frame["values"], frame["meta"]) == ([1, 2], {"torn_suspected": True})


def test_a_writer_that_waits_does_not_write_into_a_frame_that_is_not_acknowledged(start: Start) -> None:
    writer, reader = start("writer", wait_for_reader=True), start("reader", acknowledge="after")
    writer.ask("send", value=1, shape=SHAPE)
    writer.tell("send", value=2, shape=SHAPE)
    writer.expect("waiting")
    assert reader.ask("recv") == {"seq": 1, "shape": SHAPE, "values": [1], "meta": {}, "pixel_format": "Mono8"}
    assert writer.answer() == 2
    assert reader.ask("recv")["values"] == [2]
