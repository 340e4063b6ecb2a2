# SPDX-License-Identifier: Apache-2.0
"""Programs that a test uses as a shell does, in forks of an interpreter that has imported what they need.

They are for tests of what a program does, not of its start: a fork costs a tenth of the start of an interpreter.
programs/shell.py does in the fork what a shell would do. Programs in interpreters of their own are in started.py.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO, TypeVar

from tests.support.paths import PROGRAMS
from tests.support.waiting import WATCHDOG_S

from framebus._util import fds
from framebus.testing.forked import Forked

_KINDS = "baseimage camera clipboard dde images mailslot msg pattern pipe shm video zeromq"
COMMAND_IMPORTS = (
    "framebus.cli.app",
    *(f"framebus.demo.{module}" for module in ("run", "side_by_side", "table")),
    *(f"framebus.endpoint.kinds.{kind}" for kind in _KINDS.split()),
)
Redirect = Mapping[int, "str | int | None"]
Self = TypeVar("Self", bound="ForkedCommand")


def fork(
    words: Sequence[str],
    stderr: int,
    *,
    redirect: Redirect | None = None,
    pass_fds: Sequence[int] = (),
    imports: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    session: bool = False,
) -> Forked:
    """Starts a program: "-m" and a module, or a file, then arguments. Every warning is an error in it.

    Args:
        words: the program.
        stderr: the descriptor for its standard error.
        redirect: a path, an inherited descriptor or None (closed) for those of 0, 1 and 2 that are to be another.
        pass_fds: descriptors that it inherits, by the same numbers.
        imports: modules that the interpreter has imported before.
        env: environment variables beside those of this process.
        cwd: its current folder, if it is not that of this process.
        session: it starts a session of its own.
    """
    redirections = list((redirect or {}).items())
    options = {"words": list(words), "redirect": redirections, "cwd": str(cwd or "."), "session": session}
    with open(fds.dup(stderr), "wb") as errors:
        return Forked(
            ("-W", "error"),
            [str(PROGRAMS / "shell.py"), json.dumps(options)],
            stderr=errors,
            pass_fds=pass_fds,
            env=env,
            imports=imports,
        )


class ForkedCommand:
    """A running `framebus` command with pipes as its standard streams. It has what the tests use of Started.

    It is killed and reaped at the end of the block.
    """

    def __init__(
        self,
        *words: object,
        redirect: Redirect | None = None,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        session: bool = False,
    ) -> None:
        """Starts it; `words` come after `framebus`. The options are those of fork()."""
        reading, writing = fds.pipe()
        try:
            self._process = fork(
                ["-m", "framebus", *map(str, words)],
                writing,
                redirect=redirect,
                pass_fds=pass_fds,
                imports=COMMAND_IMPORTS,
                env=env,
                cwd=cwd,
                session=session,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.pid = self._process.pid
        self.poll, self.wait, self.kill = self._process.poll, self._process.wait, self._process.kill
        self.send_signal = self._process.send_signal
        self.stdout = _text(io.BufferedReader(self._process.stdout))
        self.stderr = _text(open(reading, "rb"))

    @property
    def returncode(self) -> int | None:
        """The exit status that wait() or poll() has found."""
        return self._process.returncode

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Kills it, unless it has ended, reaps it and closes the pipes. May be repeated."""
        self.kill()
        self.wait()
        for file in (self._process.stdin, self.stdout, self.stderr):
            file.close()

    def finish(self, last: str | None = None) -> tuple[int, str, str]:
        """Writes `last`, closes its input and waits for its end; returns status, the rest of the output, and errors."""
        try:
            readers = [_Reader(self.stdout), _Reader(self.stderr)]
            with self._process.stdin as file:
                file.write((last or "").encode())
            output, errors = (reader.result() for reader in readers)
            return self.wait(WATCHDOG_S), output, errors
        finally:
            self.kill()  # where the watchdog has raised


class _Reader(threading.Thread):
    """Reads a file to its end."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(daemon=True)
        self._file = file
        self._found: str | None = None
        self.start()

    def run(self) -> None:
        self._found = self._file.read()

    def result(self) -> str:
        """Waits for the end of the file. Raises TimeoutExpired."""
        self.join(WATCHDOG_S)
        if self._found is None:
            raise subprocess.TimeoutExpired("the command", WATCHDOG_S)
        return self._found


def _text(file: io.BufferedIOBase | io.BufferedReader) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape")


def run_command(
    *words: object, redirect: Redirect | None = None, pass_fds: Sequence[int] = (), env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Runs a `framebus` command to its end, with standard input at its end, as subprocess.run() does."""
    with ForkedCommand(*words, redirect=redirect, pass_fds=pass_fds, env=env) as command:
        status, output, errors = command.finish()
    return subprocess.CompletedProcess(
        [*map(str, words)],
        status,
        output.encode(errors="surrogateescape"),
        errors.encode(errors="surrogateescape"),
    )
