# SPDX-License-Identifier: Apache-2.0
"""Programs that a test starts and uses as a shell does: lines in and out, an exit status, and what is complained about.

Programs that speak in messages are framebus.testing.Program, see harness.py.
"""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Any

from tests.support.waiting import WATCHDOG_S

PYTHON = (sys.executable, "-W", "error")


class Started(subprocess.Popen[str]):
    """A running program with pipes as its standard streams. It is killed and reaped at the end of the block."""

    def __init__(self, *command: object, **options: Any) -> None:
        """Starts it; `options` are those of subprocess.Popen."""
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        super().__init__([*map(str, command)], text=True, **{**pipes, **options})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Kills it, unless it has ended, reaps it and closes the pipes. May be repeated."""
        self.kill()
        super().__exit__(None, None, None)

    def tell(self, line: str = "") -> None:
        """Writes one line to its standard input."""
        assert self.stdin is not None
        print(line, file=self.stdin, flush=True)

    def line(self) -> str:
        """Returns the next line of its output without its end, "" after the last one."""
        assert self.stdout is not None
        return self.stdout.readline().rstrip("\n")

    def finish(self, last: str | None = None) -> tuple[int, str, str]:
        """Writes `last`, closes its input and waits for its end; returns status, the rest of the output, and errors."""
        try:
            output, errors = self.communicate(last, timeout=WATCHDOG_S)
        finally:
            self.kill()  # where the watchdog has raised
        return self.returncode, output, errors

    def output(self, last: str | None = None) -> str:
        """Does the same; returns the rest of the output of a program that has nothing to complain about."""
        status, output, errors = self.finish(last)
        assert (status, errors) == (0, ""), f"ended with status {status}, and said:\n{output}{errors}"
        return output
