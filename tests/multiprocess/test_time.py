# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump, clocks that differ, and programs that stand still for longer than any timeout.

The wall clock is made to jump by a preloaded library, for one program or for all; CLOCK_MONOTONIC differs in a time
namespace. Neither framebus nor these tests decide anything by the wall clock.
"""

from __future__ import annotations

import itertools
import mmap
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.compiled import CppPrograms, needs_compiler
from tests.support.harness import Program, Programs, Refused
from tests.support.paths import PROGRAMS
from tests.support.places import Place, needs_root

HERE = Path(__file__).parent

NAME = "camera0"
DAY = 86400
# Seconds; none is where the clock was before, and most are farther off than anything framebus waits for.
JUMPS = [0, 3600, -3600, 0.2, -0.2, 3650 * DAY, -3650 * DAY, 1, -1]
# The scenarios of the suite that publish, wait, block, die, take over and grow.
SCENARIOS = [
    "test_b_first.py", "test_crashes.py", "test_growth_and_change.py", "test_hold_budgets_between_programs.py",
    "test_reconnect.py", "test_second_publisher.py", "test_stalled_reader.py",
]  # fmt: skip


class WallClock:
    """What the wall clock of a program shows, as an offset to the true one that may be changed at any time."""

    def __init__(self, library: Path, offset: Path) -> None:
        offset.write_bytes(bytes(mmap.PAGESIZE))
        with open(offset, "r+b") as file:
            self._word = memoryview(mmap.mmap(file.fileno(), mmap.PAGESIZE)).cast("q")  # stored in one piece
        self.environment = {"LD_PRELOAD": str(library), "FRAMEBUS_WALL_CLOCK": str(offset)}

    def set(self, seconds: float) -> None:
        self._word[0] = round(seconds * 1e9)

    @property
    def under(self) -> Sequence[str]:
        """The beginning of a command whose programs live by this clock; CLOCK_MONOTONIC is the true one."""
        return ["env", *(f"{name}={value}" for name, value in self.environment.items())]

    @contextmanager
    def jumping(self) -> Iterator[None]:
        """Let it jump to and fro, some hundred times a second, during the block."""
        over = threading.Event()

        def jump() -> None:
            for offset in itertools.cycle(JUMPS):
                self.set(offset)
                if over.wait(0.003):
                    return

        thread = threading.Thread(target=jump)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


@pytest.fixture
def wall_clock(cpp_programs: CppPrograms, tmp_path: Path) -> WallClock:
    return WallClock(cpp_programs.compiled(PROGRAMS / "wall_clock.cpp", "-shared", "-fPIC"), tmp_path / "offset")


@needs_compiler
def test_the_clock_of_these_tests_does_jump(wall_clock: WallClock) -> None:
    wall_clock.set(10 * DAY)
    command = [*wall_clock.under, sys.executable, "-c", "import time; print(time.time(), time.monotonic())"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    wall, monotonic = map(float, done.stdout.split())
    assert abs(wall - time.time() - 10 * DAY) < DAY
    assert 0 <= time.monotonic() - monotonic < DAY


@needs_compiler
@pytest.mark.timeout(900)  # some minutes' worth of other tests
@pytest.mark.long
def test_the_scenarios_of_the_suite_pass_while_the_wall_clock_jumps(wall_clock: WallClock) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--no-skips"]
    with wall_clock.jumping():
        done = subprocess.run(
            [*wall_clock.under, *command, *(HERE / scenario for scenario in SCENARIOS)],
            capture_output=True,
            text=True,
            timeout=850,
            check=False,
        )
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed, done.stdout
    assert int(passed[1]) > 3 * len(SCENARIOS)


@needs_compiler
@pytest.mark.parametrize("whose", ["publisher", "subscriber"])
def test_nothing_is_lost_where_the_clock_of_one_side_jumps(
    programs: Programs, channel_name: str, wall_clock: WallClock, whose: str
) -> None:
    under = {whose: wall_clock.under}
    sender = programs.publisher(channel_name, under=under.get("publisher", ()))
    receiver = programs.subscriber(channel_name, under=under.get("subscriber", ()), every=True)
    for number, offset in enumerate(JUMPS * 5, 1):
        receiver.tell("recv", timeout=30.0)
        wall_clock.set(offset)
        sender.ask("send", shape=[100])
        assert receiver.answer()["seq"] == number
    wall_clock.set(3650 * DAY)
    with pytest.raises(Refused) as refused:
        receiver.ask("recv", timeout=0.2)
    assert refused.value.error == "Timeout"
    assert "is alive and has sent 45" in refused.value.message
    statistics = receiver.ask("statistics")
    assert (statistics["missed"], statistics["dropped"]) == (0, 0)
    assert 0 <= statistics["latency_p99_s"] < DAY, "latencies are measured by CLOCK_MONOTONIC"


@needs_root
@pytest.mark.parametrize("offset", [100_000, -1000])
@pytest.mark.parametrize("wait", ["adaptive", "park", "spin", "predictive"])
def test_frames_and_deaths_pass_between_time_namespaces_and_only_the_figures_are_off(
    place: Place, programs: Programs, offset: int, wait: str
) -> None:
    elsewhere = [*place.inside, "unshare", "--time", f"--monotonic={offset}", "--fork", "--kill-child"]
    sender = programs.publisher(NAME, under=elsewhere)
    receiver = programs.subscriber(NAME, under=place, every=True, reconnect=False, wait=wait)
    for number in range(1, 6):
        receiver.tell("recv", timeout=30.0)
        sender.ask("send", shape=[100])
        assert receiver.answer()["seq"] == number
    with pytest.raises(Refused) as alive:
        receiver.ask("recv", timeout=0.2)
    assert alive.value.error == "Timeout"
    latency = receiver.ask("statistics")["latency_p50_s"]
    assert abs(latency + offset) < 60, "as docs/deployment.md says"
    receiver.tell("recv")
    receiver.expect("waiting")
    sender.kill()
    with pytest.raises(Refused) as dead:
        receiver.answer()
    assert dead.value.error == "PublisherDied"


@needs_root
@pytest.mark.parametrize("reconnect", [True, False], ids=["reconnect", "no-reconnect"])
def test_a_publisher_that_stands_still_is_not_dead(place: Place, programs: Programs, reconnect: bool) -> None:
    sender = programs.publisher(NAME, under=place)
    receiver = programs.subscriber(NAME, under=place, every=True, reconnect=reconnect)
    sender.ask("send", shape=[100], count=3)
    sender.signal(signal.SIGSTOP)
    assert [receiver.ask("recv")["seq"] for _ in range(3)] == [1, 2, 3]
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            receiver.ask("recv", timeout=1.0)  # 20 of the longest slices that anybody sleeps
        assert refused.value.error == "Timeout"
        assert f"its publisher, process {sender.pid}, is alive and has sent 3" in refused.value.message
    late = programs.subscriber(NAME, under=place)
    assert late.ask("recv")["seq"] == 3
    assert place.framebus("doctor", "--clean").returncode == 0
    usurper = place.python(f"import framebus; framebus.Publisher({NAME!r})")
    assert f"ChannelInUse: channel '{NAME}' already has a publisher: process {sender.pid}" in usurper.stderr
    receiver.tell("recv")
    sender.signal(signal.SIGCONT)
    assert sender.ask("send", shape=[100]) == 4
    assert receiver.answer()["seq"] == 4
    statistics = receiver.ask("statistics")
    assert (statistics["frames"], statistics["missed"], statistics["dropped"]) == (4, 0, 0)


def test_a_publisher_stopped_and_resumed_in_the_middle_of_sending_loses_nothing(
    programs: Programs, channel_name: str
) -> None:
    sender = programs.start(
        "flood", name=channel_name, shape=[240, 320], slots=4, frames=4000, on_full="block", progress_every=50
    )
    sender.expect("ready")
    every = programs.start("watch", name=channel_name, every=True)
    every.expect("attached")
    waiter = programs.subscriber(channel_name, reconnect=False)
    sender.tell("go")
    for _ in range(5):
        sender.expect("progress")
        sender.signal(signal.SIGSTOP)
        assert until_nothing_comes(waiter) == "Timeout", "a publisher that is stopped was taken for dead"
        while sender.heard("progress"):
            sender.expect("progress")
        sender.signal(signal.SIGCONT)
    waiter.ask("close")
    report = every.expect("report")
    assert (report["first"], report["seen"], report["missing"]) == (1, 4000, 0)
    assert set(report["wrong"].values()) == {0}


def until_nothing_comes(receiver: Program) -> str:
    """Fetch what is there; gives the error with which that ends after four of the longest slices."""
    try:
        while True:
            receiver.ask("recv", timeout=0.2)
    except Refused as refused:
        return refused.error
