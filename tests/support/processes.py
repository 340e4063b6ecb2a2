# SPDX-License-Identifier: Apache-2.0
"""Processes that a test did not start itself: whether they run, and their end."""

from __future__ import annotations

import os
import signal

import psutil
from tests.support.waiting import wait_until

from framebus.testing.forked import SERVER


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; who reaps it is another matter."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_for_exit(pid: int) -> None:
    """Wait until a process has ended."""
    wait_until(lambda: not runs(pid), f"the end of process {pid}")


def end(pid: int) -> None:
    """End a process that a test has left running on purpose."""
    if runs(pid):
        os.kill(pid, signal.SIGKILL)
    wait_for_exit(pid)


def children() -> list[psutil.Process]:
    """The direct children of this process, zombies too, but for the fork servers of framebus.testing."""
    return [child for child in psutil.Process().children() if not _is_fork_server(child)]


def _is_fork_server(process: psutil.Process) -> bool:
    try:
        return SERVER in process.cmdline()
    except psutil.ZombieProcess:
        return False
