# SPDX-License-Identifier: Apache-2.0
"""Compiles and runs the C++ programs of this folder; each prints one line of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def build(names: list[str], folder: Path) -> dict[str, Path]:
    """Compiles programs with the helper of the tests. Raises OSError or CalledProcessError."""
    from tests.support.compiler import compile_cpp

    return {name: compile_cpp(FOLDER / f"{name}.cpp", folder / name) for name in names}


def run(program: Path, *arguments: object, seconds: float) -> dict[str, Any]:
    """What it prints; ended after `seconds`. Raises RuntimeError with what it said to standard error."""
    with subprocess.Popen(
        [str(program), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as running:
        try:
            printed, said = running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)  # and what it has forked
            raise RuntimeError(f"did not end within {seconds:.0f} s") from None
    if running.returncode:
        raise RuntimeError(said.decode(errors="replace").strip() or f"ended with status {running.returncode}")
    found: dict[str, Any] = json.loads(printed)
    return found
