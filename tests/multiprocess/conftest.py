# SPDX-License-Identifier: Apache-2.0
"""The one fixture of these tests: programs that are gone when the test is over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness import Programs


@pytest.fixture
def programs(channel_name: str) -> Iterator[Programs]:  # noqa: ARG001 - its check for left-over files must run last
    started = Programs()
    try:
        yield started
    finally:
        started.stop_all()
