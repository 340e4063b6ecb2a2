# SPDX-License-Identifier: Apache-2.0
"""The figures of framebus that have a target, each taken from one run: a ratio, a difference or a value.

A figure whose parts were not measured has no value. The targets are in benchmarks/targets.json, see targets.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.compare.plan import ASYNC, DEFAULT, FANOUT, OURS, RATE_HZ, VIDEO_HZ
from benchmarks.compare.results import Results
from benchmarks.compare.task import SIZES

SMALL = "64 B"


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
    if value is None or reference is None:
        return Figure(name, what, None, "not measured")
    if reference <= 0:  # a difference between noisy figures
        return Figure(name, what, None, f"{value:,.1f} to {reference:,.1f}: no ratio")
    found = value / reference
    return Figure(name, what, found, f"{found:.2f} ({value:,.1f} to {reference:,.1f})")


def minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def all_figures(results: Results) -> list[Figure]:
    """All figures that have a target."""
    parts: tuple[Callable[[Results], Iterator[Figure]], ...] = (in_cpp, small_frames, large_frames, by_loan, throughput)
    return [figure for part in (*parts, one_process, fan_out, event_loop) for figure in part(results)]


def small(results: Results, policy: str, figure: str = "p50_us", rate_hz: float = RATE_HZ) -> float | None:
    """A figure of framebus with that policy, 64 bytes by send."""
    return results.value(
        figure, "latency", title=OURS[policy].title, size=SMALL, in_place=False, rate_hz=rate_hz
    )  # fmt: skip


def in_cpp(results: Results) -> Iterator[Figure]:
    def api(wait: str, figure: str = "p50_us") -> float | None:
        return results.value(figure, "C++ API", title=f"C++ framebus {wait}")

    futex = results.value("p50_us", "hand-over", title="C++ futex, park")
    yield ratio("cpp park to futex", "C++, 64 B: `park` to a raw futex hand-over", api("park"), futex)
    yield plain("cpp predictive p50", "C++, 64 B: `predictive`, p50", api("predictive"), "µs")
    yield ratio(
        "cpp predictive p99 to park p50",
        "C++, 64 B: p99 of `predictive` to p50 of `park`",
        api("predictive", "p99_us"),
        api("park"),
    )


def small_frames(results: Results) -> Iterator[Figure]:
    park, spin, predictive = (small(results, wait) for wait in ("park", "spin", "predictive"))
    title, value = results.best_peer("p50_us", "latency", size=SMALL, in_place=False) or ("the best peer", None)
    yield ratio("python park to best peer", f"Python, 64 B: `park` to the best peer ({title})", park, value)
    yield ratio("python predictive to spin", "Python, 64 B: `predictive` to `spin`", predictive, spin)
    yield ratio(
        "python predictive p99 to park p50",
        "Python, 64 B: p99 of `predictive` to p50 of `park`",
        small(results, "predictive", "p99_us"),
        park,
    )
    for rate in (VIDEO_HZ, RATE_HZ):
        share = small(results, "predictive", "receiver_share", rate)
        percent = None if share is None else share * 100
        name = f"python predictive at {rate:.0f} Hz"
        yield plain(name, f"Python: `predictive` at {rate:.0f} Hz, share of one core", percent, "%")
    for wait in ("park", "predictive"):
        native = results.value("p50_us", "C++ API", title=f"C++ framebus {wait}")
        beyond = minus(small(results, wait), native)
        yield plain(f"python {wait} beyond cpp", f"aim: Python, 64 B: `{wait}` beyond the C++ API", beyond, "µs")


def large_frames(results: Results) -> Iterator[Figure]:
    copy = copy_us(results, "1080p", "latency")
    ours = results.value("p50_us", "latency", title=DEFAULT.title, size="1080p", in_place=False)
    title, value = results.best_peer("p50_us", "latency", size="1080p", in_place=False) or ("the best peer", None)
    what = f"1080p by send: latency minus copyto, to that of the best peer ({title})"
    yield ratio("1080p by send beyond the copy", what, minus(ours, copy), minus(value, copy))


def copy_us(results: Results, size: str, kind: str) -> float | None:
    return results.value("us", "copy", title=f"numpy.copyto, buffers of {kind}", size=size)


def by_loan(results: Results) -> Iterator[Figure]:
    base = results.value("p50_us", "latency", title=DEFAULT.title, size=SMALL, in_place=True)
    for size in SIZES:
        if size != SMALL:
            value = results.value("p50_us", "latency", title=DEFAULT.title, size=size, in_place=True)
            yield ratio(f"{size} by loan", f"{size} by loan: latency to that of 64 B", value, base)


def throughput(results: Results) -> Iterator[Figure]:
    ours = results.value("rate_hz", "throughput", title=DEFAULT.title, size="1080p", in_place=False)
    copy = copy_us(results, "1080p", "throughput")
    limit = None if copy is None else 1e6 / copy
    yield ratio("1080p rate to the copy", "1080p by send: frames/s to the copy limit", ours, limit)
    best = results.best_peer("rate_hz", "throughput", most=True, size="1080p", in_place=False)
    title, value = best or ("the best peer", None)
    yield ratio("1080p rate to best peer", f"1080p by send: frames/s to the fastest peer ({title})", ours, value)
    for size in SIZES:
        rate = results.value("rate_hz", "throughput", title=DEFAULT.title, size=size, in_place=True)
        yield plain(f"{size} rate by loan", f"{size} by loan, every frame", rate, "frames/s", 0)


def one_process(results: Results) -> Iterator[Figure]:
    values = [row.get("us") for row in results.where("one process")]
    worst = max((value for value in values if value is not None), default=None)
    what = "loan, commit, recv, `.array`, release in one process, the slowest size"
    yield plain("one process", what, worst, "µs", 2)


def fan_out(results: Results) -> Iterator[Figure]:
    for receivers in FANOUT[1:]:
        ours = results.value("cpu_us", "fanout", title=DEFAULT.title, receivers=receivers)
        title, best = results.best_peer("cpu_us", "fanout", receivers=receivers) or ("the best peer", None)
        what = f"1080p60 to {receivers}: CPU a frame to the best peer ({title})"
        yield ratio(f"cpu of {receivers} to best peer", what, ours, best)
    call = [results.value("call_us", "fanout", title=DEFAULT.title, receivers=n) for n in (FANOUT[0], FANOUT[-1])]
    what = f"1080p60: `send` with {FANOUT[-1]} subscribers to that with {FANOUT[0]}"
    yield ratio(f"send to {FANOUT[-1]}", what, call[1], call[0])


def event_loop(results: Results) -> Iterator[Figure]:
    found = results.value("p50_us", "latency", title=ASYNC.title, size=SMALL)
    blocking = results.value("p50_us", "latency", title=DEFAULT.title, size=SMALL, in_place=False)
    yield ratio("asyncio to recv", "asyncio, 64 B: p50 to that of `recv()`", found, blocking)
