# SPDX-License-Identifier: Apache-2.0
"""The driver's hold on one program: starting it, signals, how it ended, and whether it hangs.

A program does not talk to its driver, which kills it anywhere: what it does is in a file that both map, and what it has
done in its journal. So it has no pipes, and is not a framebus.testing.Program.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.torture.journal import Page, Paths

WATCHDOG_S = 30.0  # against hangs; stops last two seconds at most, so nothing waits for anything near as long


class Fault(Exception):
    """Something that must not happen; the text says what, and who was involved."""


class Program:
    """One program, always a child of this process, always reaped."""

    def __init__(self, role: str, channel: str, number: int, options: dict[str, Any]) -> None:
        self.role = role
        self.channel = channel
        self.number = number
        self.options = options
        self.paths = Paths(Path(options["folder"]), number)
        self.page = Page(self.paths.page, make=True)
        self.killed_while: str | None = None
        self.stopped_until: float | None = None
        self.kill_when_resumed = False
        self._ran_since = time.monotonic()
        module = {"publisher": "tests.torture.publish", "subscriber": "tests.torture.subscribe"}[role]
        arguments = json.dumps({**options, "channel": channel, "number": number})
        with self.paths.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", module, arguments], stdin=subprocess.DEVNULL, stderr=errors
            )

    def __str__(self) -> str:
        shown = {k: v for k, v in self.options.items() if k not in ("folder", "bytes")}
        return f"{self.role} {self.number} of {self.channel} (pid {self.process.pid}, {shown})"

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def has_opened(self) -> bool:
        return self.activity() not in ("starting", "opening", "attaching")

    def activity(self) -> str:
        """What it does, as far as it says."""
        busy = {f"{what}, holding" if held else what for _, what, held in self.page.threads()}
        return " and ".join(sorted(busy)) or "starting"

    def stop(self, seconds: float, *, kill: bool) -> None:
        """Makes it stand still; `kill` says how it ends afterwards."""
        self.process.send_signal(signal.SIGSTOP)
        self.stopped_until = time.monotonic() + seconds
        self.kill_when_resumed = kill

    def resume(self) -> None:
        if self.stopped_until is not None:
            self.stopped_until = None
            self._ran_since = time.monotonic()
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> bool:
        """Ends it with SIGKILL. False: it had ended by itself just before."""
        activity = self.activity()
        self.stopped_until = None
        self.process.kill()
        if self.process.wait(WATCHDOG_S) == -signal.SIGKILL:
            self.killed_while = activity
        return self.killed_while is not None

    def report(self) -> dict[str, Any]:
        """The last words of a program that ended in order."""
        found: dict[str, Any] = json.loads(self.paths.report.read_text())
        return found

    def check_end(self) -> None:
        """Raises Fault if it ended in any way but in order or by our hand."""
        if self.killed_while is not None:
            return
        if self.process.returncode != 0 or not self.paths.report.exists():
            raise Fault(f"{self} ended with status {self.process.returncode}:\n{self.errors()}")

    def errors(self) -> str:
        return self.paths.errors.read_text(errors="replace")[-6000:].strip()

    def check_progress(self) -> None:
        """Raises Fault if it runs, but one of its threads has not got on for too long."""
        if self.stopped_until is not None:
            return
        since = min((when / 1e9 for when, _, _ in self.page.threads()), default=0.0)
        if time.monotonic() - max(since, self._ran_since) > WATCHDOG_S:
            raise Fault(f"{self} hangs: {self.activity()}\n{self.where()}")

    def where(self) -> str:
        """Where it stands, in the kernel's words and in Python's."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        lines = []
        for task in sorted(tasks.iterdir(), key=lambda path: int(path.name)):
            for file in ("wchan", "syscall", "stack"):
                with contextlib.suppress(OSError):
                    lines.append(f"{task.name} {file}: {(task / file).read_text().strip()}")
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGUSR1)
        deadline = time.monotonic() + 2.0
        while not self.errors() and time.monotonic() < deadline:
            time.sleep(0.05)
        return "\n".join([*lines, self.errors()])
