# SPDX-License-Identifier: Apache-2.0
"""The launched program of these tests, `programs/launched.py`, and its journal.

It is not driven over pipes as the other programs are, since the library starts it and passes its output on. Every wait
here has a watchdog.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.paths import PROGRAMS
from tests.support.waiting import wait_until


class Journal:
    """What the runs of one launched program have written, oldest first."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def argv(self, run: str, **options: object) -> list[str]:
        """The command of a program that does `run` and writes into this journal."""
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
