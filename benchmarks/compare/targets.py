# SPDX-License-Identifier: Apache-2.0
"""What `scripts/bench --check` does: compares the figures of a run with the project's targets.

The targets are in benchmarks/targets.json: for each figure of figures.py the value it must have at most or at least. A
figure without a target, or a target without a figure, is an error. A target is missed where the figure is beyond it,
where it was not measured, and where the run had fewer rounds than ROUNDS.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare.figures import Figure, all_figures
from benchmarks.compare.results import Results
from benchmarks.compare.tables import table

TARGETS = Path(__file__).parents[1] / "targets.json"
ROUNDS = 5


@dataclass(frozen=True)
class Target:
    """A bound: the value is to be at most (or at least) this."""

    bound: float
    least: bool

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound

    def show(self, unit: str) -> str:
        return f"{'≥' if self.least else '≤'} {self.bound:,g}{unit and f' {unit}'}"


@dataclass(frozen=True)
class Comparison:
    """A figure beside its target. met None: the figure was not measured."""

    figure: Figure
    target: Target
    met: bool | None


def read(path: Path = TARGETS) -> dict[str, Target]:
    """The targets by the names of their figures."""
    found = {}
    for name, bound in json.loads(path.read_text(encoding="utf-8")).items():
        (kind,) = bound
        if kind not in ("at_most", "at_least"):
            raise ValueError(f'{path.name}: "{name}" has "{kind}"; a target has "at_most" or "at_least"')
        found[name] = Target(float(bound[kind]), kind == "at_least")
    return found


def compare(results: Results, targets: dict[str, Target]) -> list[Comparison]:
    """Every figure of the run beside its target."""
    figures = all_figures(results)
    unmatched = {figure.name for figure in figures} ^ set(targets)
    if unmatched:
        raise ValueError(f"figures without a target, or targets without a figure: {', '.join(sorted(unmatched))}")
    return [
        Comparison(one, targets[one.name], None if one.value is None else targets[one.name].is_met(one.value))
        for one in figures
    ]


def show(compared: list[Comparison]) -> str:
    """The comparison as a table."""
    words = {True: "met", False: "**not met**", None: "not measured"}
    rows = [[one.figure.what, one.figure.shown, one.target.show(one.figure.unit), words[one.met]] for one in compared]
    return table(["figure", "measured", "target", ""], rows)


def check(results_file: Path) -> int:
    """Prints the comparison of the last results; returns 0 if every target is met by a whole run, else 1."""
    if not results_file.exists():
        print(f"there is no {results_file.name} to compare; run scripts/bench first", file=sys.stderr)
        return 1
    results = Results.read(results_file)
    compared = compare(results, read())
    print(show(compared))
    met = sum(one.met is True for one in compared)
    print(f"\n{met} of {len(compared)} targets are met")
    rounds = results.effort.get("rounds", 0)
    if rounds < ROUNDS:
        print(f"the run had {rounds} of the {ROUNDS} rounds that the targets are for; run scripts/bench again")
    return 0 if met == len(compared) and rounds >= ROUNDS else 1
