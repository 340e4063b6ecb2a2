# SPDX-License-Identifier: Apache-2.0
"""Every ```cpp block of docs/cpp.md is a program that compiles without a warning and prints what the page says.

Its output is the ```text block after it, where `...` stands for anything in a line. The channel of each program gets a
name of its own here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import framebus
from framebus.frames import pixel_format

PAGE = Path(__file__).resolve().parents[2] / "docs/cpp.md"
COMPILER = shutil.which(os.environ.get("CXX", "c++"))
WATCHDOG_S = 110

TEXT = PAGE.read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```cpp\n(.*?)^```\n\n```text\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_every_block_is_a_program_with_its_output() -> None:
    assert len(PROGRAMS) == len(re.findall(r"^```cpp", TEXT, re.MULTILINE)) > 3


def test_the_pixel_formats_on_the_page_are_names_that_python_takes() -> None:
    """C++ does not check them."""
    names = re.findall(r"""pixel_format(?: = |\()"(\w+)\"""", TEXT)
    assert len(names) > 1
    for name in names:
        pixel_format.check(name)


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler; run: scripts/system-packages")
@pytest.mark.parametrize("position", range(len(PROGRAMS)))
def test_the_program_compiles_and_prints_what_the_page_says(tmp_path: Path, channel_name: str, position: int) -> None:
    program, output = (text.replace("camera0", channel_name) for text in PROGRAMS[position])
    source = tmp_path / "program.cpp"
    source.write_text(program, encoding="utf-8")
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    command = [str(COMPILER), "-std=c++20", "-pthread", *warnings, f"-I{framebus.get_include()}", str(source)]
    subprocess.run([*command, "-o", str(tmp_path / "program")], check=True, timeout=WATCHDOG_S)
    done = subprocess.run([tmp_path / "program"], capture_output=True, text=True, timeout=WATCHDOG_S, check=False)
    assert done.returncode == 0, done.stderr
    pattern = r"[^\n]*".join(map(re.escape, output.split("...")))
    assert re.fullmatch(pattern, done.stdout), done.stdout
