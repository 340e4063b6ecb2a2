# SPDX-License-Identifier: Apache-2.0
"""Compiles C++ programs of tests and benchmarks; needs no pytest."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.paths import ROOT

COMPILER = shutil.which(os.environ.get("CXX", "c++"))


def compile_cpp(source: Path, output: Path, *flags: str, libraries: tuple[str, ...] = ("-ldl", "-lrt")) -> Path:
    """Compile one source against the headers of this checkout, optimised unless a flag says other; gives the output."""
    command = [str(COMPILER), "-std=c++20", "-O2", "-pthread", f"-I{ROOT}/include", *flags]
    subprocess.run([*command, "-o", str(output), str(source), *libraries], check=True, timeout=300)
    return output
