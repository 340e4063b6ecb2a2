# SPDX-License-Identifier: Apache-2.0
"""Places of their own for tests: a /dev/shm that is small, read-only or missing, and that no other program sees.

A Place is a mount namespace, held open by a process that does nothing. Its programs are real interpreters that join
the namespace, or forks of one that do. It takes root; where that is not so, `needs_root` skips the test and says what
makes it run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.paths import PROGRAMS
from tests.support.run_forked import run_forked
from tests.support.waiting import WATCHDOG_S

EMPTY = "mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm"
IN_PLACE = (str(PROGRAMS / "in_place.py"),)  # the beginning of a command that is forked


def _can_unshare() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("nsenter"):
        return False
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


needs_root = pytest.mark.skipif(
    not _can_unshare(),
    reason="needs root, namespaces and util-linux; run: sudo .venv/bin/python -m pytest tests/multiprocess",
)


class Place:
    """A mount namespace with a /dev/shm of its own, as the shell command `setup` makes it."""

    def __init__(self, setup: str = EMPTY) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{setup} && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n", f"could not set up: {setup}"

    @property
    def pid(self) -> int:
        """The process that holds the namespace open."""
        return self._holder.pid

    @property
    def inside(self) -> Sequence[str]:
        """The beginning of a command that runs in this place."""
        return ("nsenter", f"--target={self._holder.pid}", "--mount", "--")

    @property
    def shared_memory(self) -> Path:
        """This place's /dev/shm, as seen from outside."""
        return Path("/proc", str(self._holder.pid), "root", "dev", "shm")

    def files(self) -> list[str]:
        """The names of what is there."""
        return sorted(path.name for path in self.shared_memory.iterdir())

    def run(self, *command: str, watchdog_s: float = WATCHDOG_S) -> subprocess.CompletedProcess[str]:
        """Run a command here and wait for its end, whatever it is."""
        return subprocess.run([*self.inside, *command], capture_output=True, text=True, timeout=watchdog_s, check=False)

    def python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python code here."""
        return self.run(sys.executable, "-W", "error", "-c", code, *arguments)

    def framebus(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command `framebus` here, in a forked interpreter."""
        command = (*IN_PLACE, str(self.pid), "-m", "framebus", *arguments)
        return run_forked(("-W", "error"), command)

    def close(self) -> None:
        """Let go of the namespace; it ends with its last program."""
        assert self._holder.stdin is not None
        assert self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.stdout.close()
        self._holder.wait(WATCHDOG_S)
