# SPDX-License-Identifier: Apache-2.0
"""docs/protocol.md is what layout.hpp says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_protocol_page_agrees_with_the_layout_header() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/protocol", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_protocol_page_has_a_table_for_every_struct() -> None:
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    for struct in ("Identity", "ReaderRecord", "ControlBlock", "StoreHeader", "ArrayRecord", "SlotRecord"):
        assert f"## {struct}\n" in page
