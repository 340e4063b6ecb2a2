# SPDX-License-Identifier: Apache-2.0
"""When the next frame of a device is due, learned from the last few, for BaseSource.before_frame."""

from __future__ import annotations

import statistics
import time
from collections import deque

WARM_UP_S = 300e-6  # before_frame is called this long before a frame is due: it takes some 50 µs, and timers are late


class Pace:
    """When the next frame is due: as long after the last one as the median of the last few was after its own.

    Attributes:
        is_warm: that before_frame was called since the last frame.
    """

    _FEWEST = 4  # intervals that tell a pace

    def __init__(self) -> None:
        self._intervals_ns: deque[int] = deque(maxlen=9)
        self._last_ns = 0
        self.is_warm = True

    def observe(self, timestamp_ns: int) -> None:
        """A frame has come."""
        if self._last_ns:
            self._intervals_ns.append(timestamp_ns - self._last_ns)
        self._last_ns = timestamp_ns
        self.is_warm = len(self._intervals_ns) < self._FEWEST

    def due_s(self) -> float:
        """Seconds until the next one is due, negative where it is late."""
        return (self._last_ns + statistics.median(self._intervals_ns) - time.monotonic_ns()) / 1e9
