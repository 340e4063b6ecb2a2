# SPDX-License-Identifier: Apache-2.0
"""One round: channels with a seat for each program, and a step at a time until the time is over; then everything ends.

Promise: when run() returns, all programs of the round have ended in order or by our hand, no file of its channels is
left, and the journals have been added up; otherwise it raises Fault.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.torture import audit, plan
from tests.torture.program import Fault, Program

SHARED_MEMORY = Path("/dev/shm")
ROUND_S = 15.0


@dataclass
class Tally:
    """What a whole run has done."""

    frames: int = 0
    counted: int = 0  # subscribers whose counts were added up
    stops: int = 0
    started: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    killed_while: Counter[str] = field(default_factory=Counter)


@dataclass
class Seat:
    channel: int
    role: str
    program: Program | None = None


class Round:
    def __init__(self, number: int, name: str, folder: Path, steps: plan.Plan, tally: Tally) -> None:
        self.number = number
        self.done = 0
        self._folder = folder
        self._plan = steps
        self._tally = tally
        self._themes = steps.themes()
        self._names = [f"{name}.{number}.{i}" for i in range(len(self._themes))]
        self._all: list[Program] = []
        roles = ["publisher"] * plan.PUBLISHER_SEATS + ["subscriber"] * plan.SUBSCRIBER_SEATS
        self._seats = [Seat(i, role) for role in roles for i in range(len(self._themes))]

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            step = self._plan.step()
            self._tend_until(min(end, now + step.pause_s))
            self._do(step)
            self.done += 1
        self._wind_down()
        for name in self._names:
            found = audit.audit([program for program in self._all if program.channel == name])
            self._tally.frames += found.frames
            self._tally.counted += found.counted
        left = [path.name for name in self._names for path in SHARED_MEMORY.glob(f"framebus.{name}*")]
        if left:
            raise Fault(f"all programs have ended, but these files are left in {SHARED_MEMORY}: {', '.join(left)}")

    def abandon(self) -> None:
        """Ends and removes everything, after a fault."""
        for program in self._all:
            if program.running:
                program.kill()
        for name in self._names:
            for path in SHARED_MEMORY.glob(f"framebus.{name}*"):
                path.unlink(missing_ok=True)

    # Steps

    def _do(self, step: plan.Step) -> None:
        empty = next((seat for seat in self._seats if seat.program is None), None)
        seat = self._seats[int(step.pick * len(self._seats))]
        if step.refill and empty is not None:
            seat = empty
        if seat.program is None:
            theme = self._themes[seat.channel]
            publisher = plan.publisher_options(theme, step.publisher)
            seat.program = self._start(seat, publisher if seat.role == "publisher" else step.subscriber)
        elif step.patient and not seat.program.has_opened:
            return
        elif step.verb == "kill all":
            for other in self._seats:
                if other.channel == seat.channel and other.program is not None:
                    self._kill(other.program)
        elif step.verb == "kill":
            self._kill(seat.program)
        elif step.verb == "close":
            seat.program.page.ask_to_end()
        elif seat.program.stopped_until is None:
            seat.program.stop(step.lasting_s, kill=step.verb == "stop and kill")
            self._tally.stops += 1

    def _start(self, seat: Seat, options: plan.Options) -> Program:
        number = sum(self._tally.started.values()) + 1
        files = {"folder": str(self._folder), "bytes": str(self._folder.parent / "bytes")}
        program = Program(seat.role, self._names[seat.channel], number, {**options, **files})
        self._all.append(program)
        self._tally.started[seat.role] += 1
        return program

    def _kill(self, program: Program) -> None:
        if program.kill():
            self._tally.killed[program.role] += 1
            self._tally.killed_while[f"{program.role} {program.activity()}"] += 1

    # Looking after the programs

    def _tend_until(self, moment: float) -> None:
        while True:
            self._tend()
            left = moment - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.02))

    def _tend(self) -> None:
        now = time.monotonic()
        for seat in self._seats:
            program = seat.program
            if program is None:
                continue
            if program.stopped_until is not None and now >= program.stopped_until:
                if program.kill_when_resumed:
                    self._kill(program)
                else:
                    program.resume()
            if program.running:
                program.check_progress()
            else:
                program.check_end()
                seat.program = None

    def _wait_for(self, what: Callable[[Seat], bool]) -> None:
        """Until no seat of which `what` says so has a program any more; the watchdog is check_progress."""
        while any(what(seat) and seat.program is not None for seat in self._seats):
            self._tend()
            time.sleep(0.02)

    # The end

    def _wind_down(self) -> None:
        """Everybody ends in order; who waits for a frame or for the end of the channel gets both."""
        for seat in self._seats:
            if seat.program is not None:
                seat.program.kill_when_resumed = False
                seat.program.resume()
                seat.program.page.ask_to_end()
        self._wait_for(lambda seat: seat.role == "publisher")
        for seat in self._seats[: len(self._themes)]:
            seat.program = self._start(seat, plan.closing_publisher_options())
            seat.program.page.ask_to_end()
        self._wait_for(lambda _: True)
        unreaped = [str(program) for program in self._all if program.running]
        if unreaped:
            raise Fault(f"these programs are left: {'; '.join(unreaped)}")

    def describe(self) -> dict[str, Any]:
        return {name: str(theme) for name, theme in zip(self._names, self._themes, strict=True)}
