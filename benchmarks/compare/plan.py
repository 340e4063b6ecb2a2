# SPDX-License-Identifier: Apache-2.0
"""The cells of the comparison: each is one contender at one task. Those of the same task follow one another.

The policies of waiting are compared with 64 bytes, where waiting is all there is. `rule` says which cells are measured
in every round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.compare.runner import Problem, measure
from benchmarks.compare.task import SIZES, Contender, Taken, Task

WAITS = ("park", "spin", "adaptive", "predictive")
OURS = {wait: Contender(f"framebus {wait}", "by_framebus", {"wait": wait}, ours=True) for wait in WAITS}
ASYNC = Contender("framebus asyncio", "by_framebus", {"loop": "asyncio"}, ours=True)
LOOPS = (
    ASYNC,
    Contender("framebus asyncio on uvloop", "by_framebus", {"loop": "uvloop"}, ours=True),
    Contender("framebus trio", "by_framebus", {"loop": "trio"}, ours=True),
)
DEFAULT = OURS["adaptive"]
WARMED = Contender("framebus adaptive, warm_up", "by_framebus", {"wait": "adaptive", "warm_up": True}, ours=True)
LISTENER = Contender("iceoryx2 listener", "by_iceoryx2", {"wake": "event"})
POLLING = Contender("iceoryx2 polling", "by_iceoryx2", {"wake": "poll"})
PEERS = (
    Contender("shared_memory, semaphores", "by_shared_memory"),
    LISTENER,
    POLLING,
    Contender("Unix socket", "by_unix_socket"),
    Contender("pyzmq ipc", "by_pyzmq"),
    Contender("pyshmem", "by_pyshmem"),
    Contender("eCAL", "by_ecal"),
    Contender("Zenoh", "by_zenoh"),
    Contender("multiprocessing.Pipe", "by_pipe"),
    Contender("multiprocessing.Queue", "by_queue"),
)
LENDERS = (DEFAULT, WARMED, OURS["predictive"], PEERS[0], LISTENER, POLLING)
SMALL = "64 B"
RATE_HZ = 60.0
FANOUT = (1, 3, 8)
FANOUT_SIZE = "1080p"
TRIES = 2


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds, as many as fit into the minutes but one at least, and seconds.

    The seconds are those of one half where there are two, else of the measurement.
    """

    rounds: int
    latency_s: float
    throughput_s: float
    fanout_s: float
    minutes: float = 15.0


DEFAULT_EFFORT = Effort(5, 0.5, 0.3, 0.4)
QUICK = Effort(1, 0.25, 0.12, 0.2)


@dataclass
class Cell:
    """One contender at one task, and what came of it."""

    contender: Contender
    task: Task
    taken: list[Taken] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    spent_s: float = 0.0  # on the last round

    @property
    def given_up(self) -> bool:
        """It has never worked, and was tried often enough."""
        return len(self.problems) >= TRIES and not self.taken

    @property
    def problem(self) -> str | None:
        """Why there is no figure, None if there is one, or nothing yet."""
        return self.problems[0] if self.problems and not self.taken else None

    @property
    def remark(self) -> str | None:
        """What went wrong in some of the rounds."""
        if not self.problems or not self.taken:
            return None
        return f"{len(self.problems)} of {len(self.problems) + len(self.taken)} rounds: {self.problems[0]}"

    def once(self) -> None:
        """One round. Whatever goes wrong is kept, and ends nothing; what never worked is tried TRIES times."""
        if self.given_up:
            return
        begin = time.monotonic()
        try:
            self.taken.append(measure(self.contender, self.task))
        except Problem as problem:
            self.problems.append(str(problem))
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
        self.spent_s = time.monotonic() - begin


def cells(effort: Effort) -> list[Cell]:
    """The whole comparison, as the first round measures it."""
    found: list[Cell] = []
    for size in SIZES:
        task = Task("latency", size, RATE_HZ, effort.latency_s)
        ours = (*OURS.values(), *LOOPS) if size == SMALL else (DEFAULT,)
        found += [Cell(one, task) for one in (*ours, *PEERS)]
        in_place = Task("latency", size, RATE_HZ, effort.latency_s, in_place=True)
        found += [Cell(one, in_place) for one in LENDERS]
    for size in SIZES:
        task = Task("throughput", size, 0.0, effort.throughput_s, lossless=True)
        found += [Cell(one, task) for one in (DEFAULT, *PEERS)]
        in_place = Task("throughput", size, 0.0, effort.throughput_s, lossless=True, in_place=True)
        found += [Cell(one, in_place) for one in LENDERS if one not in (WARMED, OURS["predictive"])]
    for receivers in FANOUT:
        task = Task("fanout", FANOUT_SIZE, RATE_HZ, effort.fanout_s, receivers=receivers)
        found += [Cell(one, task) for one in (DEFAULT, *PEERS)]
    return found


def play(some: Sequence[Cell], tell: Callable[[int, Cell], None]) -> None:
    """One round: every one of these cells once."""
    for place, cell in enumerate(some):
        tell(place, cell)
        cell.once()
