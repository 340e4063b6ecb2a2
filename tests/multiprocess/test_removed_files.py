# SPDX-License-Identifier: Apache-2.0
"""A publisher whose files another program removes makes the channel again, or says that it can't.

logind does that to all files of a user who logs out. Everybody is where they were: subscribers with and without frames
not fetched yet, waiting in every way there is, and those that come later.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.compiled import CppPrograms
from tests.support.harness import Program, Programs, Refused
from tests.support.paths import ROOT
from tests.support.started import Started
from tests.support.waiting import WATCHDOG_S

import framebus

PICTURE = np.zeros((100, 100))
ENOUGH = 16  # claims after which a publisher looks at its files at the latest


def control_path(name: str) -> Path:
    return Path(f"/dev/shm/framebus.{name}")


def files_of(name: str) -> list[Path]:
    return sorted(Path("/dev/shm").glob(f"framebus.{name}*"))


def remove_all(name: str) -> None:
    for path in files_of(name):
        path.unlink()


def remove_control(name: str) -> None:
    control_path(name).unlink()


def remove_store(name: str) -> None:
    for path in files_of(name):
        if path != control_path(name):
            path.unlink()


REMOVALS = {"all": remove_all, "control block": remove_control, "store": remove_store}


@pytest.fixture(params=REMOVALS.values(), ids=REMOVALS.keys())
def remove(request: pytest.FixtureRequest) -> Callable[[str], None]:
    return request.param


def test_the_channel_is_there_again_before_twenty_more_frames_are_out(
    channel_name: str, remove: Callable[[str], None]
) -> None:
    with (
        framebus.Publisher(channel_name, slots=32, mode=0o640) as publisher,
        framebus.Subscriber(channel_name, every=True) as early,
        framebus.Subscriber(channel_name, every=True) as had_one,
    ):
        assert publisher.send(PICTURE) == 1
        assert had_one.recv(WATCHDOG_S).seq == 1
        before = [path.stat().st_mode for path in files_of(channel_name)]
        remove(channel_name)
        for number in range(2, 2 + ENOUGH):
            assert publisher.send(np.full(3, number)) == number
        assert len(files_of(channel_name)) == 2
        assert [path.stat().st_mode for path in files_of(channel_name)] == before
        with framebus.Subscriber(channel_name, history=ENOUGH + 1) as late:
            assert [late.recv(WATCHDOG_S).seq for _ in range(ENOUGH + 1)] == list(range(1, ENOUGH + 2))
        publisher.send(PICTURE)
        assert [early.recv(WATCHDOG_S).seq for _ in range(ENOUGH + 2)] == list(range(1, ENOUGH + 3))
        assert [had_one.recv(WATCHDOG_S).seq for _ in range(ENOUGH + 1)] == list(range(2, ENOUGH + 3))
        for subscriber in (early, had_one):
            statistics = subscriber.statistics()
            assert (statistics.missed, statistics.dropped, statistics.subscribers) == (0, 0, 2)
        assert publisher.statistics().subscribers == 2


def test_a_slow_publisher_makes_its_channel_again_with_the_next_frame(
    programs: Programs, channel_name: str, remove: Callable[[str], None]
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name)
    for number in range(1, 6):
        if number % 2 == 0:
            remove(channel_name)
        time.sleep(0.002)  # not to wait for anything: the next frame is to come more than a millisecond after the last
        publisher.ask("send", shape=[64], fill=number)
        assert subscriber.ask("recv", timeout=WATCHDOG_S)["seq"] == number
        assert len(files_of(channel_name)) == 2


WAITS: dict[str, dict[str, Any]] = {
    "recv": {"command": "recv"},
    "wait": {"command": "wait"},
    "asyncio": {"command": "recv_async"},
    "trio": {"command": "recv_async", "library": "trio"},
}


@pytest.mark.parametrize("reconnect", [True, False], ids=["reconnect", "this publisher only"])
@pytest.mark.parametrize("how", WAITS.values(), ids=WAITS.keys())
def test_who_waits_meanwhile_gets_the_next_frame(
    programs: Programs, channel_name: str, how: dict[str, Any], reconnect: bool
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, reconnect=reconnect)
    for number in (1, 2, 3):
        subscriber.tell(**how)
        subscriber.expect("waiting")
        remove_all(channel_name) if "quiet" not in str(files_of(channel_name)) else remove_control(channel_name)
        publisher.ask("send", shape=[64], fill=number)
        assert subscriber.answer()["seq"] == number


def test_a_publisher_that_closes_right_after_it_made_its_files_again_loses_no_frame_of_those_who_wait(
    programs: Programs, channel_name: str
) -> None:
    for _ in range(8):  # without the pause before the end the frame was lost in about half of the rounds
        with framebus.Publisher(channel_name) as publisher:
            publisher.send(PICTURE)
            subscriber = programs.subscriber(channel_name, every=True, history=1)
            assert subscriber.ask("recv")["seq"] == 1
            subscriber.tell("recv", timeout=WATCHDOG_S)
            subscriber.expect("waiting")
            remove_all(channel_name)
            time.sleep(0.002)  # not to wait for anything: the next frame is to come more than a millisecond later
            assert publisher.send(PICTURE) == 2
        assert subscriber.answer()["seq"] == 2
        subscriber.stop()


def test_iteration_goes_on_and_ends_where_the_publisher_closes(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name, slots=64)
    subscriber = programs.subscriber(channel_name, every=True)
    subscriber.tell("iterate")
    for number in range(1, 41):
        if number % 10 == 5:
            remove_all(channel_name)
        publisher.ask("send", shape=[64])
        subscriber.expect("frame")
    publisher.ask("close")
    assert subscriber.answer() == list(range(1, 41))


def test_a_loop_that_only_asks_now_and_then_comes_along_too(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        assert subscriber.try_recv() is not None
        assert subscriber.try_recv() is None
        remove_all(channel_name)
        for _ in range(ENOUGH):
            publisher.send(PICTURE)
        seen = 0
        while (frame := subscriber.try_recv()) is not None:
            seen = frame.seq
        assert seen == ENOUGH + 1
        frame = subscriber.try_recv()
        assert frame is None


def test_async_for_goes_on(channel_name: str) -> None:
    async def receive(subscriber: framebus.Subscriber) -> list[int]:
        numbers = []
        async for frame in subscriber:
            numbers.append(frame.seq)
            if frame.seq == 3:
                remove_all(channel_name)
            publisher.close() if frame.seq == 8 else publisher.send(PICTURE)
        return numbers

    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name, every=True) as subscriber:
        publisher.send(PICTURE)
        numbers = asyncio.run(receive(subscriber))
    assert numbers == list(range(1, 9))


@pytest.mark.parametrize("slots", [2, 8])
def test_on_full_block_loses_nothing_to_a_removal(programs: Programs, channel_name: str, slots: int) -> None:
    publisher = programs.publisher(channel_name, on_full="block", slots=slots)
    subscriber = programs.subscriber(channel_name, every=True)
    publisher.ask("send", shape=[64])
    assert subscriber.ask("recv")["seq"] == 1
    remove_all(channel_name)
    publisher.tell("send", shape=[64], count=500)
    assert [subscriber.ask("recv", timeout=WATCHDOG_S)["seq"] for _ in range(500)] == list(range(2, 502))
    assert publisher.answer() == 501


def test_what_a_slow_subscriber_loses_meanwhile_is_counted(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=4) as publisher, framebus.Subscriber(channel_name, every=True) as slow:
        publisher.send(PICTURE)
        remove_all(channel_name)
        for _ in range(99):
            publisher.send(PICTURE)
        got = 0
        while slow.try_recv() is not None:
            got += 1
        assert got >= 2
        assert slow.statistics().dropped == 100 - got


def test_a_publisher_that_waits_for_room_makes_its_channel_again(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name, on_full="block", slots=2)
    subscriber = programs.subscriber(channel_name, every=True)
    publisher.ask("send", shape=[64], count=2)
    publisher.tell("send", shape=[64], count=10)
    publisher.expect("waiting")
    remove_all(channel_name)
    while not control_path(channel_name).exists():
        os.sched_yield()
    assert [subscriber.ask("recv", timeout=WATCHDOG_S)["seq"] for _ in range(12)] == list(range(1, 13))
    assert publisher.answer() == 12


def test_a_loan_that_was_open_meanwhile_is_sent(channel_name: str) -> None:
    with (
        framebus.Publisher(channel_name, slots=32) as publisher,
        framebus.Subscriber(channel_name, every=True) as subscriber,
    ):
        with publisher.loan((50,), "uint8") as loan:
            loan.array[:] = 9
            remove_all(channel_name)
            for _ in range(ENOUGH):
                publisher.send(PICTURE)
        assert [subscriber.recv(WATCHDOG_S).seq for _ in range(ENOUGH)] == list(range(1, ENOUGH + 1))
        assert (subscriber.recv(WATCHDOG_S).array == 9).all()


def test_frames_that_are_held_stay_as_they_were(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=3) as subscriber:
        publisher.send(np.full(1000, 1))
        held = subscriber.recv(WATCHDOG_S).array
        remove_all(channel_name)
        for _ in range(50):
            publisher.send(np.full(1000, 2))
        assert (subscriber.recv(WATCHDOG_S).array == 2).all()
        assert (held == 1).all()


def test_a_name_that_another_publisher_has_by_then_is_an_error_until_it_is_free(
    programs: Programs, channel_name: str
) -> None:
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=[64], count=7)
    remove_all(channel_name)
    other = programs.publisher(channel_name)
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            publisher.ask("send", shape=[64], count=ENOUGH)
        assert refused.value.error == "ChannelInUse"
        assert "removed the files" in refused.value.message
        assert f"process {other.pid}" in refused.value.message
    other.kill()
    assert publisher.ask("send", shape=[64]) >= 8
    with framebus.Subscriber(channel_name) as subscriber:
        assert subscriber.recv(WATCHDOG_S).seq >= 8
    assert len(files_of(channel_name)) == 2


def test_a_removal_while_the_files_are_recreated_is_an_error_and_the_next_call_goes_on(
    cpp_programs: CppPrograms, channel_name: str
) -> None:
    role = cpp_programs.compiled(ROOT / "tests/crash/role.cpp", "-DFRAMEBUS_CRASH_POINTS")
    with Started(role, "lose", channel_name, 40, env={"FRAMEBUS_STOP_AT": "recreate:named:1"}) as program:
        os.waitid(os.P_PID, program.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        remove_control(channel_name)
        program.send_signal(signal.SIGCONT)
        assert program.output() == "refused\n"


def test_many_removals_under_a_fast_publisher_leave_a_channel_that_works(channel_name: str) -> None:
    over = threading.Event()

    def remove_again_and_again() -> None:
        while not over.is_set():
            for path in files_of(channel_name):
                path.unlink(missing_ok=True)

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        vandal = threading.Thread(target=remove_again_and_again)
        vandal.start()
        sent = 0
        try:
            for number in range(3000):
                try:
                    sent = publisher.send(np.full(100, number))
                except framebus.CorruptChannel:  # removed again while it was being made
                    continue
                subscriber.try_recv()
        finally:
            over.set()
            vandal.join()
        for _ in range(ENOUGH + 1):
            assert publisher.send(np.full(100, 7)) == sent + 1
            sent += 1
        received = 0
        while received != sent:  # first what it had not fetched where it was, then what is new where it has come to
            seq = subscriber.recv(WATCHDOG_S).seq
            assert received < seq <= sent
            received = seq
        with framebus.Subscriber(channel_name) as late:
            assert late.recv(WATCHDOG_S).seq == sent
    assert files_of(channel_name) == []


def test_a_reader_and_a_publisher_in_two_programs_go_on_through_many_removals(
    programs: Programs, channel_name: str
) -> None:
    publisher = programs.publisher(channel_name, on_full="block", slots=4)
    subscriber: Program = programs.subscriber(channel_name, every=True)
    subscriber.tell("iterate")
    for _ in range(30):
        publisher.ask("send", shape=[64], count=20)
        remove_all(channel_name)
    publisher.ask("send", shape=[64], count=20)
    for _ in range(31 * 20):
        subscriber.expect("frame")
    publisher.ask("close")
    assert subscriber.answer() == list(range(1, 31 * 20 + 1))
