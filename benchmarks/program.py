# SPDX-License-Identifier: Apache-2.0
"""A fresh interpreter that does what it is told over a pipe, under a watchdog, and is gone when its handle is.

Benchmarks that need several programs start them here. The program's half reads (command, argument) from the pipe and
writes answers; a Failed that it sends is raised here, and silence is a Hang. What goes through the pipe are objects and
shared counters, and what runs is a function, so this builds on multiprocessing and not on framebus._util.child.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

START_S = 30.0  # an interpreter starts slowly on a busy machine
context = get_context("spawn")


class Hang(Exception):
    """A program did not answer."""


class Failed(Exception):
    """A program raised; the text says what."""


def failure_of(error: BaseException) -> Failed:
    """An exception as something that every program can unpickle."""
    if isinstance(error, Failed):
        return error
    return Failed(f"{type(error).__name__}: {error}".splitlines()[0])


class Handle:
    """One running program; `target(*arguments, pipe)` is what it runs."""

    watchdog_s = 5.0

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._pipe: Connection
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(*arguments, theirs))
        self._process.start()
        theirs.close()

    @property
    def pipe(self) -> Connection:
        """To wait for several programs; read it with answer()."""
        return self._pipe

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    def tell(self, command: str, argument: Any = None) -> None:
        """Sends a command without waiting for what comes of it."""
        try:
            self._pipe.send((command, argument))
        except BrokenPipeError:
            raise Failed("it ended by itself") from None

    def answer(self, seconds: float | None = None) -> Any:
        """Waits for the next answer."""
        if not self._pipe.poll(self.watchdog_s if seconds is None else seconds):
            raise Hang
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise Failed("it ended by itself") from None
        if isinstance(answer, Failed):
            raise answer
        return answer

    def ask(self, command: str, argument: Any = None, seconds: float | None = None) -> Any:
        """Sends a command and waits for its answer."""
        self.tell(command, argument)
        return self.answer(seconds)

    def kill(self) -> None:
        """Ends it as `kill -9` does, and waits until it is gone."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def end(self) -> bool:
        """Waits until it has ended. False: it had to be killed."""
        self._process.join(self.watchdog_s)
        if self._process.is_alive():
            self.kill()
            return False
        self._pipe.close()
        return True
