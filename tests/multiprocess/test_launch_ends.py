# SPDX-License-Identifier: Apache-2.0
"""A launched program and all that it started end with the publisher's program, in any way; or stay, if asked to."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests.support.harness import Program, Programs
from tests.support.launching import Journal
from tests.support.processes import children, end, runs, wait_for_exit
from tests.support.started import Started
from tests.support.waiting import wait_until

import framebus

PICTURE = np.zeros((48, 64), np.uint8)
WAYS = ["kill -9", "SIGTERM", "end of the program"]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def launch(journal: Journal, run: str, arguments: dict[str, Any] | None = None, **options: object) -> dict[str, Any]:
    """A Launch as JSON, for programs/launches.py."""
    return {"argv": journal.argv(run, **(arguments or {})), **options}


def end_by(way: str, program: Program) -> None:
    if way == "kill -9":
        program.kill()
    elif way == "SIGTERM":
        program.signal(signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM
    else:
        assert program.wait() == 0


def sweep(channel_name: str) -> None:
    """Remove the channel that a killed program has left."""
    framebus.Publisher(channel_name).close()


def test_program_that_iterates_gets_all_frames_and_ends_by_itself_at_close(channel_name: str, journal: Journal) -> None:
    command = framebus.Launch(journal.argv("fetch", name=channel_name, every=True, history=1), shutdown_timeout=60)
    with framebus.Publisher(channel_name, on_full="block", launch=command) as publisher:
        for _ in range(200):
            publisher.send(PICTURE)
    assert journal.lines()[1:] == [*map(str, range(1, 201)), "dropped 0"]
    assert publisher.launched[0].exit_code == 0
    assert not publisher.launched[0].alive


def test_program_that_does_not_end_by_itself_gets_sigterm(channel_name: str, journal: Journal) -> None:
    command = framebus.Launch(journal.argv("wait"), shutdown_timeout=0.05)
    with framebus.Publisher(channel_name, launch=command) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
    assert journal.lines()[1:] == ["waiting", "SIGTERM"]
    assert not runs(journal.pid())
    publisher.close()
    assert publisher.launched[0].exit_code == 0
    assert children() == []


def test_program_that_ignores_sigterm_is_killed_after_its_grace(channel_name: str, journal: Journal) -> None:
    command = framebus.Launch(journal.argv("ignore_sigterm"), shutdown_timeout=0.0, kill_timeout=0.3)
    with framebus.Publisher(channel_name, launch=command) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
    assert not runs(journal.pid())
    assert publisher.launched[0].exit_code == -signal.SIGKILL


def test_program_that_was_stopped_is_continued_and_sees_sigterm(channel_name: str, journal: Journal) -> None:
    command = framebus.Launch(journal.argv("wait"), shutdown_timeout=0.0, kill_timeout=60)
    with framebus.Publisher(channel_name, launch=command) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
        os.kill(journal.pid(), signal.SIGSTOP)
    assert not runs(journal.pid())
    assert journal.lines()[-1] == "SIGTERM"
    assert publisher.launched[0].exit_code == 0


def test_what_the_program_has_started_ends_with_the_channel(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("with_a_child"), shutdown_timeout=0)
    ) as publisher:
        publisher.send(PICTURE)
        pids = [int(line) for line in journal.wait(2)]
        assert all(map(runs, pids))
    assert not any(map(runs, pids))


def test_what_the_program_has_started_ends_when_the_program_does(channel_name: str, journal: Journal) -> None:
    command = framebus.Launch(journal.argv("with_a_child", ends=True), on_exit="ignore")
    with framebus.Publisher(channel_name, launch=command) as publisher:
        publisher.send(PICTURE)
        wait_until(lambda: publisher.launched[0].failure is not None, "the end of the program")
        assert publisher.launched[0].exit_code == 0
        assert not runs(int(journal.lines()[1]))


def test_program_that_goes_into_the_background_counts_as_ended_and_is_ended(
    channel_name: str, journal: Journal
) -> None:
    command = framebus.Launch(journal.argv("into_the_background"), on_exit="ignore")
    with framebus.Publisher(channel_name, launch=command) as publisher:
        publisher.send(PICTURE)
        background = int(journal.wait(2)[1])
        wait_until(lambda: publisher.launched[0].failure is not None, "the end of the program")
        assert publisher.launched[0].exit_code == 0
        assert not runs(background)


def test_what_a_program_has_left_in_the_background_runs_on_if_the_program_is_to_be_left(
    channel_name: str, journal: Journal
) -> None:
    command = framebus.Launch(journal.argv("into_the_background"), on_exit="ignore", stop_with_publisher=False)
    background = 0
    try:
        with framebus.Publisher(channel_name, launch=command) as publisher:
            publisher.send(PICTURE)
            background = int(journal.wait(2)[1])
            wait_until(lambda: publisher.launched[0].failure is not None, "the end of the program")
        assert runs(background)
    finally:
        if background:
            end(background)


@pytest.mark.parametrize("run", ["wait", "ignore_sigterm", "with_a_child", "daemon"])
@pytest.mark.parametrize("way", WAYS)
def test_program_ends_with_the_process_of_the_publisher(
    programs: Programs, channel_name: str, journal: Journal, run: str, way: str
) -> None:
    publisher = programs.start(
        "launches",
        name=channel_name,
        launch=[launch(journal, run, shutdown_timeout=0.0, kill_timeout=0.3)],
        closes=False,
    )
    publisher.expect("sent")
    journal.wait(2)
    pids = [int(line) for line in journal.lines() if line.isdigit()]
    guard = psutil.Process(pids[0]).ppid()
    end_by(way, publisher)
    for pid in [*pids, guard]:
        wait_for_exit(pid)
    if run == "wait":
        assert journal.lines()[-1] == "SIGTERM", "it had its chance"
    sweep(channel_name)


@pytest.mark.parametrize("way", WAYS)
def test_program_that_is_to_be_left_runs_on(programs: Programs, channel_name: str, journal: Journal, way: str) -> None:
    publisher = programs.start(
        "launches", name=channel_name, launch=[launch(journal, "wait", stop_with_publisher=False)], closes=False
    )
    publisher.expect("sent")
    pid = int(journal.wait(2)[0])
    guard = psutil.Process(pid).ppid()
    end_by(way, publisher)
    try:
        assert runs(pid)
        assert runs(guard), "somebody has to take what it writes"
        end(guard)
        os.kill(pid, signal.SIGTERM)
        assert journal.wait(3) == [str(pid), "waiting", "SIGTERM"], "it outlives even its guard"
    finally:
        end(pid)
    sweep(channel_name)


def test_program_that_was_left_at_close_is_no_zombie_when_it_ends(channel_name: str, journal: Journal) -> None:
    command = framebus.Launch(journal.argv("wait"), stop_with_publisher=False)
    with framebus.Publisher(channel_name, launch=command) as publisher:
        publisher.send(PICTURE)
        pid = int(journal.wait(2)[0])
    assert runs(pid)
    end(pid)
    wait_until(lambda: children() == [], "the guard to be reaped")
    wait_until(lambda: not publisher.launched[0].alive, "its end to be known")
    assert journal.lines() == [str(pid), "waiting"], "it was not started again"


def test_forked_child_of_a_killed_program_a_does_not_keep_program_b(
    programs: Programs, channel_name: str, journal: Journal
) -> None:
    publisher = programs.start("launches", name=channel_name, launch=[launch(journal, "wait")])
    publisher.expect("sent")
    journal.wait(2)
    forked = publisher.ask("fork")
    try:
        publisher.kill()
        wait_for_exit(journal.pid())
        assert runs(forked)
    finally:
        end(forked)
    sweep(channel_name)


def test_forked_child_does_not_end_its_parents_program(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name, launch=journal.argv("wait")) as publisher:
        publisher.send(PICTURE)
        journal.wait(2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # there are threads; the child only closes
            child = os.fork()
        if child == 0:
            try:
                publisher.close()
                del publisher
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert runs(journal.pid())
        assert publisher.launched[0].alive
        assert publisher.send(PICTURE) == 2


def test_publisher_that_is_forgotten_ends_its_program(channel_name: str, journal: Journal) -> None:
    publisher = framebus.Publisher(channel_name, launch=framebus.Launch(journal.argv("wait")))
    publisher.send(PICTURE)
    journal.wait(2)
    del publisher
    wait_for_exit(journal.pid())


INTERRUPTED = """
import sys, time, numpy as np, framebus
with framebus.Publisher(sys.argv[1], launch=sys.argv[2:]) as pub:
    while True:
        pub.send(np.zeros(3))
        time.sleep(0.01)
"""


def test_one_ctrl_c_ends_both_with_one_traceback(channel_name: str, journal: Journal) -> None:
    command = journal.argv("fetch", name=channel_name, every=True, history=1)
    with Started(
        sys.executable, "-c", INTERRUPTED, channel_name, *command, stdin=None, start_new_session=True
    ) as process:
        journal.wait(10)
        os.killpg(process.pid, signal.SIGINT)  # to all in the foreground, as a terminal does
        status, output, errors = process.finish()
    assert status == -signal.SIGINT
    assert output == ""
    assert errors.count("Traceback") == errors.count("KeyboardInterrupt") == 1
    assert not runs(journal.pid())
    assert journal.lines()[-1] == "dropped 0", "it ended as it does when the channel closes"
