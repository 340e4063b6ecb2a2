# SPDX-License-Identifier: Apache-2.0
"""A program that the demo has started: what it reports, what it complains about, and how it ends.

It is in a session of its own, so that Ctrl-C in the terminal reaches the demo alone, which then cuts the lifeline:
the programs end one after the other, as they would at the end of the clip, and every count stays exact.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from typing import NamedTuple

import psutil

from framebus._util import child
from framebus.demo.report import Report

LAST_WORDS = 15  # lines of its standard error that are kept


class Memory(NamedTuple):
    """Resident memory of a program in bytes: what it has alone, and what it shares, as frames and libraries are."""

    private: int
    shared: int


class Child(child.Child):
    """One program: `python -m MODULE ARGUMENTS`, on a lifeline, reporting."""

    def __init__(self, title: str, module: str, *arguments: str) -> None:
        self.title = title
        self.report: Report | None = None
        super().__init__(
            [sys.executable, "-m", module, *arguments, "--lifeline", "--reports"],
            stderr=subprocess.PIPE,
            env={"PYTHONSAFEPATH": "1"},  # the same framebus as ours, whatever the current folder has
            new_session=True,
        )
        self._complaints: deque[bytes] = deque(maxlen=LAST_WORDS)
        self._memory = Memory(0, 0)
        assert self._process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read_reports, daemon=True),
            threading.Thread(target=self._complaints.extend, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_reports(self) -> None:
        for line in self._output:
            try:
                self.report = Report.read(line)
            except (ValueError, KeyError, TypeError):
                self._complaints.append(line)

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

    def wait(self, patience_s: float) -> bool:
        """Waits until it has ended and everything it has written is read; says whether it did end."""
        if child.wait(self._process, patience_s) is None:
            return False
        for reader in self._readers:
            reader.join()
        return True

    def end(self, patience_s: float) -> None:
        """Tells it to end, waits, and kills it if it does not. May be repeated."""
        self.hang_up()
        if not self.wait(patience_s):
            self.kill()
            self.wait(patience_s)
        self._stop(patience_s)

    def what_happened(self) -> str:
        """Says how it ended, with its last words."""
        how = "does not end" if self.status is None else child.fate(self.status)
        words = b"".join(self._complaints).decode(errors="replace").strip()
        said = "\n".join(f"    {line}" for line in words.splitlines())
        return f"{self.title} (pid {self.pid}) {how}" + (f"; its last words:\n{said}" if words else " without a word")
