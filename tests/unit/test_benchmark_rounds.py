# SPDX-License-Identifier: Apache-2.0
"""The rule of rounds: each round measures all that a target compares, and every peer that may be the best."""

from __future__ import annotations

import random
from typing import Any

import pytest
from benchmarks.compare import figures, run
from benchmarks.compare.plan import DEFAULT_EFFORT, FANOUT, PEERS, TRIES, Cell, Effort, cells
from benchmarks.compare.results import Results, row_of
from benchmarks.compare.rule import KEPT, MOST, aim_of, going_on
from benchmarks.compare.task import Taken

pytestmark = pytest.mark.repository

NAMES = ("p50_us", "p99_us", "all_p50_us", "all_p99_us", "rate_hz", "cpu_us", "all_cpu_us", "call_us")


def taken(**figures: float) -> Taken:
    """A measurement with these figures, and 1000 in all others."""
    values: dict[str, Any] = dict.fromkeys(NAMES, 1000.0) | figures
    values |= {"frames": 10, "sent": 10, "lost": 0, "sender_cpu_s": 0.1, "receiver_cpu_s": 0.1}
    return Taken(**values, receiver_share=0.1, buffers=3, ages_us=[], all_ages_us=[])


def measured(seed: int) -> list[Cell]:
    """The whole plan after a first round with figures over two powers of ten."""
    chance = random.Random(seed)
    found = cells(DEFAULT_EFFORT)
    for cell in found:
        cell.taken.append(taken(**{name: 10 ** chance.uniform(1, 3) for name in NAMES}))
    return found


class Asked(Results):
    """Notes which rows the figures look at."""

    def __init__(self, some: list[Cell]) -> None:
        super().__init__({}, {}, {}, [row_of(cell) for cell in some])
        self.own: list[tuple[str, str, dict[str, Any]]] = []
        self.best: list[tuple[str, str, str, dict[str, Any]]] = []

    def value(self, figure: str, kind: str, **equal: Any) -> float | None:
        self.own.append((figure, kind, equal))
        return super().value(figure, kind, **equal)

    def best_peer(self, figure: str, kind: str, **equal: Any) -> tuple[str, float] | None:
        found = super().best_peer(figure, kind, **equal)
        assert found is not None
        self.best.append((found[0], figure, kind, equal))
        return found


def is_in(cell: Cell, title: str, kind: str, equal: dict[str, Any]) -> bool:
    task = cell.task
    same = all(getattr(task, name) == value for name, value in equal.items() if name != "title")
    return cell.contender.title == title and task.kind == kind and same


@pytest.mark.parametrize("seed", range(5))
def test_the_best_peer_of_each_figure_is_measured_in_every_round(seed: int) -> None:
    some = measured(seed)
    asked = Asked(some)
    figures.all_figures(asked)
    assert len(asked.best) == 16 + 10 + 1 + 3 + 5
    again = going_on(some)
    for title, figure, kind, equal in asked.best:
        assert any(is_in(cell, title, kind, equal) for cell in again), f"{title} is the best in {figure}: {equal}"


def test_each_row_of_framebus_with_a_target_is_measured_in_every_round() -> None:
    some = measured(1)
    asked = Asked(some)
    figures.all_figures(asked)
    wanted = [(kind, equal) for _, kind, equal in asked.own if kind in ("latency", "throughput", "fanout")]
    again = going_on(some)
    for kind, equal in wanted:
        assert any(is_in(cell, equal["title"], kind, equal) for cell in again), f"{kind} {equal}"


def test_each_figure_that_a_target_compares_decides_about_peers() -> None:
    asked = Asked(measured(2))
    figures.all_figures(asked)
    for _, figure, kind, equal in asked.best:
        tasks = {cell.task for cell in cells(DEFAULT_EFFORT) if is_in(cell, cell.contender.title, kind, equal)}
        assert tasks
        for task in tasks:
            aim = aim_of(task)
            assert aim is not None
            assert figure in aim.figures


@pytest.mark.parametrize("figure", ["p50_us", "p99_us", "all_p50_us", "all_p99_us"])
def test_a_peer_goes_on_if_it_is_near_the_best_in_one_figure(figure: str) -> None:
    task = next(cell.task for cell in cells(DEFAULT_EFFORT) if cell.task.kind == "latency" and cell.task.size == "4K")
    for value, goes_on in ((100.0 * KEPT, True), (100.0 * KEPT + 1, False)):
        best, other = Cell(PEERS[0], task, [taken(**dict.fromkeys(NAMES, 100.0))]), Cell(PEERS[1], task)
        other.taken.append(taken(**{figure: value}))
        assert going_on([best, other]) == ([best, other] if goes_on else [best])


def test_framebus_has_no_say_in_who_the_best_peer_is() -> None:
    some = [cell for cell in measured(3) if aim_of(cell.task) is not None]
    before = [cell for cell in going_on(some) if not cell.contender.ours]
    for cell in some:
        if cell.contender.ours:
            cell.taken = [taken(**{name: 1e9 if name in MOST else 0.001 for name in NAMES})]
    assert [cell for cell in going_on(some) if not cell.contender.ours] == before


def test_later_rounds_do_not_change_who_goes_on() -> None:
    some = measured(4)
    before = going_on(some)
    for cell in before:
        cell.taken.append(taken(**{name: 1.0 if name in MOST else 1e6 for name in NAMES}))
    assert going_on(some) == before


def test_a_peer_whose_first_measurement_failed_is_tried_again() -> None:
    some = measured(5)
    peer = next(cell for cell in some if not cell.contender.ours and aim_of(cell.task) is not None)
    peer.taken.clear()
    peer.problems.append("it did not go on")
    assert peer in going_on(some)
    peer.problems *= TRIES
    assert peer not in going_on(some)


def test_a_peer_that_was_left_out_is_compared_all_the_same() -> None:
    some = measured(6)
    again = going_on(some)
    left = [cell for cell in some if not cell.contender.ours and cell not in again]
    assert left
    results = Results({}, {}, {}, [row_of(cell) for cell in some])
    row = next(row for row in results.where("fanout", ours=False) if row.receivers == FANOUT[0])
    row.figures["cpu_us"] = type(row.figures["cpu_us"])(0.5, 0.5, 0.5)
    assert results.best_peer("cpu_us", "fanout", receivers=FANOUT[0]) == (row.title, 0.5)


def test_a_run_measures_everything_once_and_then_what_the_rule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(cell: Cell) -> None:
        near = cell.contender.ours or cell.contender is PEERS[0]
        cell.taken.append(taken(**{name: 100.0 if near != (name in MOST) else 10_000.0 for name in NAMES}))

    monkeypatch.setattr(Cell, "once", once)
    some = cells(DEFAULT_EFFORT)
    results = run.measure(some, DEFAULT_EFFORT, limits=None)
    assert results.effort["rounds"] == DEFAULT_EFFORT.rounds == 5
    again = going_on(some)
    assert {len(cell.taken) for cell in some if cell in again} == {5}
    assert {len(cell.taken) for cell in some if cell not in again} == {1}
    assert {row.rounds for row in results.where("throughput", title=PEERS[0].title, in_place=False)} == {5}


def test_a_round_that_would_take_too_long_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(cell: Cell) -> None:
        cell.taken.append(taken())
        cell.spent_s = 3600.0

    monkeypatch.setattr(Cell, "once", once)
    effort = Effort(5, 1.0, 1.0, 1.0, minutes=15.0)
    results = run.measure(cells(effort), effort, limits=None)
    assert results.effort["rounds"] == 1


def test_every_peer_is_in_the_first_round_of_each_task_by_send() -> None:
    some = cells(DEFAULT_EFFORT)
    for task in {cell.task for cell in some if not cell.task.in_place}:
        assert [cell.contender for cell in some if cell.task == task and not cell.contender.ours] == list(PEERS)
