# SPDX-License-Identifier: Apache-2.0
"""Ten seconds of scripts/torture with a fixed seed, and that the torture notices what it is there to notice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.support.paths import ROOT
from tests.torture import journal, payload
from tests.torture.audit import audit
from tests.torture.program import Fault

CLOSING = re.compile(
    r"torture: SEED 7, (\d+) frames checked, (\d+) kills \(.+\), (\d+) publishers, (\d+) subscribers, 0 faults"
)


def test_ten_seconds_of_torture_find_no_fault() -> None:
    command = [sys.executable, "-m", "tests.torture", "--minutes", f"{10 / 60}", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("torture: seed 7, ")
    closing = CLOSING.fullmatch(lines[-1])
    assert closing, lines[-1]
    assert all(int(count) > 0 for count in closing.groups())


class Ended:
    """What the audit sees of a program that has ended: its journal and its report."""

    def __init__(self, folder: Path, role: str, number: int, **options: object) -> None:
        self.role = role
        self.channel = "camera0"
        self.options = {"every": True, "history": 0, "on_full": "block", "reconnect": True, **options}
        self.killed_while: str | None = None
        self.paths = journal.Paths(folder, number)
        self._journal = journal.Journal(self.paths)
        self.write(journal.BEGIN)
        self.write(journal.OPENED, 1)

    def __str__(self) -> str:
        return self.role

    def write(self, kind: int, a: int = 0, ticket: int = 0) -> None:
        self._journal.write(kind, a, ticket)

    def send(self, *numbers: int) -> None:
        for number in numbers:
            self.write(journal.INTENT, 0, 100 + number)
            self.write(journal.SENT, number, 100 + number)

    def get(self, *numbers: int) -> None:
        for number in numbers:
            self.write(journal.GOT, number, 100 + number)

    def end(self, **statistics: int) -> None:
        now = {"before_ns": time.monotonic_ns(), "after_ns": time.monotonic_ns()}
        self._journal.report(reason="closed", statistics=statistics, **now)

    def report(self) -> dict[str, object]:
        return dict(json.loads(self.paths.report.read_text()))


@pytest.mark.parametrize(
    ("got", "counts", "says"),
    [
        ((1, 2, 3, 4), (4, 0, 0, 0), None),
        ((1, 2), (2, 0, 0, 2), None),
        ((1, 2, 4), (3, 0, 0, 0), "it saw gaps of 1"),
        ((1, 2, 4), (3, 0, 1, 0), "no publisher of this channel was allowed to drop"),
        ((1, 2, 4), (3, 1, 0, 0), "1 missed"),
        ((1, 2, 3, 4), (5, 0, 0, 0), "it got 4"),
        ((1, 2, 2, 4), (4, 0, 0, 0), "out of order, or one twice"),
        ((1, 3, 2, 4), (4, 0, 0, 0), "out of order, or one twice"),
        ((3, 4), (2, 0, 0, 0), "it began after 2, but the channel stood at 0 to 0"),
        ((1, 2), (2, 0, 0, 0), "the newest was 2, but that was 4 to 4"),
        ((1, 2, 3, 4, 5), (5, 0, 0, 0), "frame 5, ticket 105, which was never sent"),
    ],
)
def test_counts_that_do_not_add_up_are_a_fault(
    tmp_path: Path, got: tuple[int, ...], counts: tuple[int, int, int, int], says: str | None
) -> None:
    publisher, subscriber = Ended(tmp_path, "publisher", 1), Ended(tmp_path, "subscriber", 2)
    publisher.send(1, 2, 3, 4)
    publisher.end(frames=4, dropped=0)
    subscriber.get(*got)
    subscriber.end(**dict(zip(("frames", "missed", "dropped", "pending"), counts, strict=True)))
    if says is None:
        assert audit([publisher, subscriber]).frames == len(got)  # type: ignore[list-item]
    else:
        with pytest.raises(Fault, match=re.escape(says)):
            audit([publisher, subscriber])  # type: ignore[list-item]


def test_a_frame_that_a_killed_publisher_had_begun_may_be_seen_but_only_one_frame_has_its_number(
    tmp_path: Path,
) -> None:
    publisher = Ended(tmp_path, "publisher", 1)
    publisher.killed_while = "sending"
    publisher.send(1)
    publisher.write(journal.INTENT, 0, 102)
    publisher.write(journal.INTENT, 0, 103)
    readers = [Ended(tmp_path, "subscriber", number) for number in (2, 3)]
    for reader in readers:
        reader.killed_while = "receiving"
        reader.write(journal.GOT, 2, 102)
    assert audit([publisher, *readers]).frames == 2  # type: ignore[list-item]
    late = Ended(tmp_path, "subscriber", 4)
    late.killed_while = "receiving"
    late.write(journal.GOT, 2, 103)
    with pytest.raises(Fault, match="two frames have the number 2"):
        audit([publisher, *readers, late])  # type: ignore[list-item]


def test_a_single_wrong_byte_is_found_where_it_is(tmp_path: Path) -> None:
    payload.write_file(tmp_path / "bytes")
    frames = payload.Payload(tmp_path / "bytes")
    sent = frames.array(77, 1, (101, 103), "<u2").copy()
    assert frames.first_wrong(77, 1, payload.flat(sent)) is None
    for position in (0, 4_711, sent.nbytes - 1):
        spoilt = payload.flat(sent.copy())
        spoilt[position] ^= 1
        assert frames.first_wrong(77, 1, spoilt) == position
    assert frames.first_wrong(78, 1, payload.flat(sent)) is not None
    assert np.array_equal(frames.array(77, 1, (101, 103), "<u2"), sent)
