# SPDX-License-Identifier: Apache-2.0
"""The kills. Each is done to one rival, several times over, and says what came of it."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.kills.programs import Failed, Hang, Program
from benchmarks.kills.rival import Rival, load


@dataclass
class Outcome:
    """What came of one scenario."""

    kills: int = 0
    looked_at: int = 0  # frames
    torn: int = 0
    hung: list[str] = field(default_factory=list)  # survivors, and closers, that did not come back
    taken_over: int = 0  # times a new publisher got going ...
    tried: int = 0  # ... of so many
    why_not: set[str] = field(default_factory=set)
    remarks: set[str] = field(default_factory=set)
    reopened: int = 0  # subscribers that saw frames again only after opening anew
    cut_off: int = 0  # subscribers that did not even then
    left_at_once: int = 0  # the most files right after a kill, those of the living too
    left_at_end: int = 0  # files after everybody else has ended in order


class Stage:
    """The programs of one scenario."""

    def __init__(self, module: str, name: str, waits: bool) -> None:
        self.module = module
        self.rival: Rival = load(module)
        self.shared: Any = self.rival.prepare(name, waits)
        self.outcome = Outcome()
        self._programs: list[Program] = []
        self._next_number = 0

    def start(self, role: str) -> Program:
        program = Program(role, self.module, self.shared)
        self._programs.append(program)
        return program

    def number(self) -> int:
        self._next_number += 1000
        return self._next_number

    def kill(self, program: Program) -> None:
        program.kill()
        self._programs.remove(program)
        self.outcome.kills += 1

    def count_files(self) -> None:
        """Those of the living count too."""
        self.outcome.left_at_once = max(self.outcome.left_at_once, len(self.rival.left_over(self.shared)))

    def take_over(self) -> tuple[Program | None, int]:
        """Starts another publisher. Returns it, and the number of its first frame."""
        number = self.number()
        self.outcome.tried += 1
        program = None
        try:
            program = self.start("sender")
            for offset in range(5):
                program.ask("send", number + offset)
        except Hang:
            self.outcome.hung.append("new publisher")
            self.drop(program)
        except Failed as failure:
            self.outcome.why_not.add(str(failure))
            self.drop(program)
        else:
            self.outcome.taken_over += 1
            return program, number
        return None, number

    def end(self, program: Program) -> None:
        """Ends one in order, and counts what it saw."""
        self._programs.remove(program)
        if not program.end():
            self.outcome.hung.append("publisher, closing" if program.role == "sender" else "subscriber, closing")
        if program.role == "receiver":
            self.outcome.looked_at += program.count
            self.outcome.torn += program.torn

    def drop(self, program: Program | None) -> None:
        """Ends one that hangs; that is the driver's doing and counts as nobody's kill."""
        if program is not None and program in self._programs:
            with contextlib.suppress(OSError):
                program.kill()
            self._programs.remove(program)

    def finish(self) -> Outcome:
        """Ends all in order and counts what is left."""
        for program in list(self._programs):
            self.end(program)
        self.outcome.left_at_end = len(self.rival.left_over(self.shared))
        self.rival.remove(self.shared)
        return self.outcome


def publisher_killed(how: str, times: int) -> Callable[[Stage], None]:
    """Two subscribers look on while a publisher is killed and another takes over, again and again."""

    def play(stage: Stage) -> None:
        sender: Program | None = stage.start("sender")
        readers = [stage.start("receiver") for _ in range(2)]
        for reader in readers:
            reader.ask("run")
        rng = random.Random(how)
        for _ in range(times):
            if sender is None:
                break
            sender.ask("send", stage.number())
            if how == "copy":
                sender.ask("stream", stage.number())
                sender.goes_on()
                time.sleep(rng.random() * 0.02)  # somewhere in a copy; it does not matter where
            elif how == "loan":
                sender.ask("half", stage.number())
            stage.kill(sender)
            stage.count_files()
            sender, number = stage.take_over()
            if sender is not None:
                keep_streaming(stage, sender, readers, number)

    return play


def keep_streaming(stage: Stage, sender: Program, readers: list[Program], number: int) -> None:
    """Sends until every reader has seen the new publisher, and has another opened for one that does not."""
    with contextlib.suppress(Hang):
        sender.ask("stream", number)
    for i, reader in enumerate(readers):
        if not reader.goes_on():
            stage.end(reader)
            readers[i] = open_again(stage)
    try:
        sender.stop()
    except Hang:
        stage.outcome.hung.append("new publisher")


def open_again(stage: Stage) -> Program:
    reader = stage.start("receiver")
    reader.ask("run")
    if reader.goes_on():
        stage.outcome.reopened += 1
    else:
        stage.outcome.cut_off += 1
    return reader


def subscriber_killed(how: str, times: int) -> Callable[[Stage], None]:
    """A publisher streams and (unless it waits for the one killed) another subscriber looks on."""

    def play(stage: Stage) -> None:
        sender = stage.start("sender")
        others = [] if how == "slow" else [stage.start("receiver")]
        for other in others:
            other.ask("run")
        for _ in range(times):
            victim = stage.start("receiver")
            bring_into(stage, sender, victim, how)
            stage.kill(victim)
            stage.count_files()
            if how != "slow":
                sender.ask("stream", stage.number())
            if not survived(stage, sender, others):
                if freed_by_newcomer(stage, sender):
                    stage.outcome.remarks.add("the publisher goes on once another subscriber comes")
                stage.drop(sender)
                break
            sender.stop()
        else:
            stage.end(sender)
        successor, number = stage.take_over()
        if successor is not None:
            keep_streaming(stage, successor, others, number)

    return play


def bring_into(stage: Stage, sender: Program, victim: Program, how: str) -> None:
    """Brings the victim into the state in which it is to be killed."""
    if how == "wait":
        victim.ask("wait")
        time.sleep(0.1)  # until it sleeps
        return
    sender.ask("send", stage.number())
    victim.ask("hold")
    if how == "slow":
        sender.ask("stream", stage.number())
        count = -1
        while count != sender.count:  # until the publisher stands still
            count = sender.count
            time.sleep(0.2)


def survived(stage: Stage, sender: Program, others: list[Program]) -> bool:
    fine = sender.goes_on()
    if not fine:
        stage.outcome.hung.append("publisher")
    for other in others:
        if not other.goes_on():
            stage.outcome.hung.append("subscriber")
            fine = False
    return fine


def freed_by_newcomer(stage: Stage, sender: Program) -> bool:
    newcomer = stage.start("receiver")
    newcomer.tell("run")
    freed = sender.goes_on()
    if freed:
        stage.end(newcomer)
    else:
        stage.drop(newcomer)
    return freed


def all_killed(stage: Stage) -> None:
    """Everybody dies at once, in the middle of a stream; then a new publisher and a new subscriber come."""
    for _ in range(3):
        sender = stage.start("sender")
        readers = [stage.start("receiver") for _ in range(2)]
        for reader in readers:
            reader.ask("run")
        sender.ask("stream", stage.number())
        for reader in readers:
            reader.goes_on()
        for program in (sender, *readers):
            stage.kill(program)
        stage.count_files()
        successor, number = stage.take_over()
        if successor is None:
            return
        newcomers = [stage.start("receiver")]
        newcomers[0].ask("run")
        keep_streaming(stage, successor, newcomers, number)
        for program in (*newcomers, successor):
            stage.end(program)


SCENARIOS: dict[str, tuple[bool, Callable[[Stage], None]]] = {
    "publisher killed, idle": (False, publisher_killed("idle", 3)),
    "publisher killed inside a copy": (False, publisher_killed("copy", 10)),
    "publisher killed inside a loan": (False, publisher_killed("loan", 3)),
    "subscriber killed, holding a frame": (False, subscriber_killed("hold", 10)),
    "subscriber killed, waiting": (False, subscriber_killed("wait", 10)),
    "slow reader killed, publisher waits for it": (True, subscriber_killed("slow", 3)),
    "all killed": (False, all_killed),
}


def play(module: str, name: str) -> Iterator[tuple[str, Outcome]]:
    """Plays all scenarios with one rival."""
    for number, (title, (waits, scenario)) in enumerate(SCENARIOS.items()):
        stage = Stage(module, f"{name}{number}", waits)
        try:
            scenario(stage)
        except (Hang, Failed) as failure:
            stage.outcome.why_not.add(f"{type(failure).__name__}: {failure}")
        yield title, stage.finish()
