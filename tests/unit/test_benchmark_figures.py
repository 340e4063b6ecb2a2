# SPDX-License-Identifier: Apache-2.0
"""The lines of the comparison: met within the limit, missed beyond it, and neither where a figure is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.compare import tables
from benchmarks.compare.figures import Line, all_figures
from benchmarks.compare.page import METHOD
from benchmarks.compare.plan import PEERS
from benchmarks.compare.results import Results, Row, spread_of, without_paths
from benchmarks.compare.task import quantile
from benchmarks.peers.peer import load


def row(kind: str, title: str, size: str = "64 B", **figures: float) -> Row:
    attributes = {name: figures.pop(name) for name in ("in_place", "rate_hz", "receivers") if name in figures}
    spreads = {name: spread_of([value]) for name, value in figures.items()}
    return Row(kind, title, size, ours="framebus" in title, figures=spreads, **attributes)  # type: ignore[arg-type]


def line_of(rows: list[Row], begins: str) -> Line:
    found = [line for line in all_figures(Results({}, {}, {}, rows)) if line.what.startswith(begins)]
    assert len(found) == 1
    return found[0]


def test_a_run_without_figures_meets_nothing_and_misses_nothing() -> None:
    lines = all_figures(Results({}, {}, {}, []))
    assert len(lines) > 20
    assert {line.met for line in lines} == {None}
    assert "not met" not in tables.figures(Results({}, {}, {}, []))


@pytest.mark.parametrize(("park", "met"), [(25.0, True), (25.1, False)])
def test_cpp_park_is_compared_with_the_raw_hand_over(park: float, met: bool) -> None:
    rows = [row("hand-over", "C++ futex, park", p50_us=20.0), row("C++ API", "C++ framebus park", p50_us=park)]
    assert line_of(rows, "C++, 64 B: `park` to").met is met


@pytest.mark.parametrize(("park", "met"), [(50.0, True), (50.5, False)])
def test_python_park_is_compared_with_the_fastest_peer_only(park: float, met: bool) -> None:
    rows = [
        row("latency", "framebus park", p50_us=park, rate_hz=100.0),
        row("latency", "framebus spin", p50_us=1.0, rate_hz=100.0),
        row("latency", "slow", p50_us=200.0, rate_hz=100.0),
        row("latency", "fast", p50_us=100.0, rate_hz=100.0),
    ]
    line = line_of(rows, "Python, 64 B: `park` to the best peer")
    assert (line.met, "(fast)" in line.what) == (met, True)


@pytest.mark.parametrize(("rate", "met"), [(950.0, True), (949.0, False)])
def test_throughput_is_compared_with_a_bare_copy(rate: float, met: bool) -> None:
    rows = [
        row("throughput", "framebus adaptive", "1080p", rate_hz=0.0),
        row("copy", "numpy.copyto, buffers of throughput", "1080p", us=1000.0),
    ]
    rows[0].figures["rate_hz"] = spread_of([rate])
    assert line_of(rows, "1080p by send: frames/s to the copy limit").met is met


@pytest.mark.parametrize(("eight", "met"), [(110.0, True), (111.0, False)])
def test_send_to_eight_is_compared_with_send_to_one(eight: float, met: bool) -> None:
    rows = [
        row("fanout", "framebus adaptive", "1080p", receivers=1, call_us=100.0),
        row("fanout", "framebus adaptive", "1080p", receivers=8, call_us=eight),
    ]
    assert line_of(rows, "1080p60: `send` with 8").met is met


def test_a_difference_below_nothing_is_no_measure() -> None:
    rows = [
        row("latency", "framebus adaptive", "1080p", p50_us=300.0, rate_hz=100.0),
        row("latency", "peer", "1080p", p50_us=240.0, rate_hz=100.0),
        row("copy", "numpy.copyto, buffers of latency", "1080p", us=250.0),
    ]
    line = line_of(rows, "1080p by send: latency minus copyto")
    assert (line.met, line.measured) == (None, "50.0 to -10.0: no ratio")


def test_a_peer_with_a_problem_is_no_best_peer() -> None:
    broken = Row("latency", "broken", "64 B", problem="it lies", figures={"p50_us": spread_of([1.0])})
    results = Results({}, {}, {}, [broken, row("latency", "honest", p50_us=9.0)])
    assert results.best_peer("p50_us", "latency") == ("honest", 9.0)
    assert "it lies" in tables.problems(results)


def test_the_quantile_is_one_of_the_values() -> None:
    values = [float(i) for i in range(1, 101)]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1.0, 50.0, 99.0, 100.0]


def test_a_reason_keeps_no_folder_of_the_machine() -> None:
    assert without_paths("no /some/where/else/file.txt here") == "no file.txt here"
    assert without_paths("64 B / 1080p") == "64 B / 1080p"


def test_every_peer_takes_part_and_says_whose_advice_it_follows() -> None:
    folder = Path(__file__).parents[2] / "benchmarks/peers"
    files = {path.stem for path in folder.glob("by_*.py")}
    assert files == {"by_framebus"} | {peer.module for peer in PEERS}
    assert [name for name in files if "Followed: " not in (load(name).__doc__ or "")] == []


def test_the_page_describes_every_peer() -> None:
    described = [
        line.split("|")[1].strip() for line in METHOD.read_text(encoding="utf-8").splitlines() if line[:1] == "|"
    ]
    assert [peer.title for peer in PEERS if not any(peer.title.startswith(name) for name in described)] == []
