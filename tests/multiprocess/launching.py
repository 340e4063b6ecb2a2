# SPDX-License-Identifier: Apache-2.0
"""A program B of these tests: `programs/launched.py`, and the journal by which it tells what becomes of it.

It is not driven over pipes as the other programs are, since it is the library that starts it, and its output that is
passed on. Whoever waits here waits under a watchdog.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from harness import PROGRAMS, WATCHDOG_S


class Journal:
    """What the runs of one program B have written, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def argv(self, run: str, **options: object) -> list[str]:
        """The command of a B that does `run` and writes into this journal."""
        given = json.dumps({"run": run, "journal": str(self.path), **options})
        return [sys.executable, str(PROGRAMS / "launched.py"), given]

    def lines(self) -> list[str]:
        """The whole lines so far."""
        if not self.path.exists():
            return []
        return self.path.read_text().rpartition("\n")[0].splitlines()

    def wait(self, count: int) -> list[str]:
        """Wait for that many lines."""
        until(lambda: len(self.lines()) >= count, f"{count} lines in the journal")
        return self.lines()

    def pid(self) -> int:
        """The process id of the first run."""
        return int(self.wait(1)[0])


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WATCHDOG_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {WATCHDOG_S:.0f} s in vain for {what}"
        time.sleep(0.002)


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; who reaps it is another matter."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for_exit(pid: int) -> None:
    """Wait until a process has ended."""
    until(lambda: not runs(pid), f"the end of process {pid}")


def end(pid: int) -> None:
    """End a process that a test has left running on purpose."""
    if runs(pid):
        os.kill(pid, signal.SIGKILL)
    wait_for_exit(pid)


def children() -> list[psutil.Process]:
    """The direct children of this process, zombies too."""
    return psutil.Process().children()
