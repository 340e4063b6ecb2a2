# SPDX-License-Identifier: Apache-2.0
"""Programs whose standard streams are closed, driven over a socket; programs/without_streams.py says how."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.forked_commands import COMMAND_IMPORTS, fork
from tests.support.waiting import WATCHDOG_S

from framebus.testing.forked import Forked

_REDIRECTIONS = {0: "<&-", 1: ">&-", 2: "2>&-"}


class Streamless:
    """A running program; `command` is followed by the number of its socket and `arguments`.

    A Python program that is forked has streams that were closed after framebus was imported. `command` is then a file.
    """

    def __init__(
        self,
        closed: Sequence[int],
        command: Sequence[str],
        arguments: Sequence[str],
        pass_fds: Sequence[int] = (),
        forks: bool = False,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(WATCHDOG_S)
        self._control = ours.makefile("rw")
        ours.close()  # the file keeps it
        self._process: Forked | subprocess.Popen[bytes]
        if forks:
            with theirs, open(os.devnull, "wb") as null:
                words = [*command, str(theirs.fileno()), *arguments]
                redirect = {number: None if number in closed else os.devnull for number in (0, 1, 2)}
                given = [theirs.fileno(), *pass_fds]
                self._process = fork(words, null.fileno(), redirect=redirect, pass_fds=given, imports=COMMAND_IMPORTS)
                self._process.stdin.close()
                self._process.stdout.close()
            return
        shell = f'exec "$@" {" ".join(_REDIRECTIONS[number] for number in closed)}'
        with theirs:
            self._process = subprocess.Popen(
                ["sh", "-c", shell, "sh", *command, str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno(), *pass_fds],
            )

    def tell(self, *words: object) -> None:
        """Gives a command without waiting for its answer."""
        print(*words, file=self._control, flush=True)

    def answer(self) -> list[str]:
        """Waits for the next answer; its words."""
        words = self._control.readline().rstrip("\n").split(" ")
        assert words[0] not in ("", "failed"), f"the program said {words}, its status is {self._process.poll()}"
        return words

    def ask(self, *words: object) -> list[str]:
        """Gives a command and waits for its answer."""
        self.tell(*words)
        return self.answer()

    def low(self) -> list[str]:
        """What 0, 1 and 2 lead to; "" where closed."""
        return " ".join(self.ask("low")[1:]).split("|")

    def stop(self) -> None:
        """Ends it, unless it has ended."""
        self._control.close()
        self._process.kill()
        self._process.wait(WATCHDOG_S)


@contextmanager
def streamless(
    closed: Sequence[int], command: Sequence[str], *arguments: str, pass_fds: Sequence[int] = (), forks: bool = False
) -> Iterator[Streamless]:
    """Starts a program and ends it at the end; its end is not open yet."""
    program = Streamless(closed, command, arguments, pass_fds, forks)
    try:
        yield program
    finally:
        program.stop()
