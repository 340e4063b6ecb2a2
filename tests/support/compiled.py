# SPDX-License-Identifier: Apache-2.0
"""C++ programs for tests, which are skipped where there is no compiler."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from tests.support.compiler import COMPILER, compile_cpp
from tests.support.paths import PROGRAMS

_HINT = "needs a C++ compiler; run: scripts/system-packages"
needs_compiler = pytest.mark.skipif(COMPILER is None, reason=_HINT)


class CppPrograms:
    """C++ programs, those of `programs/` by their names, each compiled when a test first asks for it.

    Several workers may share the folder: one compiles, the others wait for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Path:
        return self.compiled(PROGRAMS / f"{name}.cpp")

    def compiled(self, source: Path, *flags: str) -> Path:
        """Give the program of a source anywhere, always compiled with the same flags."""
        if COMPILER is None:
            pytest.skip(_HINT)
        output = self._folder / source.stem
        with open(f"{output}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not output.exists():
                begun = Path(f"{output}.begun")  # has its name when it is whole
                compile_cpp(source, begun, "-Wall", "-Wextra", "-Werror", *flags).rename(output)
        return output
