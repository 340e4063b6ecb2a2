# SPDX-License-Identifier: Apache-2.0
"""How a program ends together with the one that started it, whichever way that one goes.

Its standard input is a pipe that the other holds open. When the other closes it, or is gone, the pipe ends, and the
program sees that at its next look. No thread, no signal.
"""

from __future__ import annotations

import select
import sys
import time


class Lifeline:
    """The end of the pipe in the program that is to stop; without `tied` there is none and it is never cut."""

    def __init__(self, tied: bool) -> None:
        self._descriptor = sys.stdin.fileno() if tied else None

    def is_cut(self, wait_s: float = 0.0) -> bool:
        """Says whether it is time to stop; looks for `wait_s` seconds, so that it can stand in for a sleep."""
        if self._descriptor is None:
            time.sleep(max(0.0, wait_s))
            return False
        return bool(select.select([self._descriptor], [], [], max(0.0, wait_s))[0])
