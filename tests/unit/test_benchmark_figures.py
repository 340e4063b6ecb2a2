# SPDX-License-Identifier: Apache-2.0
"""The figures of the comparison beside their targets: met, missed, or neither where a figure was not measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.compare import tables, targets
from benchmarks.compare.page import METHOD, text
from benchmarks.compare.plan import PEERS
from benchmarks.compare.results import Results, Row, spread_of, without_paths
from benchmarks.compare.targets import Comparison
from benchmarks.compare.task import quantile
from benchmarks.peers.peer import load

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository


def row(kind: str, title: str, size: str = "64 B", **figures: float) -> Row:
    attributes = {name: figures.pop(name) for name in ("in_place", "rate_hz", "receivers") if name in figures}
    spreads = {name: spread_of([value]) for name, value in figures.items()}
    return Row(kind, title, size, ours="framebus" in title, figures=spreads, **attributes)  # type: ignore[arg-type]


def figure_of(rows: list[Row], name: str) -> Comparison:
    found = [one for one in targets.compare(Results({}, {}, {}, rows), targets.read()) if one.figure.name == name]
    assert len(found) == 1
    return found[0]


def test_a_run_without_figures_meets_nothing_and_misses_nothing() -> None:
    compared = targets.compare(Results({}, {}, {}, []), targets.read())
    assert len(compared) > 20
    assert {one.met for one in compared} == {None}
    assert "not met" not in targets.show(compared)


@pytest.mark.parametrize(("park", "met"), [(25.0, True), (25.1, False)])
def test_cpp_park_is_compared_with_the_raw_hand_over(park: float, met: bool) -> None:
    rows = [row("hand-over", "C++ futex, park", p50_us=20.0), row("C++ API", "C++ framebus park", p50_us=park)]
    assert figure_of(rows, "cpp park to futex").met is met


@pytest.mark.parametrize(("park", "met"), [(50.0, True), (50.5, False)])
def test_python_park_is_compared_with_the_fastest_peer_only(park: float, met: bool) -> None:
    rows = [
        row("latency", "framebus park", p50_us=park, rate_hz=100.0),
        row("latency", "framebus spin", p50_us=1.0, rate_hz=100.0),
        row("latency", "slow", p50_us=200.0, rate_hz=100.0),
        row("latency", "fast", p50_us=100.0, rate_hz=100.0),
    ]
    found = figure_of(rows, "python park to best peer")
    assert (found.met, "(fast)" in found.figure.what) == (met, True)


@pytest.mark.parametrize(("rate", "met"), [(950.0, True), (949.0, False)])
def test_throughput_is_compared_with_a_bare_copy(rate: float, met: bool) -> None:
    rows = [
        row("throughput", "framebus adaptive", "1080p", rate_hz=0.0),
        row("copy", "numpy.copyto, buffers of throughput", "1080p", us=1000.0),
    ]
    rows[0].figures["rate_hz"] = spread_of([rate])
    assert figure_of(rows, "1080p rate to the copy").met is met


@pytest.mark.parametrize(("eight", "met"), [(110.0, True), (111.0, False)])
def test_send_to_eight_is_compared_with_send_to_one(eight: float, met: bool) -> None:
    rows = [
        row("fanout", "framebus adaptive", "1080p", receivers=1, call_us=100.0),
        row("fanout", "framebus adaptive", "1080p", receivers=8, call_us=eight),
    ]
    assert figure_of(rows, "send to 8").met is met


def test_a_difference_below_nothing_is_no_measure() -> None:
    rows = [
        row("latency", "framebus adaptive", "1080p", p50_us=300.0, rate_hz=100.0),
        row("latency", "peer", "1080p", p50_us=240.0, rate_hz=100.0),
        row("copy", "numpy.copyto, buffers of latency", "1080p", us=250.0),
    ]
    found = figure_of(rows, "1080p by send beyond the copy")
    assert (found.met, found.figure.shown) == (None, "50.0 to -10.0: no ratio")


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
    folder = ROOT / "benchmarks/peers"
    files = {path.stem for path in folder.glob("by_*.py")}
    assert files == {"by_framebus"} | {peer.module for peer in PEERS}
    assert [name for name in files if "Followed: " not in (load(name).__doc__ or "")] == []


def test_the_page_describes_every_peer() -> None:
    described = [
        line.split("|")[1].strip() for line in METHOD.read_text(encoding="utf-8").splitlines() if line[:1] == "|"
    ]
    assert [peer.title for peer in PEERS if not any(peer.title.startswith(name) for name in described)] == []


def test_a_figure_without_a_target_is_an_error(tmp_path: Path) -> None:
    one = tmp_path / "targets.json"
    one.write_text('{"send to 8": {"at_most": 1.1}}')
    with pytest.raises(ValueError, match=r"figures without a target, or targets without a figure: .*cpp park to futex"):
        targets.compare(Results({}, {}, {}, []), targets.read(one))


def test_a_target_says_at_most_or_at_least(tmp_path: Path) -> None:
    one = tmp_path / "targets.json"
    one.write_text('{"send to 8": {"about": 1.1}}')
    with pytest.raises(ValueError, match='"send to 8" has "about"'):
        targets.read(one)


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--check", "--into", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_check_fails_without_results_and_with_figures_that_were_not_measured(tmp_path: Path) -> None:
    without = check(tmp_path)
    assert (without.returncode, "run scripts/bench first" in without.stderr) == (1, True)
    Results({}, {}, {}, []).write(tmp_path / "benchmarks/results/latest.json")
    assert check(tmp_path).returncode == 1


def test_check_ends_with_0_if_every_target_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    met = [Comparison(one.figure, one.target, True) for one in targets.compare(Results({}, {}, {}, []), targets.read())]
    Results({}, {}, {}, []).write(tmp_path / "latest.json")
    monkeypatch.setattr(targets, "compare", lambda *_: met)
    assert targets.check(tmp_path / "latest.json") == 0


def test_the_page_is_the_comparison_of_the_last_results_without_the_targets() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert page == text(Results.read(ROOT / "benchmarks/results/latest.json"))
    assert "not met" not in page


def test_the_front_page_has_the_figures_of_the_last_results() -> None:
    results = Results.read(ROOT / "benchmarks/results/latest.json")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    for title in ("framebus adaptive", "multiprocessing.Queue", "shared_memory, semaphores", "pyzmq ipc"):
        value = results.value("p50_us", "latency", title=title, size="1080p", in_place=False)
        assert value is not None
        assert f"{value:,.0f} µs" in page, f"README.md, section Why, does not have the last figure of {title}"
