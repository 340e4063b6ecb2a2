# SPDX-License-Identifier: Apache-2.0
"""A program that the demo has started: what it reports, what it complains about, and how it ends.

It is in a session of its own, so that Ctrl-C in the terminal reaches the demo alone, which then cuts the lifeline:
the programs end one after the other, as they would at the end of the clip, and every count stays exact.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import IO, NamedTuple

import psutil

from framebus._util import fds
from framebus.demo.report import Report

LAST_WORDS = 15  # lines of its standard error that are kept


class Memory(NamedTuple):
    """Resident memory of a program in bytes: what it has alone, and what it shares, as frames and libraries are."""

    private: int
    shared: int


class Child:
    """One program: `python -m MODULE ARGUMENTS`, on a lifeline, reporting."""

    def __init__(self, title: str, module: str, *arguments: str) -> None:
        self.title = title
        self.report: Report | None = None
        fds.fill_standard()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--lifeline", "--reports"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1"},  # the same framebus as ours, whatever the current folder has
        )
        self.pid = self._process.pid
        self._complaints: deque[str] = deque(maxlen=LAST_WORDS)
        self._memory = Memory(0, 0)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_reports, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._complaints.extend, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_reports(self, lines: IO[str]) -> None:
        for line in lines:
            try:
                self.report = Report.read(line)
            except (ValueError, KeyError, TypeError):
                self._complaints.append(line)

    @property
    def status(self) -> int | None:
        """None while it runs, then its exit status: 0 if all was well, minus the signal that killed it."""
        return self._process.poll()

    @property
    def memory(self) -> Memory:
        """What it takes now, or took when it was last looked at."""
        try:
            found = psutil.Process(self.pid).memory_full_info()
        except psutil.Error:
            return self._memory
        if found.rss:
            self._memory = Memory(found.uss, max(0, found.rss - found.uss))
        return self._memory

    def let_go(self) -> None:
        """Tells it to end; it may take a moment."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self, patience_s: float) -> bool:
        """Waits until it has ended and everything it has written is read; says whether it did end."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return False
        for reader in self._readers:
            reader.join()
        return True

    def end(self, patience_s: float) -> None:
        """Tells it to end, waits, and kills it if it does not. May be repeated."""
        self.let_go()
        if not self.wait(patience_s):
            self._process.kill()
            self.wait(patience_s)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def what_happened(self) -> str:
        """Says how it ended, with its last words."""
        status = self.status
        if status is None:
            how = "does not end"
        elif status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        else:
            how = f"ended with status {status}"
        words = "".join(self._complaints).strip()
        said = "\n".join(f"    {line}" for line in words.splitlines())
        return f"{self.title} (pid {self.pid}) {how}" + (f"; its last words:\n{said}" if words else " without a word")
