# SPDX-License-Identifier: Apache-2.0
"""The figures of framebus that have a target, each taken from one run: a ratio of two medians, or a value.

The best peer is looked for anew for each figure: the one with the least median of that figure at that task, or with the
most frames a second. A figure whose parts were not measured has no value. The targets are in benchmarks/targets.json,
see targets.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.compare.plan import ASYNC, DEFAULT, FANOUT, OURS, SMALL
from benchmarks.compare.results import Results
from benchmarks.compare.rule import LARGE
from benchmarks.compare.task import SIZES

TOUCHES = {"": "two elements touched", "all ": "every byte read"}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: its name in the file of targets.
        what: the same in words.
        value: None if it was not measured, or is a ratio to nothing.
        shown: the value with its unit or its two parts, for people.
        unit: of the value, "" for a ratio.
    """

    name: str
    what: str
    value: float | None
    shown: str
    unit: str = ""


def plain(name: str, what: str, value: float | None, unit: str, digits: int = 1) -> Figure:
    """A value with a unit."""
    shown = "not measured" if value is None else f"{value:,.{digits}f} {unit}"
    return Figure(name, what, value, shown, unit)


def ratio(name: str, what: str, value: float | None, reference: float | None) -> Figure:
    """`value` as a multiple of `reference`."""
    if value is None or not reference:
        return Figure(name, what, None, "not measured")
    found = value / reference
    return Figure(name, what, found, f"{found:.2f} ({value:,.1f} to {reference:,.1f})")


def to_best_peer(results: Results, name: str, what: str, title: str, figure: str, kind: str, **equal: object) -> Figure:
    """A figure of framebus at one task, as a multiple of that of the best peer at it."""
    ours = results.value(figure, kind, title=title, **equal)
    peer, best = results.best_peer(figure, kind, **equal) or ("the best peer", None)
    return ratio(name, f"{what}, to the best peer ({peer})", ours, best)


def all_figures(results: Results) -> list[Figure]:
    """All figures that have a target."""
    parts: tuple[Callable[[Results], Iterator[Figure]], ...] = (
        by_send, by_loan, small_frames, in_cpp, fan_out, event_loop, throughput, one_process,
    )  # fmt: skip
    return [figure for part in parts for figure in part(results)]


def by_send(results: Results) -> Iterator[Figure]:
    for quantile in ("p50", "p99"):
        for touch, words in TOUCHES.items():
            for size in LARGE:
                name = f"{size} by send {touch}{quantile}"
                what = f"{size} by send, {words}: {quantile}"
                figure = f"{touch.strip()}_{quantile}_us".lstrip("_")
                yield to_best_peer(results, name, what, DEFAULT.title, figure, "latency", size=size, in_place=False)


def by_loan(results: Results) -> Iterator[Figure]:
    for wait in ("adaptive", "predictive"):
        for size in SIZES:
            name, what, title = f"{size} by loan {wait}", f"{size} by loan, `{wait}`: p50", OURS[wait].title
            yield to_best_peer(results, name, what, title, "p50_us", "latency", size=size, in_place=True)
    small, large = (
        results.value("p50_us", "latency", title=DEFAULT.title, size=size, in_place=True) for size in (SMALL, "4K")
    )
    yield ratio("loan 4K to 64 B", "by loan: p50 of 4K to that of 64 B", large, small)


def small_frames(results: Results) -> Iterator[Figure]:
    what, title = f"{SMALL} by send, `park`: p50", OURS["park"].title
    yield to_best_peer(
        results, f"{SMALL} by send park", what, title, "p50_us", "latency", size=SMALL, in_place=False
    )  # fmt: skip


def in_cpp(results: Results) -> Iterator[Figure]:
    park = results.value("p50_us", "C++ API", title="C++ framebus park")
    futex = results.value("p50_us", "hand-over", title="C++ futex, park")
    yield ratio("cpp park to futex", "C++, 64 B, `park`: p50 to that of a raw futex hand-over", park, futex)


def throughput(results: Results) -> Iterator[Figure]:
    for size in SIZES:
        name, what = f"{size} throughput", f"{size} by send, nothing lost: frames/s"
        yield to_best_peer(results, name, what, DEFAULT.title, "rate_hz", "throughput", size=size, in_place=False)


def one_process(results: Results) -> Iterator[Figure]:
    values = [row.get("us") for row in results.where("one process")]
    worst = max((value for value in values if value is not None), default=None)
    what = "loan, commit, recv, `.array`, release in one process, the slowest size"
    yield plain("one process", what, worst, "µs", 2)


def fan_out(results: Results) -> Iterator[Figure]:
    for receivers in FANOUT:
        name, what = f"cpu of {receivers}", f"1080p60 to {receivers}: CPU a frame"
        yield to_best_peer(results, name, what, DEFAULT.title, "cpu_us", "fanout", receivers=receivers)
    call = [results.value("call_us", "fanout", title=DEFAULT.title, receivers=n) for n in (FANOUT[0], FANOUT[-1])]
    what = f"1080p60: `send` with {FANOUT[-1]} subscribers to that with {FANOUT[0]}"
    yield ratio(f"send to {FANOUT[-1]}", what, call[1], call[0])


def event_loop(results: Results) -> Iterator[Figure]:
    found = results.value("p50_us", "latency", title=ASYNC.title, size=SMALL)
    blocking = results.value("p50_us", "latency", title=DEFAULT.title, size=SMALL, in_place=False)
    yield ratio("asyncio to recv", f"asyncio, {SMALL}: p50 to that of `recv()`", found, blocking)
