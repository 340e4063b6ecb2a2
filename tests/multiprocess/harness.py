# SPDX-License-Identifier: Apache-2.0
"""Programs in interpreters of their own, driven over pipes.

Every program of `programs/` is started with `subprocess.Popen`, never forked, so that nothing but the channel joins
it to the test. It writes one JSON object per line, told apart by its `kind`; commands go the other way. Whoever waits
here waits under a watchdog, and whatever was started is ended and reaped at the end of the test, by its own pid.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

PROGRAMS = Path(__file__).parent / "programs"

# Against hangs only: no test is about how fast something is.
WATCHDOG_S = 60.0

Message = dict[str, Any]


class Refused(Exception):
    """What the program's own code raised: the name of the exception's type and its text."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message


class Program:
    """One running program of `programs/`. `under` is a command that starts another, as `nsenter` does.

    A C++ program is given as the path of what was compiled; its options are arguments of the form NAME=VALUE.
    """

    def __init__(self, script: str | Path, *, under: Sequence[str] = (), **options: object) -> None:
        self.script = script
        self._unread = b""
        self._inbox: dict[str, deque[Message]] = defaultdict(deque)
        self._errors = tempfile.TemporaryFile()  # a file never fills up, so nobody has to read along
        if isinstance(script, Path):
            command = [str(script), *(f"{name}={value}" for name, value in options.items())]
        else:
            python = (sys.executable, "-W", "error", "-X", "faulthandler")
            command = [*python, str(PROGRAMS / f"{script}.py"), json.dumps(options)]
        self._process = subprocess.Popen(
            [*under, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, command: str, **arguments: object) -> None:
        """Send a command without waiting for what comes of it."""
        assert self._process.stdin is not None
        line = json.dumps({"do": command, **arguments}) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to the oldest unanswered command; an exception over there becomes Refused here."""
        message = self.expect("answer")
        if "error" in message:
            raise Refused(message["error"], message["message"])
        return message["value"]

    def ask(self, command: str, **arguments: object) -> Any:
        """Send a command and wait for its answer."""
        self.tell(command, **arguments)
        return self.answer()

    def expect(self, kind: str) -> Message:
        """Wait for the next message of this kind; others are kept until they are asked for."""
        deadline = time.monotonic() + WATCHDOG_S
        while not self._inbox[kind]:
            message = json.loads(self._line(deadline, kind))
            self._inbox[message["kind"]].append(message)
        return self._inbox[kind].popleft()

    def heard(self, kind: str) -> bool:
        """Say whether a message of this kind has come in already."""
        while not self._inbox[kind] and self._readable(0.0):
            message = json.loads(self._line(time.monotonic() + WATCHDOG_S, kind))
            self._inbox[message["kind"]].append(message)
        return bool(self._inbox[kind])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; SIGSTOP returns when the program does stand still."""
        os.kill(self.pid, number)
        if number == signal.SIGSTOP:
            self._wait_for_state("T")

    def kill(self) -> None:
        """End the program as `kill -9` does, and wait until it is gone."""
        self._process.kill()
        self._process.wait(WATCHDOG_S)

    def wait(self) -> int:
        """Wait for the program to end by itself; gives its exit status."""
        self.hang_up()
        try:
            return self._process.wait(WATCHDOG_S)
        except subprocess.TimeoutExpired:
            self._fail("did not end")

    def hang_up(self) -> None:
        """Close the program's standard input, which is how every program here is asked to end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self) -> None:
        """End the program in any case: asked first, then killed."""
        self.hang_up()
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def errors(self) -> str:
        """What the program has written to its standard error so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def _line(self, deadline: float, kind: str) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            if not self._readable(max(0.0, deadline - time.monotonic())):
                self._fail(f"did not say {kind!r} within {WATCHDOG_S:.0f} s")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                self._process.wait(WATCHDOG_S)
                self._fail(f"ended before it said {kind!r}")
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _readable(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        return b"\n" in self._unread or bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _wait_for_state(self, letter: str) -> None:
        deadline = time.monotonic() + WATCHDOG_S
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != letter:
            if time.monotonic() > deadline:
                self._fail(f"did not reach state {letter}")
            os.sched_yield()

    def _fail(self, what: str) -> NoReturn:
        status = self._process.poll()
        raise AssertionError(f"{self.script} (pid {self.pid}, status {status}) {what}; its errors:\n{self.errors()}")


class Programs:
    """Everything one test has started."""

    def __init__(self) -> None:
        self._started: list[Program] = []

    def start(self, script: str | Path, **options: object) -> Program:
        program = Program(script, **options)
        self._started.append(program)
        return program

    def publisher(self, name: str, **options: object) -> Program:
        """Start a publisher and wait until the channel is there."""
        program = self.start("publish", name=name, **options)
        program.expect("ready")
        return program

    def subscriber(self, name: str, **options: object) -> Program:
        """Start a subscriber and wait until it is attached."""
        program = self.start("subscribe", name=name, **options)
        program.expect("attached")
        return program

    def stop_all(self) -> None:
        for program in reversed(self._started):
            program.stop()
