# SPDX-License-Identifier: Apache-2.0
"""The fixtures of these tests: programs that are gone when the test is over, and a place of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler import COMPILER, PROGRAMS, compile_cpp
from harness import Programs
from places import Place


@pytest.fixture
def place() -> Iterator[Place]:
    """A /dev/shm of 64 MB for this test alone; named before `programs`, so that it outlives them."""
    made = Place()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def programs(channel_name: str) -> Iterator[Programs]:  # noqa: ARG001 - its check for left-over files must run last
    started = Programs()
    try:
        yield started
    finally:
        started.stop_all()


class CppPrograms:
    """The C++ programs of `programs/`, each compiled when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compiled: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if COMPILER is None:
            pytest.skip("needs a C++ compiler; run: scripts/system-packages")
        if name not in self._compiled:
            source, output = PROGRAMS / f"{name}.cpp", self._folder / name
            self._compiled[name] = compile_cpp(source, output, "-Wall", "-Wextra", "-Werror")
        return self._compiled[name]


@pytest.fixture(scope="session")
def cpp_programs(tmp_path_factory: pytest.TempPathFactory) -> CppPrograms:
    """Gives the path of a compiled C++ program by its name."""
    return CppPrograms(tmp_path_factory.mktemp("cpp"))
