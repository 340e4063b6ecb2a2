# SPDX-License-Identifier: Apache-2.0
"""A launched program begins with clean signals, and its exit status is known, whatever the publisher's program does."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.child_signals import ignore_sigchld, reap_every_child
from tests.support.launching import Journal
from tests.support.processes import runs
from tests.support.waiting import wait_until

import framebus

PICTURE = np.zeros((48, 64), np.uint8)
# Handlers of faults are native, ours for SIGBUS and those of faulthandler: Python can't see them, nor put them back.
FAULTS = {signal.SIGBUS, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}
SETTABLE = sorted(signal.valid_signals() - FAULTS - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ})


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Whatever a test does with the signals of this process is undone."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    handlers = {number: signal.getsignal(number) for number in SETTABLE}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def ignored(*_: object) -> None:
    """A handler that is there."""


def block_sigchld() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})


SIGCHLD_WAYS = [ignore_sigchld, reap_every_child, block_sigchld]


def test_program_begins_with_no_signal_blocked_or_ignored(channel_name: str, journal: Journal) -> None:
    for number in SETTABLE:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGHUP else signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, SETTABLE)
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("signals"), shutdown_timeout=0)
    ) as publisher:
        publisher.send(PICTURE)
        assert journal.wait(3)[1] == "blocked 0 ignored 0"
    assert publisher.launched[0].exit_code == 0


def test_program_of_a_nohup_publisher_ignores_sighup_too(channel_name: str, journal: Journal) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(journal.argv("signals"), shutdown_timeout=0)
    ) as publisher:
        publisher.send(PICTURE)
        assert journal.wait(3)[1] == f"blocked 0 ignored {1 << (signal.SIGHUP - 1):x}"


@pytest.mark.parametrize("way", ["blocked", "ignored", "handled"])
def test_sigterm_reaches_the_program_whatever_the_publisher_does_with_it(
    channel_name: str, journal: Journal, way: str
) -> None:
    if way == "blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    else:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if way == "ignored" else ignored)
    launch = framebus.Launch(journal.argv("with_a_child"), shutdown_timeout=0, kill_timeout=86400)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(PICTURE)
        pids = [int(line) for line in journal.wait(2)]
    assert not any(map(runs, pids))
    assert publisher.launched[0].exit_code == -signal.SIGTERM, "nothing was left to wait for the end of the grace"


@pytest.mark.parametrize("way", SIGCHLD_WAYS)
@pytest.mark.parametrize("status", [0, 5, -9])
def test_exit_status_is_known_whatever_the_publisher_does_with_sigchld(
    channel_name: str, journal: Journal, way: Callable[[], None], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "framebus.launch")
    way()
    command = ["sh", "-c", "kill -9 $$"] if status < 0 else journal.argv("end", status=status)
    with framebus.Publisher(
        channel_name, launch=framebus.Launch(command, max_restarts=1, restart_delay=0.0)
    ) as publisher:
        publisher.send(PICTURE)
        wait_until(lambda: publisher.launched[0].failure is not None, "the end of all starts")
        assert (publisher.launched[0].starts, publisher.launched[0].exit_code) == (2, status)
    warned = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == (0 if status == 0 else 2)
    assert all(f"status {status}" in record.getMessage() or "SIGKILL" in record.getMessage() for record in warned)


@pytest.mark.parametrize("way", SIGCHLD_WAYS)
def test_program_that_can_not_be_started_is_reported_whatever_the_publisher_does_with_sigchld(
    channel_name: str, journal: Journal, way: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    way()
    broken = journal.path.with_name("broken")
    broken.write_text("#!/nowhere/interpreter\n")
    broken.chmod(0o755)
    with framebus.Publisher(channel_name, launch=framebus.Launch([str(broken)], on_exit="ignore")) as publisher:
        publisher.send(PICTURE)
        wait_until(lambda: publisher.launched[0].failure is not None, "the failure")
        assert "could not be started" in str(publisher.launched[0].failure)
    [said] = [record.getMessage() for record in caplog.records if "could not be started" in record.getMessage()]
    assert "without a word" not in said, "nothing ran that could have said one"
