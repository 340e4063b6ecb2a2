# SPDX-License-Identifier: Apache-2.0
"""Everything that a launched program has started ends with it, in any session and whatever it does meanwhile."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.support.harness import Programs
from tests.support.launching import Journal
from tests.support.places import needs_root
from tests.support.processes import children, end, runs, wait_for_exit
from tests.support.waiting import wait_until

import framebus

PICTURE = np.zeros((48, 64), np.uint8)
FORKS_AND_ENDS = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fcntl.flock(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), fcntl.LOCK_EX)  # of all of them
os.close(os.open(sys.argv[2], os.O_CREAT))
until = time.monotonic() + 60
while time.monotonic() < until:
    if os.fork():
        os._exit(0)
    os.setsid()
    time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def pids(journal: Journal) -> list[int]:
    return [int(line) for line in journal.lines() if line.isdigit()]


@pytest.mark.parametrize("run", ["daemon", "under_another_subreaper"])
def test_daemon_gets_sigterm_and_ends_with_the_channel(channel_name: str, journal: Journal, run: str) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv(run), shutdown_timeout=0, kill_timeout=60)
    ) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
        assert all(map(runs, pids(journal)))
    assert journal.lines()[2:] == ["daemon: SIGTERM"]
    assert not any(map(runs, pids(journal)))
    assert children() == []


def test_daemon_that_ignores_sigterm_is_killed_after_the_grace(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("daemon", ignores=True), shutdown_timeout=0, kill_timeout=0.2)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
    assert not any(map(runs, pids(journal)))


def test_daemon_ends_when_the_program_that_started_it_has_ended(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("daemon", ends=True), max_restarts=2, restart_delay=0.0)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        wait_until(lambda: publisher.launched[0].failure is not None, "the end of all starts")
        assert publisher.launched[0].exit_code == 0
        assert len(pids(journal)) == 6, "each run starts anew"
        assert not any(map(runs, pids(journal)))
        assert journal.lines().count("daemon: SIGTERM") == 3


def test_what_is_started_while_all_are_ended_is_ended_too(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(
        journal.argv("starts_another_at_sigterm", generations=20), shutdown_timeout=0, kill_timeout=60
    )
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
    assert len(pids(journal)) == 20
    assert not any(map(runs, pids(journal)))


def test_what_never_stops_starting_others_is_killed_after_the_grace(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(
        journal.argv("starts_another_at_sigterm", generations=10**9), shutdown_timeout=0, kill_timeout=0.3
    )
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
    assert not any(map(runs, pids(journal)))


@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.002])
def test_what_forks_and_ends_over_and_over_is_killed_after_the_grace(
    channel_name: str, tmp_path: Path, pause: float
) -> None:
    held, begun = tmp_path / "held", tmp_path / "begun"
    run = [sys.executable, "-I", "-S", "-c", FORKS_AND_ENDS, str(held), str(begun), str(pause)]
    launch = framebus.Launch(run, on_exit="ignore", shutdown_timeout=0, kill_timeout=0.1)
    for _ in range(3):
        with framebus.Publisher(channel_name, launch=launch) as publisher:
            publisher.send(PICTURE)
            wait_until(begun.exists, "the start")
        with held.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while one of them runs
        begun.unlink()


def test_hundred_processes_in_sessions_of_their_own_end(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("many", count=100), shutdown_timeout=0, kill_timeout=60)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        journal.wait(101)
    assert not any(map(runs, pids(journal)))


def test_stopped_process_is_continued_and_sees_sigterm(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("with_a_stopped_child"), shutdown_timeout=0, kill_timeout=60)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
    assert journal.lines()[2:] == ["stopped: SIGTERM"]
    assert not any(map(runs, pids(journal)))


@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare(1) is not installed")
@needs_root
def test_pid_namespace_of_the_program_ends(channel_name: str, journal: Journal) -> None:
    inside = ["unshare", "--pid", "--fork", "--mount-proc", "setsid", *journal.argv("daemon", ignores=True)]
    launch = framebus.Launch(inside, shutdown_timeout=0, kill_timeout=0.2)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
        guard = psutil.Process(publisher.launched[0].pid).parent()
        assert guard is not None
        below = guard.children(recursive=True)
        assert len(below) >= 3
    assert not any(runs(process.pid) for process in below)


def test_zombies_of_a_running_program_are_reaped(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("daemon"), shutdown_timeout=0)
    ) as publisher:
        publisher.send(PICTURE)
        program, daemon = (int(line) for line in journal.wait(2))
        os.kill(daemon, signal.SIGKILL)
        wait_until(lambda: not psutil.pid_exists(daemon), "the daemon to be reaped")
        assert runs(program)


def test_guard_that_is_killed_takes_the_programs_group_along(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("with_a_child"), on_exit="ignore")
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        program, child = (int(line) for line in journal.wait(2))
        guard = psutil.Process(program).parent()
        assert guard is not None
        guard.kill()
        for pid in (program, child):
            wait_for_exit(pid)
        wait_until(lambda: publisher.launched[0].failure is not None, "the end to be known")
        assert publisher.launched[0].exit_code is None
        assert "killed together with its guard" in str(publisher.launched[0].failure)


def test_program_ends_if_program_a_and_the_guard_are_killed(
    programs: Programs, channel_name: str, journal: Journal
) -> None:
    launch = {"argv": journal.argv("ignore_sigterm")}
    publisher = programs.start("launches", name=channel_name, launch=[launch], closes=False)
    publisher.expect("sent")
    program = int(journal.wait(2)[0])
    guard = psutil.Process(program).parent()
    assert guard is not None
    guard.suspend()
    publisher.kill()
    guard.kill()
    wait_for_exit(program)
    framebus.Publisher(channel_name).close()  # removes what the killed one has left


@needs_root
def test_what_belongs_to_another_user_is_reported_and_left(
    programs: Programs, channel_name: str, journal: Journal
) -> None:
    foreign = ["setpriv", "--reuid=1000", "--clear-groups", "sleep", "600"]
    launch = {"argv": journal.argv("run", argv=foreign), "shutdown_timeout": 0, "kill_timeout": 0.3}
    without = ["setpriv", "--bounding-set=-kill"]  # even root may then signal its own processes only
    publisher = programs.start("launches", name=channel_name, launch=[launch], under=without)
    publisher.expect("sent")
    program, left = (int(line) for line in journal.wait(2))
    wait_until(lambda: psutil.Process(left).uids().effective == 1000, "the change of the user")
    try:
        assert publisher.wait() == 0
        assert not runs(program)
        assert runs(left)
        assert f"sleep (pid {left})" in publisher.errors()
    finally:
        end(left)
