# SPDX-License-Identifier: Apache-2.0
"""The protocol, checked in every reachable state of a small channel; and proof that the check can fail.

Spin makes a program of the model and its bounds that visits all states. A search that was cut short, ran out of
memory or saw no state is a failure. What the model stands for is in README.md beside this file.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

MODELS = Path(__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc")
SAFETY = ("-DSAFETY", "-DNOCOMP")  # states are kept as they are, which takes more memory and less time
DEPTH = 100_000  # steps of the longest way; far above what any bound here needs

pytestmark = [
    pytest.mark.skipif(not shutil.which("spin"), reason="spin is missing: apt-get install spin"),
    pytest.mark.skipif(not COMPILER, reason="a C compiler is missing: apt-get install gcc libc6-dev"),
    pytest.mark.timeout(900),
    pytest.mark.long,
]

ONE_READER = ("READERS=1", "SLOTS=3")
LATEST_AND_EVERY = ("EVERY=2",)
CRASHES = ("PUBLISHER_DEATHS=1", "READER_DEATHS=1")
# A frame in each slot when the two readers begin to look. Until then the publisher looks at no reader, so that the runs
# with one reader have all that can happen.
FULL = (*LATEST_AND_EVERY, "BEGIN=4", "FRAMES=5")
READERS_DIE = (*FULL, "READER_DEATHS=1")

# Bounds of a run, and at least how many states it must have: fewer means that something is not reached any more.
RUNS = {
    "two readers of the newest frame": (("FRAMES=5",), 500_000),
    "newest and every frame, drop": ((*LATEST_AND_EVERY, "FRAMES=5"), 1_000_000),
    "newest and every frame, block, history kept": ((*LATEST_AND_EVERY, "FRAMES=5", "BLOCK=1", "RETAIN=4"), 200_000),
    "newest and every frame, growth": ((*FULL, "GROWTHS=1"), 400_000),
    "newest and every frame, readers die": (READERS_DIE, 1_000_000),
    "newest and every frame, the publisher dies": ((*FULL, "PUBLISHER_DEATHS=1"), 1_500_000),
    "late reader of the newest frame, growth, crashes": (
        (*ONE_READER, *CRASHES, "FRAMES=4", "GROWTHS=1", "LATE=1"),
        500_000,
    ),
    "late reader of every frame, drop, growth, crashes": (
        (*ONE_READER, *CRASHES, "FRAMES=4", "GROWTHS=1", "LATE=1", "EVERY=1"),
        1_000_000,
    ),
    "late reader of every frame, block, growth, crashes": (
        (*ONE_READER, *CRASHES, "FRAMES=4", "GROWTHS=1", "LATE=1", "EVERY=1", "BLOCK=1"),
        500_000,
    ),
}

# A step taken out of the order or left out, and a run in which that shows.
BROKEN = [
    ("BREAK_REREAD", (*ONE_READER, "FRAMES=4")),
    ("BREAK_HOLD_BEFORE_WORD", (*ONE_READER, "FRAMES=4")),
    ("BREAK_MARK_BEFORE_HOLDS", (*ONE_READER, "FRAMES=4")),
    ("BREAK_BYTES_BEFORE_HEAD", (*ONE_READER, "FRAMES=4")),
    ("BREAK_WORD_BEFORE_HEAD", (*ONE_READER, "FRAMES=4")),
    ("BREAK_BIT_BEFORE_HOLD", (*ONE_READER, "FRAMES=4", "LATE=1")),
    ("BREAK_GENERATION_RECHECK", (*ONE_READER, "FRAMES=4", "PUBLISHER_DEATHS=1")),
    ("BREAK_GENERATION_RECHECK", (*ONE_READER, "FRAMES=4", "GROWTHS=1", "EVERY=1")),
    ("BREAK_COPY_BEFORE_SWITCH", (*ONE_READER, "FRAMES=4", "GROWTHS=1")),
    ("BREAK_HEAD_COVERS", (*ONE_READER, "FRAMES=4", "PUBLISHER_DEATHS=1", "EVERY=1")),
    ("BREAK_HOLDS_BEFORE_CURSOR", (*ONE_READER, "FRAMES=4", "EVERY=1")),
    ("BREAK_CURSOR_BEFORE_RELEASE", (*ONE_READER, "FRAMES=4", "EVERY=1")),
    ("BREAK_WAIT_FOR_MARK", (*ONE_READER, "FRAMES=5", "EVERY=1")),
    ("BREAK_COUNT_BEFORE_TAKEN", (*LATEST_AND_EVERY, "BEGIN=3", "FRAMES=5")),
    ("BREAK_REAP_LOCK", (*ONE_READER, "FRAMES=4", "EVERY=1")),
    ("BREAK_REAP_LOCK", READERS_DIE),
    ("TRIES=0", (*LATEST_AND_EVERY, "BEGIN=3", "FRAMES=5")),
]


@dataclass(frozen=True)
class Search:
    """What a search said."""

    states: int
    errors: int
    fault: str  # what was found, "" for nothing
    text: str

    @property
    def is_complete(self) -> bool:
        return (
            self.states > 0
            and "Search not completed" not in self.text
            and "max search depth too small" not in self.text
            and "out of memory" not in self.text.lower()
        )


def search(
    folder: Path,
    model: str,
    settings: tuple[str, ...],
    *,
    compile_with: tuple[str, ...] = ("-O1", *SAFETY),
    run_with: tuple[str, ...] = (f"-m{DEPTH}",),
    memory_mb: int = 2000,
) -> Search:
    """Visits all states of `model`, or those up to the first fault.

    No partial order reduction, whose rules do not cover `unless`; no hashing that could take two states for one.
    """

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}"
        return done.stdout

    assert COMPILER
    run("spin", *(f"-D{setting}" for setting in settings), "-a", str(MODELS / model))
    run(COMPILER, "-w", *compile_with, "-DNOREDUCE", f"-DMEMLIM={memory_mb}", "-o", "pan", "pan.c")
    text = run(str(folder / "pan"), *run_with)
    states = re.search(r"^\s*(\d+) states, stored", text, re.MULTILINE)
    errors = re.search(r"errors: (\d+)$", text, re.MULTILINE)
    fault = re.search(r"^pan:\d+: (.*)$", text, re.MULTILINE)
    assert states, f"the search gave no result:\n{text}"
    assert errors, f"the search gave no result:\n{text}"
    return Search(int(states[1]), int(errors[1]), fault[1] if fault else "", text)


Report = Callable[[str, Search], None]


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Has the number of states shown at the end of the run."""
    return lambda what, found: record_property("says", f"model: {what}: {found.states:,} states")


@pytest.mark.parametrize("name", RUNS)
def test_no_reachable_state_breaks_a_promise(name: str, tmp_path: Path, report: Report) -> None:
    settings, least = RUNS[name]
    found = search(tmp_path, "channel.pml", settings)
    report(name, found)
    assert found.errors == 0, found.fault
    assert found.is_complete, found.text
    assert found.states >= least


@pytest.mark.parametrize(("step", "settings"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_without_one_step_of_the_order_a_promise_is_broken(
    step: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    found = search(tmp_path, "channel.pml", (step, *settings), compile_with=("-O0", *SAFETY))
    assert found.errors == 1
    assert found.fault.startswith("assertion violated"), found.text


def test_every_step_that_can_be_taken_out_is_taken_out() -> None:
    in_models = {name for path in MODELS.glob("*.pml") for name in re.findall(r"BREAK_\w+", path.read_text("utf-8"))}
    assert in_models == {name for name, _ in BROKEN if name.startswith("BREAK_")} | {WAITS_FOR_THE_DEAD}


# Whoever looks again and again: with fair scheduling every run comes to an end. All of it needs a model with deaths,
# since a reader waits for the decision on a marked slot as long as there is somebody who may take it; and a frame more
# than there are slots, since only then is a slot marked whose frame a reader still wants.

ENDLESS = (*ONE_READER, "FRAMES=4", "EVERY=1", *CRASHES)
WAITS_FOR_THE_DEAD = "BREAK_LIMIT_FOR_MARK"


def search_for_endless_runs(folder: Path, settings: tuple[str, ...]) -> Search:
    return search(folder, "channel.pml", settings, compile_with=("-O1", "-DNP"), run_with=("-l", "-f", f"-m{DEPTH}"))


def test_nobody_looks_again_and_again_for_ever(tmp_path: Path, report: Report) -> None:
    found = search_for_endless_runs(tmp_path, ENDLESS)
    report("endless runs", found)
    assert found.errors == 0, found.fault
    assert found.is_complete, found.text


def test_a_reader_that_waits_for_the_mark_of_a_dead_publisher_looks_for_ever(tmp_path: Path) -> None:
    found = search_for_endless_runs(tmp_path, (WAITS_FOR_THE_DEAD, *ENDLESS))
    assert found.errors == 1
    assert found.fault.startswith("non-progress cycle"), found.text


# Store buffers


def test_the_order_holds_on_processors_with_store_buffers(tmp_path: Path, report: Report) -> None:
    found = search(tmp_path, "store_buffers.pml", ("FRAMES=7",))
    report("store buffers", found)
    assert found.errors == 0, found.fault
    assert found.is_complete, found.text
    assert found.states > 50_000


@pytest.mark.parametrize("fence", ["NO_READER_FENCE", "NO_PUBLISHER_FENCE"])
def test_without_a_fence_between_store_and_load_a_frame_is_torn(fence: str, tmp_path: Path) -> None:
    found = search(tmp_path, "store_buffers.pml", (fence, "FRAMES=5"), compile_with=("-O0", *SAFETY))
    assert found.fault.startswith("assertion violated (memory["), found.text


# The check of the check


def test_a_search_that_was_cut_short_is_not_complete(tmp_path: Path) -> None:
    found = search(tmp_path, "store_buffers.pml", (), compile_with=("-O0", *SAFETY), run_with=("-m50",))
    assert found.states > 0
    assert not found.is_complete


def test_a_search_that_ran_out_of_memory_is_not_complete(tmp_path: Path) -> None:
    found = search(
        tmp_path, "channel.pml", (), compile_with=("-O0", *SAFETY), run_with=("-m10000", "-w16"), memory_mb=24
    )
    assert found.states > 0
    assert not found.is_complete
