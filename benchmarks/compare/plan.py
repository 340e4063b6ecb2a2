# SPDX-License-Identifier: Apache-2.0
"""Who is measured at what, and the rounds: every cell once a round, neighbours at the same work one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.compare.runner import Problem, measure
from benchmarks.compare.task import SIZES, Contender, Taken, Task
from benchmarks.rounds import Spread

WAITS = ("park", "spin", "adaptive", "predictive")
OURS = {wait: Contender(f"framebus {wait}", "by_framebus", {"wait": wait}, ours=True) for wait in WAITS}
ASYNC = Contender("framebus asyncio", "by_framebus", {"asyncio": True}, ours=True)
DEFAULT = OURS["adaptive"]
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
LENDERS = (DEFAULT, LISTENER, POLLING)
RATE_HZ = 100.0
VIDEO_HZ = 60.0
FANOUT = (1, 3, 8)


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    latency_s: float
    throughput_s: float
    fanout_s: float


DEFAULT_EFFORT = Effort(3, 1.0, 0.4, 1.0)
QUICK = Effort(1, 0.3, 0.15, 0.4)


@dataclass
class Cell:
    """One contender at one task, and what came of it."""

    contender: Contender
    task: Task
    taken: list[Taken] = field(default_factory=list)
    problem: str | None = None

    def spread(self, value: Callable[[Taken], float]) -> Spread | None:
        """Median, least and most of the rounds; None where there is a problem or nothing yet."""
        if self.problem or not self.taken:
            return None
        values = [value(one) for one in self.taken]
        return Spread(median(values), min(values), max(values))

    def once(self) -> None:
        """One round. What has a problem is not tried again."""
        if self.problem:
            return
        try:
            self.taken.append(measure(self.contender, self.task))
        except Problem as problem:
            self.problem = str(problem)


def cells(
    effort: Effort, ours: Sequence[Contender] = (*OURS.values(),), peers: Sequence[Contender] = PEERS
) -> list[Cell]:
    """The whole comparison."""
    found: list[Cell] = []
    for size in SIZES:
        task = Task("latency", size, RATE_HZ, effort.latency_s)
        found += [Cell(one, task) for one in (*ours, *peers)]
        if size == "64 B":
            found.append(Cell(ASYNC, task))
            found.append(Cell(OURS["predictive"], Task("latency", size, VIDEO_HZ, effort.latency_s)))
        in_place = Task("latency", size, RATE_HZ, effort.latency_s, in_place=True)
        found += [Cell(one, in_place) for one in LENDERS]
    for size in SIZES:
        task = Task("throughput", size, 0.0, effort.throughput_s, lossless=True)
        found += [Cell(one, task) for one in (DEFAULT, *peers)]
        in_place = Task("throughput", size, 0.0, effort.throughput_s, lossless=True, in_place=True)
        found += [Cell(one, in_place) for one in LENDERS]
    for receivers in FANOUT:
        task = Task("fanout", "1080p", VIDEO_HZ, effort.fanout_s, receivers=receivers)
        found += [Cell(one, task) for one in (DEFAULT, *peers)]
    return found


def play(some: Sequence[Cell], rounds: int, tell: Callable[[int, int, Cell], None]) -> None:
    """Takes every cell once a round."""
    for number in range(rounds):
        for place, cell in enumerate(some):
            tell(number, place, cell)
            cell.once()
