# SPDX-License-Identifier: Apache-2.0
"""A program whose exit status comes from reporter.py; to be used as a subprocess.Popen, as far as a pipe does that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from framebus._util import fds
from framebus._util.json_lines import JsonLines

_REPORTER = Path(__file__).with_name("reporter.py")


def is_needed() -> bool:
    """Whether this process may lose the status of its children, or would hand blocked signals down to them."""
    return signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL or bool(signal.pthread_sigmask(signal.SIG_BLOCK, ()))


class Reported:
    """The program, and its parent that reports."""

    def __init__(self, words: Sequence[str], stdin: int | None, stdout: int | None) -> None:
        """Starts it. Raises OSError where that can't be done."""
        reading, writing = fds.pipe()
        self._reports = os.fdopen(reading, "rb", buffering=0)
        self._lines = JsonLines(self._reports)
        self._status: int | None = None
        try:
            self._parent = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_REPORTER), str(writing), *words],
                stdin=stdin,
                stdout=stdout,
                pass_fds=[writing],
            )
        finally:
            os.close(writing)
        told = self._lines.read()
        if told is None or "pid" not in told:
            self._parent.wait()
            self._reports.close()
            raise OSError("its parent ended" if told is None else told["failure"])
        self.pid: int = told["pid"]

    def wait(self, seconds: float | None = None) -> int:
        """Returns the status, negative for a signal. Raises subprocess.TimeoutExpired."""
        if self._status is None:
            try:
                told = self._lines.read(seconds)
            except TimeoutError:
                raise subprocess.TimeoutExpired(str(_REPORTER), seconds or 0.0) from None
            self._status = -signal.SIGKILL if told is None else int(told["status"])  # killed with its parent
            self._parent.wait()
            self._reports.close()
        return self._status

    def terminate(self) -> None:
        """Asks the program to end."""
        self._parent.terminate()

    def kill(self) -> None:
        """Kills the program's parent, and the kernel with that the program."""
        self._parent.kill()
