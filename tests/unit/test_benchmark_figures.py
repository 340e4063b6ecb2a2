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


def compared(rows: list[Row]) -> dict[str, Comparison]:
    return {one.figure.name: one for one in targets.compare(Results({}, {}, {}, rows), targets.read())}


def figure_of(rows: list[Row], name: str) -> Comparison:
    return compared(rows)[name]


def test_a_run_without_figures_meets_nothing_and_misses_nothing() -> None:
    found = targets.compare(Results({}, {}, {}, []), targets.read())
    assert len(found) == len(targets.read()) == 40
    assert {one.met for one in found} == {None}
    assert "not met" not in targets.show(found)


@pytest.mark.parametrize(("park", "met"), [(25.0, True), (25.1, False)])
def test_cpp_park_is_compared_with_the_raw_hand_over(park: float, met: bool) -> None:
    rows = [row("hand-over", "C++ futex, park", p50_us=20.0), row("C++ API", "C++ framebus park", p50_us=park)]
    assert figure_of(rows, "cpp park to futex").met is met


@pytest.mark.parametrize(("park", "met"), [(90.0, True), (90.5, False)])
def test_python_park_is_compared_with_the_fastest_peer_only(park: float, met: bool) -> None:
    rows = [
        row("latency", "framebus park", p50_us=park),
        row("latency", "framebus spin", p50_us=1.0),
        row("latency", "slow", p50_us=200.0),
        row("latency", "fast", p50_us=100.0),
    ]
    found = figure_of(rows, "64 B by send park")
    assert (found.met, "(fast)" in found.figure.what) == (met, True)


@pytest.mark.parametrize(
    ("figure", "target", "bound"),
    [
        ("p50_us", "1080p by send p50", 75.0),
        ("all_p50_us", "1080p by send all p50", 90.0),
        ("p99_us", "1080p by send p99", 100.0),
        ("all_p99_us", "1080p by send all p99", 100.0),
    ],
)
def test_each_figure_has_a_best_peer_of_its_own(figure: str, target: str, bound: float) -> None:
    """Only one peer is best in this figure, and framebus is far ahead in all others."""
    others = dict.fromkeys(("p50_us", "all_p50_us", "p99_us", "all_p99_us"), 100.0)
    for value, met in ((bound, True), (bound + 0.5, False)):
        rows = [
            row("latency", "framebus adaptive", "1080p", **(dict.fromkeys(others, 1.0) | {figure: value})),
            row("latency", "framebus predictive", "1080p", **dict.fromkeys(others, 1.0)),
            row("latency", "best in this", "1080p", **(dict.fromkeys(others, 500.0) | {figure: 100.0})),
            row("latency", "best in others", "1080p", **(others | {figure: 101.0})),
        ]
        found = figure_of(rows, target)
        assert (found.met, "(best in this)" in found.figure.what) == (met, True)


@pytest.mark.parametrize(("wait", "bound"), [("adaptive", 100.0), ("predictive", 75.0)])
def test_a_loan_is_compared_with_loans_only(wait: str, bound: float) -> None:
    for value, met in ((bound, True), (bound + 0.5, False)):
        rows = [
            row("latency", f"framebus {wait}", "4K", p50_us=value, in_place=True),
            row("latency", f"framebus {wait}", "4K", p50_us=1.0, in_place=False),
            row("latency", "lender", "4K", p50_us=100.0, in_place=True),
            row("latency", "sender", "4K", p50_us=2.0, in_place=False),
        ]
        assert figure_of(rows, f"4K by loan {wait}").met is met


@pytest.mark.parametrize(("rate", "met"), [(1050.0, True), (1049.0, False)])
def test_throughput_is_compared_with_the_peer_that_has_the_most(rate: float, met: bool) -> None:
    rows = [row("throughput", title, "720p") for title in ("framebus adaptive", "slow", "fast")]
    for one, value in zip(rows, (rate, 10.0, 1000.0), strict=True):
        one.figures["rate_hz"] = spread_of([value])
    found = figure_of(rows, "720p throughput")
    assert (found.met, "(fast)" in found.figure.what) == (met, True)


@pytest.mark.parametrize(("large", "met"), [(130.0, True), (131.0, False)])
def test_a_large_loan_is_compared_with_a_small_one(large: float, met: bool) -> None:
    rows = [
        row("latency", "framebus adaptive", "64 B", p50_us=100.0, in_place=True),
        row("latency", "framebus adaptive", "4K", p50_us=large, in_place=True),
    ]
    assert figure_of(rows, "loan 4K to 64 B").met is met


@pytest.mark.parametrize(("cpu", "met"), [(90.0, True), (91.0, False)])
def test_cpu_is_compared_with_the_same_number_of_receivers(cpu: float, met: bool) -> None:
    rows = [
        row("fanout", "framebus adaptive", "1080p", receivers=3, cpu_us=cpu),
        row("fanout", "peer", "1080p", receivers=3, cpu_us=100.0),
        row("fanout", "peer", "1080p", receivers=1, cpu_us=1.0),
    ]
    assert figure_of(rows, "cpu of 3").met is met


@pytest.mark.parametrize(("worst", "met"), [(2.5, True), (2.6, False)])
def test_one_process_is_compared_with_the_value_in_the_file(worst: float, met: bool) -> None:
    rows = [row("one process", "loan", "64 B", us=1.0), row("one process", "loan", "4K", us=worst)]
    assert figure_of(rows, "one process").met is met


@pytest.mark.parametrize(("eight", "met"), [(110.0, True), (111.0, False)])
def test_send_to_eight_is_compared_with_send_to_one(eight: float, met: bool) -> None:
    rows = [
        row("fanout", "framebus adaptive", "1080p", receivers=1, call_us=100.0),
        row("fanout", "framebus adaptive", "1080p", receivers=8, call_us=eight),
    ]
    assert figure_of(rows, "send to 8").met is met


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
    Results({}, {}, {"rounds": targets.ROUNDS}, []).write(tmp_path / "benchmarks/results/latest.json")
    unmeasured = check(tmp_path)
    assert (unmeasured.returncode, "0 of 40 targets are met" in unmeasured.stdout) == (1, True)


def met_but(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, met: bool | None, rounds: int = targets.ROUNDS) -> int:
    """The exit status where every target is met by that many rounds, except for one figure in the middle."""
    found = targets.compare(Results({}, {}, {}, []), targets.read())
    chosen = found[len(found) // 2]
    changed = [Comparison(one.figure, one.target, met if one is chosen else True) for one in found]
    monkeypatch.setattr(targets, "compare", lambda *_: changed)
    Results({}, {}, {"rounds": rounds}, []).write(tmp_path / "latest.json")
    return targets.check(tmp_path / "latest.json")


def test_check_ends_with_0_only_if_every_target_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert met_but(tmp_path, monkeypatch, True) == 0
    assert met_but(tmp_path, monkeypatch, False) == 1
    assert met_but(tmp_path, monkeypatch, None) == 1


def test_check_does_not_accept_a_shorter_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert met_but(tmp_path, monkeypatch, True, rounds=targets.ROUNDS - 1) == 1
    assert "the run had 4 of the 5 rounds" in capsys.readouterr().out


def test_the_file_of_targets_is_what_was_decided() -> None:
    """A target changes here and in the file, and not along the way."""
    bounds = {name: target.bound for name, target in targets.read().items()}
    sizes = ("640x480", "720p", "1080p", "4K")
    assert [bounds.pop(f"{size} by send p50") for size in sizes] == [0.85, 0.80, 0.75, 0.75]
    assert [bounds.pop(f"{size} by send all p50") for size in sizes] == [0.92, 0.90, 0.90, 0.90]
    assert {bounds.pop(f"{size} by send {touch}p99") for size in sizes for touch in ("", "all ")} == {1.0}
    assert {bounds.pop(f"{size} by loan adaptive") for size in ("64 B", *sizes)} == {1.0}
    assert {bounds.pop(f"{size} by loan predictive") for size in ("64 B", *sizes)} == {0.75}
    assert {bounds.pop(f"{size} throughput") for size in ("64 B", *sizes)} == {1.05}
    assert {bounds.pop(f"cpu of {receivers}") for receivers in (1, 3, 8)} == {0.9}
    assert bounds == {
        "loan 4K to 64 B": 1.3,
        "64 B by send park": 0.9,
        "cpp park to futex": 1.25,
        "send to 8": 1.1,
        "asyncio to recv": 1.5,
        "one process": 2.5,
    }
    assert {one.figure.name for one in compared([]).values() if one.target.least} == {
        f"{size} throughput" for size in ("64 B", *sizes)
    }


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
    (rate,) = {row.rate_hz for row in results.where("latency", title="framebus adaptive", size="1080p")}
    assert f"at {rate:.0f} Hz" in page
