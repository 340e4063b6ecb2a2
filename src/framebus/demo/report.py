# SPDX-License-Identifier: Apache-2.0
"""The reports of player and worker: a line of JSON on standard output four times a second."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass

from framebus import Statistics

INTERVAL_S = 0.25


@dataclass(frozen=True)
class Report:
    """One line: what the program has sent, and, if it has an input, what it has fetched from there."""

    sent: Statistics
    fetched: Statistics | None = None

    def line(self) -> str:
        """Returns it as one line of JSON, without the line's end."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(line: bytes) -> Report:
        """Returns the report that `line` stands for. Raises ValueError, KeyError or TypeError if it is none."""
        found = json.loads(line)
        fetched = found["fetched"]
        return Report(Statistics(**found["sent"]), None if fetched is None else Statistics(**fetched))


class Reporter:
    """Writes reports, if they are wanted, no more often than is useful."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._next = 0.0

    def due(self) -> bool:
        """Says whether it is time for another report."""
        return self._wanted and time.monotonic() >= self._next

    def write(self, report: Report) -> None:
        """Writes one, also when none is due yet; a reader that is gone is not an error."""
        if not self._wanted:
            return
        self._next = time.monotonic() + INTERVAL_S
        try:
            os.write(sys.stdout.fileno(), (report.line() + "\n").encode())
        except BrokenPipeError:
            self._wanted = False
