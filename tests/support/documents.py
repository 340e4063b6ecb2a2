# SPDX-License-Identifier: Apache-2.0
"""The documents, and the programs in them: each program is run and must print what the document says.

Every ```python block is run in a fresh interpreter; it must print what the ```text block after it says (nothing, if
the next block is another one). A block whose first line is a file name, `# send.py`, is saved under that name instead,
and ```console blocks run it: `$ python send.py`, then its output. ```console blocks that follow each other are
terminals that are open at the same time; their commands are started in the order of the page.

In an output, `...` stands for anything in a line. The channel camera0 gets a name that no other test uses.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tests.support.paths import ROOT

WATCHDOG_S = 100


def documents() -> list[Path]:
    """Returns the documents for users and for those who change framebus."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """One block between ``` and ```: the line it begins in, what follows the first ```, and its text."""

    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file name in the first line of a program, None where there is none."""
        found = re.match(r"# ([\w-]+\.py)\n", self.text) if self.language == "python" else None
        return found and found[1]


def blocks_of(document: Path) -> list[Block]:
    """Returns all blocks of a document."""
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [Block(text.count("\n", 0, match.start()) + 1, match[1].strip(), match[2]) for match in found]


def programs_of(document: Path) -> list[tuple[int, str, str]]:
    """Returns line, text and expected output of every Python program that is not to be saved as a file."""
    blocks = blocks_of(document)
    after = [*blocks[1:], Block(0, "", "")]
    return [
        (block.line, block.text, follows.text if follows.language == "text" else "")
        for block, follows in zip(blocks, after, strict=False)
        if block.language == "python" and block.file is None
    ]


def terminals_of(document: Path) -> Iterator[list[Block]]:
    """Yields the ```console blocks of a document, those that follow each other together."""
    for language, group in groupby(blocks_of(document), key=lambda block: block.language):
        if language == "console":
            yield list(group)


def matches(expected: str, printed: str) -> bool:
    """Compares an output with what a document says."""
    pattern = r"[^\n]*".join(map(re.escape, expected.strip().split("...")))
    return re.fullmatch(pattern, printed.strip()) is not None


def check_programs_of(
    document: Path, folder: Path, environment: Mapping[str, str] | None = None, channel: str = "camera0"
) -> None:
    """Runs every program of a document and compares what it prints."""
    blocks = blocks_of(document)
    assert [block for block in blocks if block.language == "python"], f"{document.name} shows no program"
    for block in blocks:
        if block.file is not None:
            (folder / block.file).write_text(block.text.replace("camera0", channel), encoding="utf-8")
    variables = {**os.environ, **(environment or {})}
    for line, program, expected in programs_of(document):
        command = [sys.executable, "-c", program.replace("camera0", channel)]
        done = subprocess.run(
            command, cwd=folder, env=variables, capture_output=True, text=True, timeout=WATCHDOG_S, check=False
        )
        where = f"the program at {document.name}:{line}"
        assert done.returncode == 0, f"{where} failed:\n{done.stderr}"
        wanted = expected.replace("camera0", channel)
        assert matches(wanted, done.stdout), f"{where} printed:\n{done.stdout}\nexpected:\n{wanted}"
    for terminals in terminals_of(document):
        check_terminals(terminals, document, folder, variables)


def check_terminals(terminals: list[Block], document: Path, folder: Path, variables: Mapping[str, str]) -> None:
    """Runs the commands of some terminals at the same time and compares what each prints."""
    running = []
    try:
        for block in terminals:
            prompt, _, expected = block.text.partition("\n")
            dollar, python, *arguments = shlex.split(prompt)
            assert (dollar, python) == ("$", "python"), f"{document.name}:{block.line}: not `$ python FILE`"
            command = [sys.executable, *arguments]
            process = subprocess.Popen(
                command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            running.append((block, expected, process))
        for block, expected, process in running:
            printed, errors = process.communicate(timeout=WATCHDOG_S)
            where = f"the terminal at {document.name}:{block.line}"
            assert process.returncode == 0, f"{where} failed:\n{errors}"
            assert matches(expected, printed), f"{where} printed:\n{printed}\nexpected:\n{expected}"
    finally:
        for *_, process in running:
            process.kill()
            process.communicate()
