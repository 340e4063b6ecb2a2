# SPDX-License-Identifier: Apache-2.0
"""The lines that framebus is to reach, each a ratio or a difference within one run.

A line whose figures are not there is neither met nor missed, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.compare.plan import ASYNC, DEFAULT, FANOUT, OURS, RATE_HZ, VIDEO_HZ
from benchmarks.compare.results import Results
from benchmarks.compare.task import SIZES

SMALL = "64 B"


@dataclass(frozen=True)
class Line:
    """One line: what was measured, beside what, and whether that is within the limit. met None: it can't be told."""

    what: str
    measured: str
    limit: str
    met: bool | None


def at_most(what: str, value: float | None, limit: float | None, unit: str, digits: int = 1) -> Line:
    """`value` is to be no more than `limit`, both in the same unit."""
    if value is None or limit is None:
        return Line(what, "not measured", "" if limit is None else f"≤ {limit:.{digits}f} {unit}", None)
    return Line(what, f"{value:.{digits}f} {unit}", f"≤ {limit:.{digits}f} {unit}", value <= limit)


def ratio(what: str, value: float | None, reference: float | None, bound: float, *, least: bool = False) -> Line:
    """`value` is to be at most (or at least) `bound` times `reference`."""
    sign = "≥" if least else "≤"
    if value is None or reference is None:
        return Line(what, "not measured", f"{sign} {bound:g}", None)
    if reference <= 0:  # a difference between noisy figures
        return Line(what, f"{value:,.1f} to {reference:,.1f}: no ratio", f"{sign} {bound:g}", None)
    found = value / reference
    shown = f"{found:.2f} ({value:,.1f} to {reference:,.1f})"
    return Line(what, shown, f"{sign} {bound:g}", found >= bound if least else found <= bound)


def minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def all_figures(results: Results) -> list[Line]:
    """All lines, in the order of the issue they come from."""
    parts: tuple[Callable[[Results], Iterator[Line]], ...] = (in_cpp, small_frames, large_frames, by_loan, throughput)
    return [line for part in (*parts, one_process, fan_out, event_loop) for line in part(results)]


def small(results: Results, who: str, figure: str = "p50_us", rate_hz: float = RATE_HZ) -> float | None:
    """A figure of framebus with that policy, 64 bytes by send."""
    return results.value(
        figure, "latency", title=OURS[who].title, size=SMALL, in_place=False, rate_hz=rate_hz
    )  # fmt: skip


def in_cpp(results: Results) -> Iterator[Line]:
    def api(wait: str, figure: str = "p50_us") -> float | None:
        return results.value(figure, "C++ API", title=f"C++ framebus {wait}")

    futex = results.value("p50_us", "hand-over", title="C++ futex, park")
    yield ratio("C++, 64 B: `park` to a raw futex hand-over", api("park"), futex, 1.25)
    yield at_most("C++, 64 B: `predictive`, p50", api("predictive"), 5.0, "µs")
    yield at_most("C++, 64 B: `predictive` p99, below p50 of `park`", api("predictive", "p99_us"), api("park"), "µs")


def small_frames(results: Results) -> Iterator[Line]:
    park, spin, predictive = (small(results, wait) for wait in ("park", "spin", "predictive"))
    best = results.best_peer("p50_us", "latency", size=SMALL, in_place=False)
    name, value = best or ("the best peer", None)
    yield ratio(f"Python, 64 B: `park` to the best peer ({name})", park, value, 0.5)
    yield ratio("Python, 64 B: `predictive` to `spin`", predictive, spin, 1.2)
    yield at_most(
        "Python, 64 B: `predictive` p99, below p50 of `park`", small(results, "predictive", "p99_us"), park, "µs"
    )
    for rate in (VIDEO_HZ, RATE_HZ):
        share = small(results, "predictive", "receiver_share", rate)
        percent = None if share is None else share * 100
        yield at_most(f"Python: `predictive` at {rate:.0f} Hz, share of one core", percent, 5.0, "%")
    for wait in ("park", "predictive"):
        native = results.value("p50_us", "C++ API", title=f"C++ framebus {wait}")
        beyond = minus(small(results, wait), native)
        yield at_most(f"aim: Python, 64 B: `{wait}` beyond the C++ API", beyond, 15.0, "µs")


def large_frames(results: Results) -> Iterator[Line]:
    copy = copy_us(results, "1080p", "latency")
    ours = results.value("p50_us", "latency", title=DEFAULT.title, size="1080p", in_place=False)
    best = results.best_peer("p50_us", "latency", size="1080p", in_place=False)
    name, value = best or ("the best peer", None)
    what = f"1080p by send: latency minus copyto, to that of the best peer ({name})"
    yield ratio(what, minus(ours, copy), minus(value, copy), 0.5)


def copy_us(results: Results, size: str, kind: str) -> float | None:
    return results.value("us", "copy", title=f"numpy.copyto, buffers of {kind}", size=size)


def by_loan(results: Results) -> Iterator[Line]:
    base = results.value("p50_us", "latency", title=DEFAULT.title, size=SMALL, in_place=True)
    for size in SIZES:
        if size != SMALL:
            value = results.value("p50_us", "latency", title=DEFAULT.title, size=size, in_place=True)
            yield ratio(f"{size} by loan: latency to that of 64 B", value, base, 1.2)


def throughput(results: Results) -> Iterator[Line]:
    ours = results.value("rate_hz", "throughput", title=DEFAULT.title, size="1080p", in_place=False)
    copy = copy_us(results, "1080p", "throughput")
    yield ratio(
        "1080p by send: frames/s to the copy limit", ours, None if copy is None else 1e6 / copy, 0.95, least=True
    )
    name, value = results.best_peer("rate_hz", "throughput", most=True, size="1080p", in_place=False) or (
        "the best peer",
        None,
    )
    yield ratio(f"1080p by send: frames/s to the fastest peer ({name})", ours, value, 1.0, least=True)
    for size in SIZES:
        rate = results.value("rate_hz", "throughput", title=DEFAULT.title, size=size, in_place=True)
        what = f"{size} by loan, every frame: frames/s"
        met = None if rate is None else rate >= 200_000
        yield Line(what, "not measured" if rate is None else f"{rate:,.0f}", "≥ 200,000", met)


def one_process(results: Results) -> Iterator[Line]:
    values = [row.get("us") for row in results.where("one process")]
    worst = max((value for value in values if value is not None), default=None)
    yield at_most("loan, commit, recv, `.array`, release in one process, the slowest size", worst, 2.5, "µs", 2)


def fan_out(results: Results) -> Iterator[Line]:
    for receivers in FANOUT[1:]:
        ours = results.value("cpu_us", "fanout", title=DEFAULT.title, receivers=receivers)
        name, best = results.best_peer("cpu_us", "fanout", receivers=receivers) or ("the best peer", None)
        yield ratio(f"1080p60 to {receivers}: CPU a frame to the best peer ({name})", ours, best, 1.0)
    call = [results.value("call_us", "fanout", title=DEFAULT.title, receivers=n) for n in (FANOUT[0], FANOUT[-1])]
    yield ratio(f"1080p60: `send` with {FANOUT[-1]} subscribers to that with {FANOUT[0]}", call[1], call[0], 1.1)


def event_loop(results: Results) -> Iterator[Line]:
    found = results.value("p50_us", "latency", title=ASYNC.title, size=SMALL)
    blocking = results.value("p50_us", "latency", title=DEFAULT.title, size=SMALL, in_place=False)
    yield ratio("asyncio, 64 B: p50 to that of `recv()`", found, blocking, 1.5)
