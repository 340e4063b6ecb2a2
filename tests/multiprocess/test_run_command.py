# SPDX-License-Identifier: Apache-2.0
"""`framebus run`, in a fork: waits for a channel, supervises a program, and exits with its status."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.forked_commands import ForkedCommand
from tests.support.harness import Programs
from tests.support.launching import Journal
from tests.support.processes import end, runs, wait_for_exit
from tests.support.waiting import wait_until

import framebus

PICTURE = np.zeros((1080, 1920, 3), np.uint8)


class Run(ForkedCommand):
    """A running `framebus run`."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("run", *arguments, session=True)


class Runs:
    """Everything a test has started."""

    def __init__(self) -> None:
        self._started: list[Run] = []

    def start(self, *arguments: str) -> Run:
        self._started.append(Run(*arguments))
        return self._started[-1]

    def end(self) -> None:
        for run in self._started:
            run.end()


@pytest.fixture
def commands(channel_name: str) -> Iterator[Runs]:  # noqa: ARG001 - its check for left-over files must run last
    started = Runs()
    try:
        yield started
    finally:
        started.end()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def sends_until_known(publisher: framebus.Publisher, journal: Journal, lines: int) -> None:
    def send_and_look() -> bool:
        publisher.send(PICTURE)
        return len(journal.lines()) >= lines

    wait_until(send_and_look, f"{lines} lines in the journal")


def test_program_is_started_with_the_first_frame_and_gets_it(
    commands: Runs, channel_name: str, journal: Journal
) -> None:
    run = commands.start(channel_name, "--", *journal.argv("fetch", name=channel_name, every=True, history=1))
    with framebus.Publisher(channel_name) as publisher:
        wait_until(lambda: has_come(run, channel_name), "framebus run to come")
        assert journal.lines() == []
        sends_until_known(publisher, journal, 5)
    status, output, errors = run.finish()
    assert (status, output) == (0, ""), errors
    assert journal.lines()[1] == "1"
    assert journal.lines()[-1] == "dropped 0"
    assert "has been started" in errors
    assert "ended with status 0" in errors
    assert "again" not in errors, "the channel has closed, so nobody needs it any more"


def has_come(run: Run, channel_name: str) -> bool:
    """Whether it has mapped the channel's control block."""
    return f"framebus.{channel_name}" in Path(f"/proc/{run.pid}/maps").read_text()


@pytest.mark.parametrize("status", [0, 7])
def test_exit_status_is_that_of_the_program_that_ends_it(
    commands: Runs, channel_name: str, journal: Journal, status: int
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(
            channel_name, "--on-exit", "stop", "--", *journal.argv("end", status=status, lines=4, text="said")
        )
        found, output, errors = run.finish()
        assert found == status
        assert output == "said 0\nsaid 2\n"
        assert [line for line in errors.splitlines() if line.startswith("said")] == ["said 1", "said 3"]
        assert f"ended with status {status}" in errors
        assert publisher.send(PICTURE) == 2


def test_program_that_a_signal_ends_is_reported_as_a_shell_does(
    commands: Runs, channel_name: str, journal: Journal
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(channel_name, "--on-exit", "stop", "--", *journal.argv("ignore_sigterm"))
        journal.wait(2)
        end(journal.pid())
        status, _, errors = run.finish()
        assert status == 128 + signal.SIGKILL
        assert "SIGKILL" in errors


def test_limit_ends_it_with_the_status_of_the_last_run(commands: Runs, channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(channel_name, "--max-restarts", "2", "--", *journal.argv("end", status=5))
        status, _, errors = run.finish()
        assert status == 5
        assert "2 times in a row" in errors
        assert len(journal.lines()) == 3


def test_ctrl_c_ends_the_program_and_gives_130(commands: Runs, channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(channel_name, "--", *journal.argv("wait"))
        journal.wait(2)
        run.send_signal(signal.SIGINT)
        status, output, errors = run.finish()
        assert (status, output) == (130, "")
        assert "Traceback" not in errors
        assert journal.lines()[1:] == ["waiting", "SIGTERM"]
        assert not runs(journal.pid())


def test_ctrl_c_while_there_is_no_channel_gives_130(commands: Runs, channel_name: str, journal: Journal) -> None:
    run = commands.start(channel_name, "--", *journal.argv("wait"))
    wait_until(lambda: waits_for_a_channel(run.pid), "framebus run to look for the channel")
    run.send_signal(signal.SIGINT)
    status, _, errors = run.finish()
    assert status == 130
    assert "Traceback" not in errors
    assert journal.lines() == []


def waits_for_a_channel(pid: int) -> bool:
    """Whether it sleeps between two looks, which takes it 5 ms: nothing before that in its life does."""
    return "hrtimer_nanosleep" in Path(f"/proc/{pid}/wchan").read_text()


def test_leave_leaves_the_program(commands: Runs, channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(channel_name, "--leave", "--", *journal.argv("wait"))
        pid = int(journal.wait(2)[0])
        run.send_signal(signal.SIGINT)
        try:
            wait_until(lambda: not runs(run.pid), "framebus run to end")
            assert runs(pid)
        finally:
            end(pid)
        assert run.finish()[0] == 130


def test_program_ends_with_a_killed_framebus_run(commands: Runs, channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(channel_name, "--", *journal.argv("wait"))
        journal.wait(2)
        run.send_signal(signal.SIGKILL)
        wait_for_exit(journal.pid())


def test_program_outlives_a_program_a_that_is_killed_and_goes_on_with_the_next(
    commands: Runs, programs: Programs, channel_name: str, journal: Journal
) -> None:
    first = programs.publisher(channel_name)
    first.ask("send", shape=[10])
    run = commands.start(channel_name, "--", *journal.argv("fetch", name=channel_name, every=True, history=1))
    journal.wait(2)
    first.kill()
    with framebus.Publisher(channel_name) as second:
        assert second.send(PICTURE) == 2
        journal.wait(3)
    assert run.finish()[0] == 0
    assert journal.lines()[1:] == ["1", "2", "dropped 0"]


def test_ignore_waits_until_the_channel_closes(commands: Runs, channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        run = commands.start(channel_name, "--on-exit", "ignore", "--", *journal.argv("end", status=6))
        wait_for_exit(journal.pid())
        assert runs(run.pid)
    assert run.finish()[0] == 6


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--", "no-such-program"], 127, "no program of that name in PATH"),
        ([], 2, "-- python algo.py"),
        (["--kill-timeout", "-1", "--", "true"], 2, "kill_timeout"),
        (["--grace", "-1", "--", "true"], 2, "kill_timeout"),
        (["--limit", "-1", "--", "true"], 2, "max_restarts"),
    ],
    ids=["missing program", "no program", "bad option", "former --grace", "former --limit"],
)
def test_what_cannot_be_run_is_said_at_once(
    commands: Runs, channel_name: str, arguments: list[str], status: int, text: str
) -> None:
    found, output, errors = commands.start(channel_name, *arguments).finish()
    assert (found, output) == (status, "")
    assert text in errors
    assert errors.startswith("framebus run: ")
    assert "Traceback" not in errors
