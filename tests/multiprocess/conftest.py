# SPDX-License-Identifier: Apache-2.0
"""The fixtures of these tests: programs that are gone when the test is over, and a place of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
