# SPDX-License-Identifier: Apache-2.0
"""A program B of these tests: `programs/launched.py`, and the journal by which it tells what becomes of it.

It is not driven over pipes as the other programs are, since it is the library that starts it, and its output that is
passed on. Whoever waits here waits under a watchdog.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.paths import PROGRAMS
from tests.support.waiting import wait_until


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
        wait_until(lambda: len(self.lines()) >= count, f"{count} lines in the journal")
        return self.lines()

    def pid(self) -> int:
        """The process id of the first run."""
        return int(self.wait(1)[0])
