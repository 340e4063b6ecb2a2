# SPDX-License-Identifier: Apache-2.0
"""The comparison with peers: it counts what it says it counts, and whoever cheats or fails is named with the reason.

Only peers that need no package of their own take part; nothing here is about how fast anybody is.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from benchmarks import cpp
from benchmarks.compare import charts, page, run, tables
from benchmarks.compare.plan import LOOPS, OURS, Cell, Effort
from benchmarks.compare.results import Results
from benchmarks.compare.runner import Problem, measure
from benchmarks.compare.task import Contender, Task

SOCKET = Contender("Unix socket", "by_unix_socket")
BY_HAND = Contender("shared_memory, semaphores", "by_shared_memory")
PAIRS = [OURS["adaptive"], SOCKET, BY_HAND]
LOSSY = Task("latency", "64 B", 200.0, 5.0, frames=12)
PACED = replace(LOSSY, lossless=True)  # a receiver of the newest frame may skip some on a busy machine
FAST = Task("throughput", "640x480", 0.0, 5.0, frames=40, lossless=True)


def left_over() -> set[Path]:
    return {path for path in Path("/dev/shm").iterdir() if "fbench" in path.name}


@pytest.fixture(scope="module", autouse=True)
def no_helper_of_multiprocessing_stays() -> Iterator[None]:
    """Other tests count the children of this process."""
    yield
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def nothing_stays() -> object:
    before = left_over()
    yield
    assert left_over() <= before


@pytest.mark.parametrize("contender", PAIRS, ids=lambda contender: contender.module)
def test_every_frame_of_a_paced_sender_has_an_age_and_a_cost(contender: Contender) -> None:
    taken = measure(contender, PACED)
    assert (taken.sent, taken.frames, taken.lost) == (24, 24, 0)
    assert (len(taken.ages_us), len(taken.all_ages_us)) == (12, 12)
    assert 0 < (taken.p50_us or 0) <= (taken.p99_us or 0) == max(taken.ages_us)
    assert 0 < (taken.all_p50_us or 0) <= (taken.all_p99_us or 0) == max(taken.all_ages_us)
    assert taken.cpu_us > 0
    assert (taken.all_cpu_us or 0) > 0
    assert taken.sender_cpu_s > 0
    assert taken.receiver_cpu_s > 0
    assert 0 < taken.rate_hz < 250


def test_a_receiver_of_the_newest_frame_accounts_for_every_frame() -> None:
    taken = measure(OURS["park"], LOSSY)
    assert taken.frames + taken.lost == taken.sent == 24
    assert len(taken.ages_us) + len(taken.all_ages_us) == taken.frames > 0


@pytest.mark.parametrize("contender", PAIRS, ids=lambda contender: contender.module)
def test_as_fast_as_it_goes_every_frame_arrives_in_order(contender: Contender) -> None:
    taken = measure(contender, FAST)
    assert (taken.sent, taken.frames, taken.lost) == (40, 40, 0)
    assert (taken.p50_us, taken.all_p50_us, taken.all_cpu_us) == (None, None, None)


@pytest.mark.parametrize("contender", [OURS["adaptive"], BY_HAND], ids=lambda contender: contender.module)
def test_a_loan_brings_the_number_and_both_ends(contender: Contender) -> None:
    taken = measure(contender, Task("throughput", "64 B", 0.0, 5.0, frames=40, lossless=True, in_place=True))
    assert taken.frames == 40


def test_by_loan_two_elements_are_touched_and_no_more() -> None:
    taken = measure(BY_HAND, replace(PACED, in_place=True))
    assert (taken.sent, taken.frames) == (12, 12)
    assert (taken.all_p50_us, taken.all_ages_us) == (None, [])


def test_several_receivers_are_counted_together() -> None:
    taken = measure(SOCKET, Task("fanout", "64 B", 200.0, 5.0, frames=5, receivers=3))
    assert (taken.sent, taken.frames) == (10, 10)
    assert (len(taken.ages_us), len(taken.all_ages_us)) == (15, 15)


@pytest.mark.parametrize("loop", LOOPS, ids=lambda loop: loop.title)
def test_an_event_loop_receives_every_frame_or_is_not_installed(loop: Contender) -> None:
    task = replace(LOSSY, lossless=True)
    if importlib.util.find_spec(loop.options["loop"]) is None:
        with pytest.raises(Problem, match="is not installed"):
            measure(loop, task)
    else:
        assert measure(loop, task).frames == 24


def test_an_event_loop_that_is_missing_is_named_as_not_installed() -> None:
    with pytest.raises(Problem, match=r"^no_such_loop is not installed$"):
        measure(Contender("framebus", "by_framebus", {"loop": "no_such_loop"}, ours=True), LOSSY)


def unreliable(fault: str) -> Contender:
    return Contender(fault, "peer_unreliable", {"fault": fault})


def test_frames_that_a_receiver_loses_are_counted() -> None:
    taken = measure(unreliable("loses"), LOSSY)
    assert taken.lost >= 2
    assert taken.frames + taken.lost == taken.sent == 24


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("loses", r"lost 1\d of 40 frames"),
        ("swaps", r"\d+ frames out of order"),
        ("tears", r"0 frames out of order, \d+ broken"),
        ("reshapes", r"gives an array of \(2, 460800\)"),
        ("dies", "a receiver: it ended by itself"),
    ],
)
def test_a_peer_that_does_not_deliver_has_no_figure_but_a_reason(fault: str, reason: str) -> None:
    task = Task("throughput", "640x480", 0.0, 5.0, frames=40, lossless=True)
    with pytest.raises(Problem, match=reason):
        measure(unreliable(fault), task)


def test_a_byte_in_the_middle_that_is_wrong_is_noticed_where_every_byte_is_read() -> None:
    with pytest.raises(Problem, match=r"0 frames out of order, 3 broken"):
        measure(unreliable("spoils"), replace(PACED, size="640x480"))


def test_the_report_of_a_run_names_everybody_with_figures_or_a_reason(tmp_path: Path) -> None:
    missing = [Contender("gone", "peer_without_package"), Contender("never was", "benchmarks.peers.by_nobody")]
    some = [Cell(one, PACED) for one in (*PAIRS, *missing)] + [Cell(one, FAST) for one in (SOCKET, unreliable("loses"))]
    results = run.measure(some, Effort(1, 1.0, 1.0, 1.0), limits=None)
    results.write(tmp_path / "latest.json")
    again = Results.read(tmp_path / "latest.json")
    assert again == results
    for one in PAIRS:
        assert (again.value("p50_us", "latency", title=one.title) or 0) > 0
    assert (again.value("rate_hz", "throughput", title=SOCKET.title) or 0) > 0
    assert again.versions["framebus-no-such-distribution"] == "is not installed"

    run.write(again, tmp_path)
    text = (tmp_path / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert text == page.text(again)
    reasons = tables.problems(again).splitlines()
    assert any(line.startswith("- gone:") and "framebus_no_such_module" in line for line in reasons)
    assert any(line.startswith("- never was:") and "by_nobody" in line for line in reasons)
    assert any(line.startswith("- loses: throughput") and "nothing may be lost" in line for line in reasons)
    assert all(line in text for line in reasons)
    for name in charts.NAMES:
        assert (tmp_path / f"docs/images/{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("mode", ["park", "timed"])
def test_the_bare_hand_over_reports_the_age_of_its_frames(tmp_path: Path, mode: str) -> None:
    program = cpp.build(["futex"], tmp_path)["futex"]
    found = cpp.run(program, mode, 10, 200, seconds=60)
    assert 1 <= len(found["ages_ns"]) <= 10
    assert min(found["ages_ns"]) > 0
