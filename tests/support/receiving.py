# SPDX-License-Identifier: Apache-2.0
"""What a source delivers up to the death of its sender."""

from __future__ import annotations

from typing import Any

import framebus
from framebus.testing.process import WATCHDOG_S


def until_death(source: framebus.Source) -> list[Any]:
    """Returns the arrays of all frames until the source says that the sender has died."""
    arrays = []
    try:
        while True:
            arrays.append(source.recv(WATCHDOG_S).array)
    except framebus.PublisherDied:
        return arrays
