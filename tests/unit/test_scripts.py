# SPDX-License-Identifier: Apache-2.0
"""The scripts start, and notice when a run of tests has tested nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_every_script_is_executable_and_has_no_syntax_error() -> None:
    scripts = [path for folder in ("scripts", ".ci") for path in (ROOT / folder).iterdir() if path.name != "lib.sh"]
    assert {"demo", "test", "check", "bench", "system-packages", "run"} <= {path.name for path in scripts}
    assert [path.name for path in scripts if not path.stat().st_mode & 0o100] == []
    for path in [*scripts, ROOT / "scripts/lib.sh"]:
        if "python" in path.read_text(encoding="utf-8").splitlines()[0]:
            compile(path.read_bytes(), path, "exec")
        else:
            assert shell(f"bash -n '{path}'").stderr == ""


@pytest.mark.parametrize(
    ("log", "tests", "good", "says"),
    [
        ("1: checks: 7\n2: checks: 5\n", 2, True, "2 tests, 12 checks"),
        ("", 0, False, "0 tests, 0 checks"),
        ("1: checks: 7\n", 2, False, "2 tests, 7 checks: 1 tests reported any"),
        ("1: checks: 7\n2: checks: 0\n", 2, False, "2 tests, 7 checks: 1 tests reported any"),
        ("1: no checks: 7 at all\n", 1, False, "1 tests, 0 checks"),
    ],
)
def test_a_cpp_test_run_counts_only_if_every_test_checked_something(
    tmp_path: Path, log: str, tests: int, good: bool, says: str
) -> None:
    (tmp_path / "log").write_text(log)
    done = shell(f"source scripts/lib.sh && count_checks '{tmp_path}/log' {tests}")
    assert (done.returncode == 0) == good
    assert done.stdout.startswith(says)


SKIPS = {
    "mark": "@pytest.mark.skip(reason='too cold by mark')\ndef test_it(): assert True",
    "call": "def test_it(): pytest.skip('too cold by call')",
    "module": "pytest.skip('too cold by module', allow_module_level=True)",
}


def test_no_skips_turns_each_skipped_test_into_a_failed_one_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text(encoding="utf-8"))
    for kind, body in SKIPS.items():
        (tmp_path / f"test_{kind}.py").write_text(f"import pytest\n{body}\ndef test_that(): assert True\n")
    shutil.copytree(ROOT / "tests/support", tmp_path / "tests/support")
    run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-ra", "--continue-on-collection-errors"]
    plain, strict = (
        subprocess.run([*run, *more, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=100)
        for more in ([], ["--no-skips"])
    )
    assert plain.returncode == 0, plain.stdout
    assert "2 passed, 3 skipped" in plain.stdout
    assert strict.returncode > 0
    assert "1 failed, 2 passed, 2 errors" in strict.stdout
    for kind in SKIPS:
        assert re.search(f"not allowed to skip under --no-skips: .*too cold by {kind}", strict.stdout), strict.stdout
