# SPDX-License-Identifier: Apache-2.0
"""Which cells are measured in every round, fixed before anything is measured.

The first round measures everybody at everything. The further rounds measure the rows of framebus that have a target,
and beside them each peer that was, in its first measurement, within KEPT times the best peer in one of the figures that
a target compares. So the best peer of the first round is always measured again, in each of these figures. A peer that
was left out keeps its figure of the first round, and is compared like the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.compare.plan import ASYNC, DEFAULT, FANOUT_SIZE, OURS, SMALL, WARMED, Cell
from benchmarks.compare.task import SIZES, Task

KEPT = 2.0
MOST = frozenset({"rate_hz"})  # of these figures the largest is the best, of all others the least
LARGE = tuple(size for size in SIZES if size != SMALL)
BOTH_TOUCHES = ("p50_us", "p99_us", "all_p50_us", "all_p99_us")


@dataclass(frozen=True)
class Aim:
    """What the targets need of one task: rows of framebus, by their titles, and the figures compared with peers."""

    ours: tuple[str, ...]
    figures: tuple[str, ...]


def aim_of(task: Task) -> Aim | None:
    """None if no target needs the task."""
    if task.kind == "latency" and task.in_place:
        return Aim((DEFAULT.title, WARMED.title, OURS["predictive"].title), ("p50_us",))
    if task.kind == "latency" and task.size == SMALL:
        return Aim((OURS["park"].title, DEFAULT.title, ASYNC.title), ("p50_us",))
    if task.kind == "latency":
        return Aim((DEFAULT.title,), BOTH_TOUCHES)
    if task.kind == "throughput" and not task.in_place:
        return Aim((DEFAULT.title,), ("rate_hz",))
    if task.kind == "fanout" and task.size == FANOUT_SIZE:
        return Aim((DEFAULT.title,), ("cpu_us",))
    return None


def going_on(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the next round, in their order, once every cell has had the first."""
    peers: dict[Task, list[Cell]] = {}
    for cell in cells:
        if not cell.contender.ours:
            peers.setdefault(cell.task, []).append(cell)
    return [cell for cell in cells if _goes_on(cell, peers.get(cell.task, []))]


def _goes_on(cell: Cell, rivals: Sequence[Cell]) -> bool:
    aim = aim_of(cell.task)
    if aim is None or cell.given_up:
        return False
    if cell.contender.ours:
        return cell.contender.title in aim.ours
    if not cell.taken:
        return True  # to be tried again
    return any(_is_near(cell, rivals, figure) for figure in aim.figures)


def _is_near(cell: Cell, rivals: Sequence[Cell], figure: str) -> bool:
    own = _first(cell, figure)
    others = [value for one in rivals if (value := _first(one, figure)) is not None]
    if own is None or not others:
        return False
    return own >= max(others) / KEPT if figure in MOST else own <= min(others) * KEPT


def _first(cell: Cell, figure: str) -> float | None:
    """A figure of a cell's first measurement."""
    value: float | None = getattr(cell.taken[0], figure) if cell.taken else None
    return value
