# SPDX-License-Identifier: Apache-2.0
"""A run of the tests that leaves something in /dev/shm fails and names it, and other runs do not disturb it."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository
SHARED_MEMORY = Path("/dev/shm")

LEAVES = {
    "by the run itself": ("f'framebus.test-{os.getpid()}-{NAME}'", "open(PATH, 'w').close()", True),
    "a base image": ("f'test-{os.getpid()}-{NAME}'", "open(PATH, 'w').close()", True),
    "under a name of no run": ("f'framebus.{NAME}'", "open(PATH, 'w').close()", True),
    "by another run": ("f'framebus.test-1-{NAME}'", "open(PATH, 'w').close()", False),
    "by another program": ("NAME", "open(PATH, 'w').close()", False),
    "nothing": ("NAME", "pass", False),
}
HELPER = """
import mmap, os, sys
if os.fork():
    os._exit(0)
os.setsid()
with open(sys.argv[1], "w+b") as file:
    file.truncate(4096)
    mapping = mmap.mmap(file.fileno(), 4096)
print(os.getpid(), flush=True)
os.read(0, 1)
"""


@pytest.fixture
def name() -> Iterator[str]:
    """A word that is in the name of what is left."""
    word = "x" + uuid.uuid4().hex
    yield word
    for path in SHARED_MEMORY.glob(f"*{word}*"):
        path.unlink()


def run_of(test: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "test_of_a_run.py"
    file.write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(file)]
    return subprocess.run(
        [*command, f"--rootdir={ROOT}", f"--confcutdir={folder}"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("path", "action", "fails"), LEAVES.values(), ids=LEAVES.keys())
def test_a_run_fails_by_what_it_has_left_and_by_nothing_else(
    name: str, tmp_path: Path, path: str, action: str, fails: bool
) -> None:
    done = run_of(
        f"import os\nNAME = {name!r}\ndef test_x():\n    PATH = '/dev/shm/' + {path}\n    {action}\n", tmp_path
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert (done.returncode != 0) == fails, done.stdout
    assert ("this run of the tests has left files behind: /dev/shm/" in done.stdout) == fails
    assert (name in done.stdout) == fails


def test_a_forked_helper_that_outlives_the_run_is_found_with_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(HELPER)
    reading, writing = os.pipe()
    test = f"""
import subprocess, sys
def test_x():
    program = subprocess.Popen([sys.executable, {str(tmp_path / "helper.py")!r}, "/dev/shm/of-1-{name}"],
                               stdin={reading}, stdout=subprocess.PIPE)
    assert int(program.stdout.readline()) > 0
    program.stdout.close()
    assert program.wait() == 0
"""
    os.set_inheritable(reading, True)
    try:
        file = tmp_path / "test_of_a_run.py"
        file.write_text(test)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(file)]
        done = subprocess.run(
            [*command, f"--rootdir={ROOT}", f"--confcutdir={tmp_path}"],
            cwd=ROOT, capture_output=True, text=True, timeout=100, check=False, pass_fds=[reading],
        )  # fmt: skip
    finally:
        os.close(writing)  # the helper ends
        os.close(reading)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode != 0
    assert f"of-1-{name}, which process" in done.stdout
