# SPDX-License-Identifier: Apache-2.0
"""The moment until which a call may wait, on the monotonic clock."""

from __future__ import annotations

import threading
import time
from typing import Any

from framebus.errors import Timeout


class Deadline:
    """A moment, or never."""

    def __init__(self, timeout: float | None, what: str = "timeout") -> None:
        """Takes seconds from now, None: no limit; `what` names the argument in the error.

        Raises ValueError for a negative timeout.
        """
        if timeout is not None and not timeout >= 0:  # also NaN
            raise ValueError(f"{what} must be 0 or more seconds, or None for no limit, got {timeout!r}")
        self.timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """Seconds that are left, 0 or more; None: no limit."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def slice(self, at_most: float) -> float:
        """Seconds to wait before looking around: what is left, and not over `at_most`."""
        left = self.left()
        return at_most if left is None else min(at_most, left)

    def left_ms(self, at_most: float = 1.0) -> int:
        """The same in whole milliseconds, rounded up, for poll()."""
        return int(self.slice(at_most) * 1000 + 0.999)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self._end is not None and time.monotonic() >= self._end

    def fail(self, what: str) -> Timeout:
        """Returns the error to raise: what was waited for, and for how long."""
        return Timeout(f"{what} within {self.timeout:g} s" if self.timeout is not None else what)


def acquire(lock: Any, deadline: Deadline) -> bool:
    """Takes a threading.Lock or RLock; returns False where it was not free in time."""
    left = deadline.left()
    taken: bool = lock.acquire(timeout=-1 if left is None else min(left, threading.TIMEOUT_MAX))
    return taken
