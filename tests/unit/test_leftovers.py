# SPDX-License-Identifier: Apache-2.0
"""A run of the tests that leaves something in /dev/shm fails and names it, and other runs do not disturb it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository
SHARED_MEMORY = Path("/dev/shm")

# Names of files, as the run writes them: those that it answers for, and those that others do.
OF_THE_RUN = {
    "itself": "f'framebus.test-{os.getpid()}-{NAME}'",
    "a-base-image": "f'test-{os.getpid()}-{NAME}'",
    "under-a-name-of-no-run": "f'framebus.{NAME}'",
}
OF_OTHERS = {"another-run": "f'framebus.test-1-{NAME}'", "another-program": "NAME"}
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


def run_that_leaves(names: dict[str, str], word: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A run in which each test leaves one file, with the word and the key in its name."""
    tests = (
        f"def test_{number}():\n    NAME = '{word}-{which}'\n    open('/dev/shm/' + {name}, 'w').close()\n"
        for number, (which, name) in enumerate(names.items())
    )
    done = run_of("import os\n" + "".join(tests), folder)
    assert f"{len(names)} passed" in done.stdout, done.stdout + done.stderr
    return done


def test_a_run_fails_by_each_file_that_it_has_left(name: str, tmp_path: Path) -> None:
    done = run_that_leaves(OF_THE_RUN, name, tmp_path)
    assert done.returncode != 0, done.stdout
    (said,) = re.findall(
        "^E +AssertionError: this run of the tests has left files behind: (.*)", done.stdout, re.MULTILINE
    )
    for which in OF_THE_RUN:
        assert re.search(rf"/dev/shm/[\w.-]*{name}-{which}\b", said), said
    assert len(said.split("; ")) == len(OF_THE_RUN)


def test_a_run_does_not_fail_by_what_others_have_left(name: str, tmp_path: Path) -> None:
    done = run_that_leaves(OF_OTHERS, name, tmp_path)
    assert done.returncode == 0, done.stdout
    assert len(list(SHARED_MEMORY.glob(f"*{name}*"))) == len(OF_OTHERS)
    assert "has left files behind" not in done.stdout
    assert name not in done.stdout


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
