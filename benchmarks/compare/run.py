# SPDX-License-Identifier: Apache-2.0
"""The whole comparison: measures by the rule of rounds, prints, and writes results, charts and page."""

from __future__ import annotations

import functools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from benchmarks import machine
from benchmarks.compare import charts, page
from benchmarks.compare.limits import Limits
from benchmarks.compare.plan import DEFAULT_EFFORT, QUICK, Cell, Effort, cells, play
from benchmarks.compare.results import Results, row_of
from benchmarks.compare.rule import going_on
from benchmarks.peers.peer import load

ROOT = Path(__file__).parents[2]
RESULTS = "benchmarks/results/latest.json"
LOOPS = ("uvloop", "trio")  # the event loops that Python does not bring along


def versions(modules: Sequence[str]) -> dict[str, str]:
    """Versions of what is compared; why not, where one is not there."""
    found = {}
    for name in dict.fromkeys(["framebus", "numpy", *map(distribution, modules), *LOOPS]):
        if name is not None:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                found[name] = "is not installed"
    return found


def distribution(module: str) -> str | None:
    """Where a peer comes from, None if from Python itself, or if there is no such peer."""
    try:
        return load(module).DISTRIBUTION
    except ImportError:
        return None


def progress(number: int, rounds: int, place: int, some: Sequence[Cell]) -> None:
    """One line for each piece of work, on standard error."""
    cell = some[place]
    task = cell.task
    if place == 0 or some[place - 1].task != task:
        loan = " by loan" if task.in_place else ""
        to = f" to {task.receivers}" if task.kind == "fanout" else ""
        print(f"round {number + 1} of {rounds}: {task.kind} {task.size}{loan}{to}", file=sys.stderr, flush=True)


def _tell(number: int, rounds: int, some: Sequence[Cell], place: int, _: Cell) -> None:
    progress(number, rounds, place, some)


def measure(some: Sequence[Cell], effort: Effort, limits: Limits | None) -> Results:
    """All rounds: the first measures every cell, the others those that `rule` says, while there is time."""
    start, load_before = time.monotonic(), os.getloadavg()[0]
    now, done = list(some), 0
    for number in range(effort.rounds):
        if number:
            now = going_on(some)
            expected = sum(cell.spent_s for cell in now) + (limits.spent_s if limits is not None else 0.0)
            if time.monotonic() - start + expected > effort.minutes * 60:
                print(f"no time for round {number + 1} within {effort.minutes:.0f} minutes", file=sys.stderr)
                break
        play(now, functools.partial(_tell, number, effort.rounds, now))
        if limits is not None:
            print(f"round {number + 1} of {effort.rounds}: limits", file=sys.stderr, flush=True)
            limits.round(some, every=number == 0)
        done += 1
    facts = machine.facts()
    facts |= {"load_before": round(load_before, 2), "load_after": round(os.getloadavg()[0], 2)}
    spent = {
        "rounds": done,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "latency_s": effort.latency_s,
        "throughput_s": effort.throughput_s,
        "fanout_s": effort.fanout_s,
    }
    modules = [cell.contender.module for cell in some]
    rows = [*(row_of(cell) for cell in some), *(limits.rows() if limits is not None else [])]
    return Results(facts, versions(modules), spent, rows)


def show(results: Results) -> None:
    """Prints everything."""
    print(page.words(results))
    for title, body in page.sections(results):
        print(f"\n== {title}\n\n{body}")


def write(results: Results, root: Path) -> None:
    """Charts and page."""
    charts.write_all(results, root / "docs/images")
    (root / "docs/benchmarks.md").write_text(page.text(results), encoding="utf-8")


def main(root: Path = ROOT, *, quick: bool = False, rounds: int | None = None) -> None:
    """The comparison with all peers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what runs is ended and removed
    effort = QUICK if quick else DEFAULT_EFFORT
    if rounds is not None:
        effort = replace(effort, rounds=rounds, minutes=float("inf"))
    with tempfile.TemporaryDirectory() as folder:
        results = measure(cells(effort), effort, Limits(Path(folder), 2 * effort.latency_s))
    results.write(root / RESULTS)
    show(results)
    write(results, root)


def rewrite(root: Path = ROOT) -> None:
    """Page and charts from the last results."""
    write(Results.read(root / RESULTS), root)
