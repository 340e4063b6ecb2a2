# SPDX-License-Identifier: Apache-2.0
"""C++ programs for tests, which are skipped where there is no compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler import COMPILER, PROGRAMS, compile_cpp

_HINT = "needs a C++ compiler; run: scripts/system-packages"
needs_compiler = pytest.mark.skipif(COMPILER is None, reason=_HINT)


class CppPrograms:
    """C++ programs, those of `programs/` by their names, each compiled when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compiled: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        return self.compiled(PROGRAMS / f"{name}.cpp")

    def compiled(self, source: Path, *flags: str) -> Path:
        """Give the program of a source anywhere, always compiled with the same flags."""
        if COMPILER is None:
            pytest.skip(_HINT)
        if source.stem not in self._compiled:
            output = self._folder / source.stem
            self._compiled[source.stem] = compile_cpp(source, output, "-Wall", "-Wextra", "-Werror", *flags)
        return self._compiled[source.stem]
