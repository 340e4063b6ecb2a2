# SPDX-License-Identifier: Apache-2.0
"""Programs in documents: each is run by itself and must print what the document says.

Every ```python block is run in a fresh interpreter; it must print what the ```text block after it says (nothing, if
the next block is another one). There, `...` stands for anything in a line.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


def programs_of(document: Path) -> list[tuple[int, str, str]]:
    """Returns line, text and expected output of every Python program in a document."""
    text = document.read_text(encoding="utf-8")
    blocks = [
        (text.count("\n", 0, match.start()) + 1, match[1].strip(), match[2])
        for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    after = [*blocks[1:], (0, "", "")]
    return [
        (line, program, output if kind == "text" else "")
        for (line, language, program), (_, kind, output) in zip(blocks, after, strict=False)
        if language == "python"
    ]


def check_programs_of(document: Path, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Runs every program of a document by itself and compares what it prints."""
    programs = programs_of(document)
    assert programs, f"{document.name} shows no program"
    for line, program, expected in programs:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        where = f"the program at {document.name}:{line}"
        assert done.returncode == 0, f"{where} failed:\n{done.stderr}"
        pattern = r"[^\n]*".join(map(re.escape, expected.strip().split("...")))
        assert re.fullmatch(pattern, done.stdout.strip()), f"{where} printed:\n{done.stdout}\nexpected:\n{expected}"
