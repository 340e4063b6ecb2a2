# SPDX-License-Identifier: Apache-2.0
"""The programs of `programs/`, in interpreters of their own: framebus.testing.Program, and all that one test started.

Every warning is an error in them. Whatever was started is ended and reaped at the end of the test, by its own pid.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support.paths import PROGRAMS
from tests.support.places import IN_PLACE, Place

from framebus import testing
from framebus.testing import Refused as Refused


class Program(testing.Program):
    """One running program of `programs/`. `under` is a command that starts another, as `nsenter` does, or a place.

    A C++ program is given as the path of what was compiled; its options are arguments of the form NAME=VALUE. With
    fork=False a Python program has the command line that its users see.
    """

    def __init__(
        self, script: str | Path, *, under: Sequence[str] | Place = (), fork: bool = True, **options: object
    ) -> None:
        before: list[str] = []
        if isinstance(under, Place):
            if fork and not isinstance(script, Path):
                before, under = [*IN_PLACE, str(under.pid)], ()
            else:
                under = under.inside
        if isinstance(script, Path):
            command = [str(script), *(f"{name}={value}" for name, value in options.items())]
            super().__init__(command, under=under, native=True)
        else:
            file = str(PROGRAMS / f"{script}.py")
            super().__init__([*before, file], options, under=under, python=("-W", "error"), fork=fork)


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
