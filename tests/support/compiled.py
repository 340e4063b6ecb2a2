# SPDX-License-Identifier: Apache-2.0
"""C++ programs for tests, which are skipped where there is no compiler."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.compiler import COMPILER, compile_cpp
from tests.support.paths import PROGRAMS

_HINT = "needs a C++ compiler; run: scripts/system-packages"
INCLUDES_FRAMEBUS = "#include <framebus/"
STRICT = ("-Wall", "-Wextra", "-Werror")
UNOPTIMISED = ("-O0",)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason=_HINT)


class CppPrograms:
    """C++ programs, those of `programs/` by their names, each compiled when a test first asks for it.

    Several workers may share the folder: one compiles, the others wait for it. Programs that include framebus are
    compiled without optimisation, and share its headers as one precompiled header: most of their cost is compiling.
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
        with _made_once(output) as begun:
            if begun:
                if INCLUDES_FRAMEBUS in source.read_text(encoding="utf-8"):
                    # Flags of its own, such as macros, may not fit the precompiled header.
                    flags = (*flags, *UNOPTIMISED) if flags else (*UNOPTIMISED, "-include", str(self._headers()))
                compile_cpp(source, begun, *STRICT, *flags)
        return output

    def _headers(self) -> Path:
        """Give a header that stands for all of framebus, with its precompiled form beside it."""
        header = self._folder / "framebus.hpp"
        with _made_once(self._folder / "framebus.hpp.gch") as begun:
            if begun:
                header.write_text(f"{INCLUDES_FRAMEBUS}framebus.hpp>\n", encoding="utf-8")
                compile_cpp(header, begun, *STRICT, *UNOPTIMISED, "-x", "c++-header", libraries=())
        return header


@contextmanager
def _made_once(output: Path) -> Iterator[Path | None]:
    """Gives the first one who asks the path to write to, and the others None once the output is there."""
    with open(f"{output}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        begun = Path(f"{output}.begun")  # has its name when it is whole
        yield None if output.exists() else begun
        if begun.exists():
            begun.rename(output)
