# SPDX-License-Identifier: Apache-2.0
"""docs/endpoints.md is what framebus.endpoints() says, and what framebus.endpoint.wire writes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

import framebus
from framebus.endpoint import wire

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/endpoints.md").read_text(encoding="utf-8")


def test_the_page_agrees_with_the_endpoints_there_are() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/endpoints", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_page_that_does_not_agree_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "docs").mkdir()
    script = tmp_path / "scripts" / "endpoints"
    script.write_text((ROOT / "scripts/endpoints").read_text())
    (tmp_path / "docs" / "endpoints.md").write_text(PAGE.replace("| `hold` |", "| `holds` |"))
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "run .venv/bin/python scripts/endpoints" in done.stderr
    assert subprocess.run([sys.executable, script]).returncode == 0
    assert (tmp_path / "docs" / "endpoints.md").read_text() == PAGE


def test_the_page_has_every_scheme_and_every_option() -> None:
    for info in framebus.endpoints():
        section = PAGE.partition(f"## Options of {info.scheme}:\n")[2].partition("\n## ")[0]
        assert section, f"{info.scheme}: has no section"
        for name in {**(info.source or {}), **(info.sink or {})}:
            assert f"| `{name}` |" in section


def test_the_message_in_the_page_is_one() -> None:
    text = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert text is not None
    body = 1080 * 1920 * 3
    assert body % wire.LINE == 0
    found = wire.describe(text[1].encode(), wire.Head(wire.FRAME, len(text[1]), body))
    assert found.arrays[0].dtype == np.uint8
    assert found.meta == json.loads(text[1])["meta"]


def test_the_offsets_in_the_page_are_those_of_the_head() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) \| ", PAGE, re.MULTILINE)
    sizes = [int(size) for _, size in rows]
    assert [int(offset) for offset, _ in rows] == [sum(sizes[:i]) for i in range(len(sizes))]
    assert sum(sizes) == wire.HEAD.size
