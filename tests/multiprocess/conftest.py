# SPDX-License-Identifier: Apache-2.0
"""The fixtures of these tests: programs that are gone when the test is over, and a place of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.compiled import CppPrograms
from tests.support.harness import Programs
from tests.support.paths import ROOT
from tests.support.places import Place
from tests.support.side_by_side import is_worker


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


@pytest.fixture(scope="session")
def cpp_programs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> CppPrograms:
    """Gives the path of a compiled C++ program by its name."""
    folder = tmp_path_factory.getbasetemp()
    if is_worker(request.config):
        folder = folder.parent  # that of all workers
    (folder / "cpp").mkdir(exist_ok=True)
    return CppPrograms(folder / "cpp")


@pytest.fixture(scope="session")
def role(cpp_programs: CppPrograms) -> Path:
    """A publisher or subscriber that can be killed or stopped at a named step."""
    return cpp_programs.compiled(ROOT / "tests/crash/role.cpp", "-DFRAMEBUS_CRASH_POINTS")
