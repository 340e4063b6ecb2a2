# SPDX-License-Identifier: Apache-2.0
"""What one run has found, as rows of named figures; to JSON and back, so that everything shown can be made again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.compare.plan import Cell
from benchmarks.compare.rule import MOST
from benchmarks.compare.task import quantile
from benchmarks.rounds import Spread

QUANTILES = 100
FIGURES = (
    "p50_us", "p99_us", "all_p50_us", "all_p99_us", "rate_hz", "cpu_us", "all_cpu_us", "sender_cpu_s",
    "receiver_cpu_s", "receiver_share", "call_us", "lost", "sent", "buffers",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One contender, or one limit, at one task.

    Attributes:
        kind: "latency", "throughput", "fanout"; or of a limit "hand-over", "C++ API", "copy", "one process".
        title: who.
        size: of the frames.
        ours: it is framebus.
        in_place: by loan instead of by send.
        rate_hz: frames a second, 0 for as fast as it goes.
        receivers: how many.
        problem: why there are no figures; None where there are.
        remark: what went wrong in some of the rounds, None where nothing did.
        figures: median, least and most of the rounds, by name.
        quantiles: of the latency of all rounds together, in µs, from the least to the most in equal steps.
        all_quantiles: the same where every byte is read.
        rounds: how many have a figure.
    """

    kind: str
    title: str
    size: str
    ours: bool = False
    in_place: bool = False
    rate_hz: float = 0.0
    receivers: int = 1
    problem: str | None = None
    remark: str | None = None
    figures: dict[str, Spread] = field(default_factory=dict)
    quantiles: list[float] = field(default_factory=list)
    all_quantiles: list[float] = field(default_factory=list)
    rounds: int = 0

    def get(self, name: str) -> float | None:
        """The median of a figure, None where there is none."""
        return self.figures[name].median if self.problem is None and name in self.figures else None


def without_paths(text: str) -> str:
    """What went wrong, without the folders of the machine it went wrong on."""
    return re.sub(r"(?:/[\w.+~-]+)+/([\w.+~-]+)", r"\1", text)


def spread_of(values: Iterable[float]) -> Spread:
    listed = [round(value, 6) for value in values]
    return Spread(median(listed), min(listed), max(listed))


def row_of(cell: Cell) -> Row:
    """A cell of the plan as a row."""
    task, contender = cell.task, cell.contender
    figures = {}
    for name in FIGURES if cell.problem is None else ():
        values = [value for one in cell.taken if (value := getattr(one, name)) is not None]
        if values:
            figures[name] = spread_of(values)
    steps, all_steps = [], []
    if task.kind == "latency":
        steps = steps_of([age for one in cell.taken for age in one.ages_us])
        all_steps = steps_of([age for one in cell.taken for age in one.all_ages_us])
    problem = cell.problem if cell.taken or cell.problem else "not measured"
    remark = cell.remark and without_paths(cell.remark)
    return Row(
        task.kind, contender.title, task.size, contender.ours, task.in_place, task.rate_hz, task.receivers,
        problem and without_paths(problem), remark, figures, steps, all_steps, len(cell.taken),
    )  # fmt: skip


def steps_of(ages: list[float]) -> list[float]:
    """The quantiles of some ages."""
    return [round(quantile(ages, step / QUANTILES), 2) for step in range(QUANTILES + 1)] if ages else []


@dataclass
class Results:
    """Everything that one run has found.

    Attributes:
        machine: processor, cores, memory, system, load before and after; no names and no paths.
        versions: of everything that was compared, or why it is not there.
        effort: rounds, and seconds for each measurement, or for each half of one.
        rows: the figures.
    """

    machine: dict[str, Any]
    versions: dict[str, str]
    effort: dict[str, Any]
    rows: list[Row]

    def where(self, kind: str, **equal: Any) -> list[Row]:
        """The rows of a kind whose other attributes are as given."""
        found = [row for row in self.rows if row.kind == kind]
        return [row for row in found if all(getattr(row, name) == value for name, value in equal.items())]

    def value(self, figure: str, kind: str, **equal: Any) -> float | None:
        """The median of a figure of the only row that fits, None if it is not there."""
        rows = self.where(kind, **equal)
        return rows[0].get(figure) if len(rows) == 1 else None

    def best_peer(self, figure: str, kind: str, **equal: Any) -> tuple[str, float] | None:
        """The peer with the least median of a figure, or with the most where more is better."""
        values = [(row.title, row.get(figure)) for row in self.where(kind, ours=False, **equal)]
        there = [(title, value) for title, value in values if value is not None]
        if not there:
            return None
        return (max if figure in MOST else min)(there, key=lambda pair: pair[1])

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = asdict(self)
        rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in found.pop("rows"))
        head = json.dumps(found, indent=1, ensure_ascii=False).removesuffix("\n}")
        path.write_text(f'{head},\n "rows": [\n{rows}\n ]\n}}\n', encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Results:
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = []
        for row in found.pop("rows"):
            figures = {name: Spread(**spread) for name, spread in row.pop("figures").items()}
            rows.append(Row(**row, figures=figures))
        return cls(**found, rows=rows)
