# SPDX-License-Identifier: Apache-2.0
"""`import framebus` brings numpy and the standard library along, and nothing else."""

from __future__ import annotations

import ast
import builtins
import json
import re
import subprocess
import sys
from pathlib import Path

SHOW_MODULES = """
import json, sys
import numpy
before = set(sys.modules)
import framebus
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def in_fresh_interpreter(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_import_loads_only_numpy_and_the_standard_library() -> None:
    loaded = {name.partition(".")[0] for name in json.loads(in_fresh_interpreter(SHOW_MODULES))}
    assert "framebus" in loaded
    assert loaded - {"framebus", "numpy"} <= set(sys.stdlib_module_names)


def test_import_opens_nothing_and_starts_nothing() -> None:
    code = "import framebus, threading, os; print(threading.active_count(), len(os.listdir('/proc/self/task')))"
    alone = "import numpy, threading, os; print(threading.active_count(), len(os.listdir('/proc/self/task')))"
    assert in_fresh_interpreter(code) == in_fresh_interpreter(alone)


def test_an_interpreter_that_must_do_without_the_gil_is_refused() -> None:
    code = """
import sys
sys._is_gil_enabled = lambda: {}
try:
    import framebus
except ImportError as error:
    print(error)
"""
    assert in_fresh_interpreter(code.format(True)) == ""
    assert in_fresh_interpreter(code.format(False)).startswith(
        "framebus needs the GIL, which this interpreter was told"
    )


def test_public_names_are_those_of_the_design_and_say_where_they_are_from() -> None:
    import framebus

    names = {
        "Publisher", "Subscriber", "Frame", "Loan", "Statistics", "ChannelInfo", "Participant", "ArrayInfo", "channels",
        "VideoCapture", "Error", "ChannelNotFound", "ChannelInUse", "ChannelClosed", "PublisherDied", "Timeout",
        "ChannelFull", "TooManyHeld", "FrameTooLarge", "LayoutMismatch", "CorruptChannel", "EndpointError",
        "InvalidName", "LoanEnded", "get_include", "cmake_dir", "pkgconfig_dir", "Launch", "Launched", "Launcher",
        "ProgramNotFound",
    }  # fmt: skip
    assert names <= set(dir(framebus))
    for name in names:
        assert getattr(framebus, name).__module__.startswith("framebus"), name
        assert "_core" not in getattr(framebus, name).__module__, name
        assert getattr(framebus, name).__doc__, name


def test_errors_have_one_base_and_the_bases_python_programs_expect() -> None:
    import framebus

    bases = {
        "ChannelNotFound": LookupError, "Timeout": TimeoutError, "ChannelFull": framebus.Error,
        "ChannelFullTimeout": framebus.Timeout,
        "InvalidName": ValueError, "LoanEnded": ValueError, "ChannelInUse": framebus.Error,
        "ChannelClosed": framebus.Error, "PublisherDied": framebus.Error, "TooManyHeld": framebus.Error,
        "FrameTooLarge": framebus.Error, "LayoutMismatch": framebus.Error, "CorruptChannel": framebus.Error,
        "EndpointError": framebus.Error, "ProgramNotFound": FileNotFoundError,
    }  # fmt: skip
    for name, base in bases.items():
        assert issubclass(getattr(framebus, name), (base,)), name
        assert issubclass(getattr(framebus, name), framebus.Error), name


def test_a_full_channel_is_a_timeout_only_where_a_timeout_ran_out() -> None:
    import framebus

    assert not issubclass(framebus.ChannelFull, TimeoutError)
    assert issubclass(framebus.ChannelFullTimeout, framebus.ChannelFull)
    assert issubclass(framebus.ChannelFullTimeout, framebus.Timeout)


def test_every_error_is_in_the_table_of_errors_with_the_classes_that_it_is_also_of() -> None:
    import framebus

    guide = Path(__file__).parents[2].joinpath("docs", "guide.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(\w+)` \| ([^|]*)\| [^|]+\|$", guide.partition("| error | also a |")[2], re.MULTILINE)
    rows = {name: re.findall(r"`(\w+)`", also) for name, also in table}
    errors = framebus.errors.__all__
    assert sorted(rows) == sorted(set(errors) - {"Error"})
    assert set(errors) <= set(framebus.__all__)
    for name, also in rows.items():
        error = getattr(framebus, name)
        expected = [getattr(framebus, base, None) or getattr(builtins, base) for base in also]
        assert issubclass(error, framebus.Error)
        assert issubclass(error, tuple(expected)) or not expected, name
        others = {base.__name__ for base in error.__bases__ if not base.__name__.startswith("_")} - {"Error"}
        assert others <= set(also), f"{name} is also a {others}"


def test_no_error_is_the_bare_base_class() -> None:
    root = Path(__file__).parents[2]
    bare = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted((root / "src/framebus").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Error"
    ]
    assert bare == []
