# SPDX-License-Identifier: Apache-2.0
"""Waiting for what another thread or process brings about, under a watchdog."""

from __future__ import annotations

import time
from collections.abc import Callable

from framebus.testing.process import WATCHDOG_S


def wait_until(holds: Callable[[], object], what: str = "what a test waits for") -> None:
    """Returns when `holds()` is true; looks every millisecond. Raises AssertionError where that takes too long."""
    deadline = time.monotonic() + WATCHDOG_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {WATCHDOG_S:.0f} s for {what}"
        time.sleep(0.001)
