# SPDX-License-Identifier: Apache-2.0
"""Programs whose standard streams are closed, driven over a socket; programs/without_streams.py says how."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.support.waiting import WATCHDOG_S

_REDIRECTIONS = {0: "<&-", 1: ">&-", 2: "2>&-"}


class Streamless:
    """A running program; `command` is followed by the number of its socket and `arguments`."""

    def __init__(
        self, closed: Sequence[int], command: Sequence[str], arguments: Sequence[str], pass_fds: Sequence[int] = ()
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(WATCHDOG_S)
        self._control = ours.makefile("rw")
        ours.close()  # the file keeps it
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
    closed: Sequence[int], command: Sequence[str], *arguments: str, pass_fds: Sequence[int] = ()
) -> Iterator[Streamless]:
    """Starts a program and ends it at the end; its end is not open yet."""
    program = Streamless(closed, command, arguments, pass_fds)
    try:
        yield program
    finally:
        program.stop()
