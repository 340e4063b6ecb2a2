# SPDX-License-Identifier: Apache-2.0
"""Locks of an open file description on bytes of a file (_util/ofd_lock.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.paths import ROOT
from tests.support.started import PYTHON, Started

from framebus._util import ofd_lock

FAR = 1 << 62  # behind the end of every file

HOLDS = """
import sys
from framebus._util import ofd_lock
with open(sys.argv[1], "r+b") as file:
    print(ofd_lock.lock(file.fileno(), int(sys.argv[2]), 2), flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "file"
    made.write_bytes(b"")
    return made


@pytest.fixture
def two(path: Path) -> Iterator[tuple[int, int]]:
    """Two descriptors of the file, each with a description of its own."""
    with path.open("r+b") as one, path.open("r+b") as other:
        yield one.fileno(), other.fileno()


@pytest.mark.parametrize("start", [0, 7, FAR])
def test_a_byte_is_locked_by_one_description_at_a_time(two: tuple[int, int], start: int) -> None:
    one, other = two
    assert ofd_lock.lock(one, start)
    assert ofd_lock.lock(one, start), "it has it already"
    assert not ofd_lock.lock(other, start)
    assert ofd_lock.lock(other, start + 1)
    ofd_lock.unlock(one, start)
    assert ofd_lock.lock(other, start)


def test_all_bytes_to_the_end_are_locked_only_where_nobody_has_one_of_them(two: tuple[int, int]) -> None:
    one, other = two
    assert ofd_lock.lock(one, FAR)
    assert not ofd_lock.lock(other, 0, ofd_lock.TO_THE_END)
    ofd_lock.unlock(one, FAR)
    assert ofd_lock.lock(other, 0, ofd_lock.TO_THE_END)
    assert not ofd_lock.lock(one, FAR)


def test_the_holder_is_where_the_lock_of_another_description_begins_and_how_long_it_is(two: tuple[int, int]) -> None:
    one, other = two
    assert ofd_lock.lock(one, 3, 4)
    assert ofd_lock.holder(other, 0, 100) == (3, 4)
    assert ofd_lock.holder(other, 6) == (3, 4)
    assert ofd_lock.holder(other, 7) is None
    assert ofd_lock.holder(one, 0, 100) is None, "its own"


def test_a_lock_ends_with_the_program_that_has_it(path: Path) -> None:
    with Started(*PYTHON, "-c", HOLDS, path, FAR) as program, path.open("r+b") as file:
        assert program.line() == "True"
        assert ofd_lock.holder(file.fileno(), FAR) == (FAR, 2)
        program.kill()
        program.wait()
        assert ofd_lock.holder(file.fileno(), FAR) is None
        assert ofd_lock.lock(file.fileno(), FAR)


@pytest.mark.repository
def test_no_other_file_packs_such_locks() -> None:
    package = ROOT / "src/framebus"
    found = [path for path in sorted(package.rglob("*.py")) if "F_OFD_" in path.read_text(encoding="utf-8")]
    assert [str(path.relative_to(package)) for path in found] == ["_util/ofd_lock.py"]
