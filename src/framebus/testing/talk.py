# SPDX-License-Identifier: Apache-2.0
"""A program's half of the conversation with framebus.testing.Program: its options, and lines of JSON in and out."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# A call that lasts for this many ticks of a millisecond is said to be waiting.
TICKS_OF_A_WAIT = 50


def options() -> dict[str, Any]:
    """What the test gave to the program when it started it."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def say(kind: str, **content: object) -> None:
    """Write one message in a single system call, so that threads cannot mix their lines."""
    line = (json.dumps({"kind": kind, **content}) + "\n").encode()
    assert os.write(1, line) == len(line)


def wait_for(command: str) -> None:
    """Wait until the test gives this command."""
    request = json.loads(sys.stdin.readline())
    assert request == {"do": command}, request


def serve(**handlers: Callable[..., object]) -> None:
    """Answer commands until the test hangs up."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request.pop("do")](**request)
        except Exception as error:
            say("answer", **described(error))
        else:
            say("answer", value=answer)


def described(error: Exception) -> dict[str, Any]:
    """An exception as a message: its type's name, its text, and the names of all types that it is."""
    kinds = [kind.__name__ for kind in type(error).__mro__]
    return {"error": kinds[0], "message": str(error), "kinds": kinds}


class Ticker:
    """A thread that ticks at 1 kHz: it only can while the main thread's call leaves the interpreter to others.

    It says `waiting`, once for each call, when a call has lasted for TICKS_OF_A_WAIT ticks.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self._say_at: int | None = None
        threading.Thread(target=self._run, daemon=True).start()

    @contextmanager
    def around(self) -> Iterator[None]:
        """Watch the call in this block."""
        self._say_at = self.ticks + TICKS_OF_A_WAIT
        try:
            yield
        finally:
            self._say_at = None

    def _run(self) -> None:
        while True:
            time.sleep(0.001)
            self.ticks += 1
            say_at = self._say_at
            if say_at is not None and self.ticks == say_at:
                say("waiting")
