# SPDX-License-Identifier: Apache-2.0
"""launch= starts a program with the first frame and supervises it; on_exit says what its exit means."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.support.launching import Journal
from tests.support.processes import children, wait_for_exit
from tests.support.started import Started
from tests.support.waiting import WATCHDOG_S, wait_until

import framebus

PICTURE = np.zeros((48, 64), np.uint8)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def draw(publisher: framebus.Publisher) -> None:
    with publisher.loan(PICTURE.shape):
        pass


def given_up(publisher: framebus.Publisher) -> Callable[[], bool]:
    return lambda: all(status.failure is not None for status in publisher.launched)


@pytest.mark.parametrize("send", [lambda publisher: publisher.send(PICTURE), draw], ids=["send", "loan"])
def test_program_is_started_with_the_first_frame_and_not_before(
    channel_name: str, journal: Journal, send: Callable[[framebus.Publisher], None]
) -> None:
    with framebus.Publisher(channel_name, launch=journal.argv("wait")) as publisher:
        with pytest.raises(TypeError):
            publisher.send("no picture")  # type: ignore[arg-type]
        assert (publisher.launched[0].starts, children()) == (0, [])
        send(publisher)
        assert journal.wait(2) == [str(publisher.launched[0].pid), "waiting"]
        send(publisher)
        [status] = publisher.launched
        assert (status.alive, status.starts, status.exit_code) == (True, 1, None)
        assert status.argv == tuple(journal.argv("wait"))


def test_loan_that_is_dropped_starts_nothing(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name, launch=journal.argv("wait")) as publisher:
        with pytest.raises(RuntimeError), publisher.loan(PICTURE.shape):
            raise RuntimeError("the camera was unplugged")
        assert publisher.launched[0].starts == 0


def test_program_that_is_killed_is_started_again_also_while_nothing_is_sent(
    channel_name: str, journal: Journal
) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("wait"), restart_delay=0.01)
    ) as publisher:
        publisher.send(PICTURE)
        for restart in range(3):
            pid = int(journal.wait(2 * restart + 2)[2 * restart])
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(journal.lines()) == 8, "the fourth run")
        assert len(set(journal.lines()[::2])) == 4
        [status] = publisher.launched
        assert (status.starts, status.alive, status.exit_code) == (4, True, -signal.SIGKILL)


def test_killed_guard_takes_its_program_along_and_both_come_back(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("wait"), restart_delay=0.01)
    ) as publisher:
        publisher.send(PICTURE)
        first = int(journal.wait(2)[0])
        psutil.Process(first).parent().kill()  # type: ignore[union-attr]
        assert int(journal.wait(4)[2]) != first
        wait_for_exit(first)


def test_guard_that_is_told_to_end_gives_its_program_the_same_chance(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("wait"), restart_delay=0.01)
    ) as publisher:
        publisher.send(PICTURE)
        guard = psutil.Process(int(journal.wait(2)[0])).parent()
        assert guard is not None
        guard.terminate()
        assert journal.wait(5)[2] == "SIGTERM"
        assert publisher.launched[0].exit_code == 0


def test_launcher_does_not_start_a_program_again_whose_channel_has_closed(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("fetch", name=channel_name, history=1), restart_delay=0.0)
    with framebus.Launcher(launch, channel_name) as launcher:
        with framebus.Publisher(channel_name) as publisher:
            publisher.send(PICTURE)
            launcher.start()
            journal.wait(2)
        assert launcher.wait(WATCHDOG_S)
        [status] = launcher.programs
        assert (status.starts, status.exit_code, status.failure) == (1, 0, None)


@pytest.mark.parametrize("status", [0, 5])
def test_program_that_always_ends_is_given_up_after_its_limit_and_the_channel_lives_on(
    channel_name: str, journal: Journal, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "framebus.launch")
    launch = framebus.Launch(journal.argv("end", status=status, lines=50), max_restarts=3, restart_delay=0.01)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        wait_until(given_up(publisher), "the end of all starts")
        assert publisher.send(PICTURE) == 2
        [found] = publisher.launched
    assert (found.starts, found.alive, found.exit_code) == (4, False, status)
    assert len(set(journal.lines())) == len(journal.lines()) == 4
    assert found.failure is not None
    assert "3 times in a row" in found.failure
    assert found.last_lines == tuple(f"line {number}" for number in [*range(10, 50, 2), *range(11, 50, 2)])
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert f"ended with status {status}" in errors[0]
    said = [record.getMessage() for record in caplog.records if record.name == "framebus.launch.output"]
    assert len(said) == 4
    assert all("\n    line 49" in text for text in said)


def test_stop_closes_the_channel_and_the_next_send_says_why(channel_name: str, journal: Journal) -> None:
    other = Journal(journal.path.with_name("other"))
    launch = [
        framebus.Launch(other.argv("wait")),
        framebus.Launch(journal.argv("fetch", name=channel_name, every=True, history=1, limit=2), on_exit="stop"),
    ]
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        other.wait(2)
        assert publisher.send(PICTURE) == 2
        wait_until(lambda: publisher.closed, "the channel to close")
        wait_until(lambda: publisher.launched[1].failure is not None, "the reason")
        for send in (lambda: publisher.send(PICTURE), lambda: publisher.loan((3,))):
            with pytest.raises(framebus.ChannelClosed, match=r"launched\.py.*ended with status 7.*on_exit='stop'"):
                send()
        assert publisher.statistics().frames == 2
        wait_for_exit(other.pid())
    assert journal.lines()[1:] == ["1", "2"]


def test_ignore_lets_the_program_go_and_the_channel_live_on(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("end", status=9), on_exit="ignore")
    ) as publisher:
        publisher.send(PICTURE)
        wait_until(given_up(publisher), "the end of the program")
        assert publisher.send(PICTURE) == 2
        assert (publisher.launched[0].starts, publisher.launched[0].exit_code) == (1, 9)
    assert len(journal.lines()) == 1


def test_several_programs_are_looked_after_one_by_one(channel_name: str, tmp_path: Path) -> None:
    journals = [Journal(tmp_path / str(number)) for number in range(3)]
    launch = [framebus.Launch(journal.argv("wait"), restart_delay=0.01) for journal in journals]
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        pids = [int(journal.wait(2)[0]) for journal in journals]
        os.kill(pids[1], signal.SIGKILL)
        journals[1].wait(4)
        assert [status.starts for status in publisher.launched] == [1, 2, 1]
        assert publisher.launched[0].pid == pids[0]
        assert publisher.launched[2].pid == pids[2]
    assert not any(status.alive for status in publisher.launched)
    for journal in journals:
        assert journal.lines()[-1] == "SIGTERM"


def test_program_gets_its_variables_and_its_folder(channel_name: str, tmp_path: Path) -> None:
    code = "import os; open('found', 'w').write(os.environ['COLOUR'] + ' ' + os.environ['PATH'])"
    launch = framebus.Launch(
        [sys.executable, "-c", code], on_exit="ignore", cwd=tmp_path, env={"COLOUR": "grün"}, restart_delay=0
    )
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        wait_until(given_up(publisher), "the end of the program")
        assert publisher.launched[0].exit_code == 0
    assert (tmp_path / "found").read_text() == f"grün {os.environ['PATH']}"


def test_program_that_vanishes_after_it_was_found_is_a_failed_start(channel_name: str, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    with framebus.Publisher(
        channel_name, launch=framebus.Launch([str(program)], max_restarts=1, restart_delay=0.01)
    ) as publisher:
        program.unlink()
        publisher.send(PICTURE)
        wait_until(given_up(publisher), "the end of all starts")
        [status] = publisher.launched
        assert (status.starts, status.pid, status.exit_code) == (2, None, None)
        assert status.failure is not None
        assert str(program) in status.failure


def test_no_zombie_is_left_of_programs_that_were_started_again(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("end"), max_restarts=5, restart_delay=0.0)
    ) as publisher:
        publisher.send(PICTURE)
        wait_until(given_up(publisher), "the end of all starts")
    wait_until(lambda: children() == [], "all guards to be reaped")


PASSES_ON = """
import sys, time, numpy as np, framebus
with framebus.Publisher(sys.argv[1], launch=framebus.Launch(sys.argv[2:], on_exit="ignore")) as pub:
    pub.send(np.zeros(3))
    while pub.launched[0].failure is None:
        time.sleep(0.01)
"""


def test_output_is_passed_on_to_the_output_of_program_a(channel_name: str, journal: Journal) -> None:
    command = journal.argv("end", lines=1000, text="größe\udcff")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PASSES_ON, channel_name, *command], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    out, err = done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape")
    assert out.splitlines() == [f"größe\udcff {number}" for number in range(0, 1000, 2)]
    assert err.splitlines() == [f"größe\udcff {number}" for number in range(1, 1000, 2)]


BLOCKED = """
import sys, numpy as np, framebus
with framebus.Publisher(sys.argv[1], launch=framebus.Launch(sys.argv[2:], shutdown_timeout=0)) as pub:
    pub.send(np.zeros(3))
    sys.stdin.read()
sys.stderr.write(str(pub.launched[0].exit_code))
"""


def test_program_that_fills_an_output_nobody_reads_is_ended_all_the_same(channel_name: str, journal: Journal) -> None:
    with Started(sys.executable, "-c", BLOCKED, channel_name, *journal.argv("write", count=10_000_000)) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        pid = journal.pid()
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_SLEEPING, "the pipe to be full")
        process.stdin.close()
        assert process.stderr.read() == f"{-signal.SIGTERM}"
        assert process.wait(60) == 0
        assert journal.lines() == [str(pid)]
