# SPDX-License-Identifier: Apache-2.0
"""C++ programs for tests, which are skipped where there is no compiler."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler import COMPILER, PROGRAMS, compile_cpp

_HINT = "needs a C++ compiler; run: scripts/system-packages"
needs_compiler = pytest.mark.skipif(COMPILER is None, reason=_HINT)


class CppPrograms:
    """The C++ programs of `programs/`, each compiled when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compiled: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if COMPILER is None:
            pytest.skip(_HINT)
        if name not in self._compiled:
            source, output = PROGRAMS / f"{name}.cpp", self._folder / name
            self._compiled[name] = compile_cpp(source, output, "-Wall", "-Wextra", "-Werror")
        return self._compiled[name]
