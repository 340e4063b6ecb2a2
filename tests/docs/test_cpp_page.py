# SPDX-License-Identifier: Apache-2.0
"""Every ```cpp block of docs/cpp.md is a program that compiles without a warning and prints what the page says.

Its output is the ```text block after it, where `...` stands for anything in a line. The channel of each program gets a
name of its own here. The programs are compiled as one, each in a namespace of its own, since most of the work is the
headers of framebus; that each program includes what it uses is checked by the names.
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


# Where a name comes from; the last ones come with framebus itself.
HEADERS = {
    **dict.fromkeys(("printf", "puts"), "cstdio"),
    **dict.fromkeys(("uint8_t", "uint16_t"), "cstdint"),
    **dict.fromkeys(("poll", "pollfd"), "poll.h"),
    **dict.fromkeys(("thread", "vector"), ""),
    **dict.fromkeys(("chrono_literals", "move", "errc", "error_code"), "framebus/framebus.hpp"),
}


@pytest.mark.parametrize("position", range(len(PROGRAMS)))
def test_a_program_includes_what_it_uses(position: int) -> None:
    program, _ = PROGRAMS[position]
    included = set(re.findall(r"^#include <(.*)>$", program, re.MULTILINE))
    names = set(re.findall(r"\bstd::(\w+)|\b(?=poll)(poll(?:fd)?)\b(?!\.)", program))
    used = {HEADERS[name] or name for pair in names for name in pair if name}
    assert used | {"framebus/framebus.hpp"} <= included


def test_the_pixel_formats_on_the_page_are_names_that_python_takes() -> None:
    """C++ does not check them."""
    names = re.findall(r"""pixel_format(?: = |\()"(\w+)\"""", TEXT)
    assert len(names) > 1
    for name in names:
        pixel_format.check(name)


def together(channel_name: str) -> str:
    """A source of all programs of the page; its first argument is the position of the one to run."""
    text = ""
    for position, (program, _) in enumerate(PROGRAMS):
        begin = re.match(r"(?:(?:#include <.*>)?\n)*", program)
        assert begin
        body = program[begin.end() :].replace("int main()", "int run()")
        body = body.replace("camera0", f"{channel_name}-{position}").rstrip()
        body = f"{body.removesuffix('}')}return 0; }}"  # main alone may end without
        line = begin.group().count("\n") + 1
        text += f'#line 1 "program {position}"\n{begin.group()}namespace program_{position} {{\n'
        text += f'#line {line} "program {position}"\n{body}\n}}\n'
    calls = "".join(f"case {position}: return program_{position}::run();\n" for position in range(len(PROGRAMS)))
    return f"{text}int main(int, char** argv) {{\nswitch (argv[1][0] - '0') {{\n{calls}default: return 99;\n}}\n}}\n"


@pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler; run: scripts/system-packages")
def test_the_programs_compile_and_print_what_the_page_says(tmp_path: Path, channel_name: str) -> None:
    source = tmp_path / "programs.cpp"
    source.write_text(together(channel_name), encoding="utf-8")
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]
    command = [str(COMPILER), "-std=c++20", "-pthread", *warnings, f"-I{framebus.get_include()}", str(source)]
    subprocess.run([*command, "-o", str(tmp_path / "programs")], check=True, timeout=WATCHDOG_S)
    for position, (_, output) in enumerate(PROGRAMS):
        done = subprocess.run(
            [tmp_path / "programs", str(position)], capture_output=True, text=True, timeout=WATCHDOG_S, check=False
        )
        assert done.returncode == 0, done.stderr
        pieces = output.replace("camera0", f"{channel_name}-{position}").split("...")
        assert re.fullmatch(r"[^\n]*".join(map(re.escape, pieces)), done.stdout), done.stdout
