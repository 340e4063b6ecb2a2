# SPDX-License-Identifier: Apache-2.0
"""Who is measured at what, and the rounds: every cell once a round, neighbours at the same work one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.compare.runner import Problem, measure
from benchmarks.compare.task import SIZES, Contender, Taken, Task

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
LENDERS = (DEFAULT, PEERS[0], LISTENER, POLLING)
RATE_HZ = 100.0
VIDEO_HZ = 60.0
FANOUT = (1, 3, 8)
TRIES = 2


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds, as many as fit into the minutes but one at least, and seconds for each cell."""

    rounds: int
    latency_s: float
    throughput_s: float
    fanout_s: float
    minutes: float = 16.0


DEFAULT_EFFORT = Effort(3, 1.0, 0.4, 1.0)
QUICK = Effort(1, 0.3, 0.15, 0.4)


@dataclass
class Cell:
    """One contender at one task, and what came of it."""

    contender: Contender
    task: Task
    taken: list[Taken] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

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
        if len(self.problems) >= TRIES and not self.taken:
            return
        try:
            self.taken.append(measure(self.contender, self.task))
        except Problem as problem:
            self.problems.append(str(problem))
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")


def cells(
    effort: Effort, ours: Sequence[Contender] = tuple(OURS.values()), peers: Sequence[Contender] = PEERS
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


def play(some: Sequence[Cell], tell: Callable[[int, Cell], None]) -> None:
    """One round: every cell once."""
    for place, cell in enumerate(some):
        tell(place, cell)
        cell.once()
