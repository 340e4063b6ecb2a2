# SPDX-License-Identifier: Apache-2.0
"""A desktop of their own for tests: an X display without a screen, started here and ended at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from framebus._util.server import server

needs_display = pytest.mark.skipif(
    not shutil.which("Xvfb") or not shutil.which("xclip"),
    reason="Xvfb or xclip is missing: apt-get install --no-install-recommends xvfb xclip",
)


@contextmanager
def display() -> Iterator[str]:
    """Starts an X server and gives its name, for DISPLAY."""
    with server("Xvfb", "-displayfd", "{}", "-screen", "0", "640x480x24", "-nolisten", "tcp") as (number, _):
        assert number, "Xvfb did not start"
        yield f":{number}"
