# SPDX-License-Identifier: Apache-2.0
"""What a subscriber to numbered frames has seen; seen.hpp counts the same in C++."""

from __future__ import annotations


class Seen:
    """Counts frames, those of them that were torn, and the runs of numbers that followed each other."""

    def __init__(self) -> None:
        self.frames = 0
        self._torn = 0
        self._runs: list[list[int]] = []

    def add(self, number: int, whole: bool) -> None:
        self.frames += 1
        self._torn += not whole
        if self._runs and self._runs[-1][1] + 1 == number:
            self._runs[-1][1] = number
        else:
            self._runs.append([number, number])

    def told(self) -> dict[str, object]:
        """As a test gets it; a run is [first, last]."""
        return {"seen": self.frames, "torn": self._torn, "runs": self._runs}
