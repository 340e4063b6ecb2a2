# SPDX-License-Identifier: Apache-2.0
"""Programs that this process starts: driven over pipes, told to end, killed if they do not, and always reaped.

Child is the base of what starts programs of framebus itself: the demo, `framebus bench` and framebus.testing. It never
forks a running interpreter and never uses a shell. A program that is started for a user has another form and uses parts
of this file: that of a pipe has its data, not commands, in its standard streams (endpoint/kinds/pipe/child.py), and
that of a launch is the child of a guard (launch/child.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, Protocol

from framebus._util import fds
from framebus._util.json_lines import JsonLines


class _Waitable(Protocol):
    def wait(self, timeout: float | None = None) -> int:
        """Does what subprocess.Popen.wait() does."""


def wait(process: _Waitable, seconds: float | None) -> int | None:
    """Waits until a process has ended; returns its status, negative for a signal, None if it still runs."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def fate(status: int) -> str:
    """Says how a process ended, for messages."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


class Process(_Waitable, Protocol):
    """What Child uses of subprocess.Popen."""

    pid: int
    stdin: Any
    stdout: Any
    stderr: Any

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


class Child:
    """One program. It reads commands from its standard input, ends when that ends, and writes lines of JSON.

    Attributes:
        pid: its process id.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stderr: int | None = None,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        new_session: bool = False,
    ) -> None:
        """Starts it. Raises OSError.

        Args:
            command: program and arguments.
            stderr: as subprocess.Popen takes it; None keeps everything for errors().
            env: environment variables beside those of this process.
            pass_fds: descriptors that it inherits, by the same numbers.
            new_session: it is in a session of its own, so Ctrl-C in the terminal does not reach it.
        """
        fds.fill_standard()
        self._errors = open(fds.memfd("errors", 0), "rb")  # a file never fills up, so nothing has to read along
        try:
            self._process = self._start(command, self._errors if stderr is None else stderr, env, pass_fds, new_session)
        except BaseException:
            self._errors.close()
            raise
        self._input, self._output = self._process.stdin, self._process.stdout
        self._lines = JsonLines(self._output)
        self.pid = self._process.pid

    def _start(
        self,
        command: Sequence[str],
        stderr: BinaryIO | int,
        env: Mapping[str, str] | None,
        pass_fds: Sequence[int],
        new_session: bool,
    ) -> Process:
        """Starts the process; framebus.testing forks instead."""
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            pass_fds=pass_fds,
            env={**os.environ, **(env or {})},
            start_new_session=new_session,
        )

    @property
    def status(self) -> int | None:
        """None while it runs, then its exit status, negative for a signal."""
        return self._process.poll()

    def _write(self, line: bytes) -> None:
        """Writes one line, without its end, to its standard input. Raises BrokenPipeError where it has ended."""
        self._input.write(line + b"\n")
        self._input.flush()

    def _read(self, seconds: float | None = None) -> dict[str, Any] | None:
        """Returns the next object that it writes, None at the end of its output. Raises TimeoutError, ValueError."""
        return self._lines.read(seconds)

    def hang_up(self) -> None:
        """Closes its standard input, which tells it to end."""
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def kill(self) -> None:
        """Ends it as `kill -9` does, and waits until it is gone."""
        self._process.kill()
        self._process.wait()

    def _stop(self, seconds: float, *signals: signal.Signals) -> None:
        """Ends it in any case: tells it, sends it `signals`, and kills it after `seconds`. May be repeated."""
        self.hang_up()
        for number in signals:
            self._process.send_signal(number)
        if wait(self._process, seconds) is None:
            self.kill()
        for file in (self._output, self._process.stderr, self._errors):
            if file is not None:
                file.close()

    def errors(self) -> str:
        """Returns what it has written to its standard error so far."""
        number = self._errors.fileno()
        return os.pread(number, os.fstat(number).st_size, 0).decode(errors="replace")
