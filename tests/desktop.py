# SPDX-License-Identifier: Apache-2.0
"""A desktop of their own for tests: an X display without a screen, started here and ended at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

needs_display = pytest.mark.skipif(
    not shutil.which("Xvfb") or not shutil.which("xclip"),
    reason="Xvfb or xclip is missing: apt-get install --no-install-recommends xvfb xclip",
)


@contextmanager
def display() -> Iterator[str]:
    """Starts an X server and gives its name, for DISPLAY."""
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=[write_end],
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(write_end)
        with open(read_end, encoding="ascii") as numbers:
            number = numbers.readline().strip()  # comes when it can be connected to; "" if it could not start
        try:
            assert number, "Xvfb did not start"
            yield f":{number}"
        finally:
            server.terminate()
