# SPDX-License-Identifier: Apache-2.0
"""Takes several measurements in turn, A B A B, so that a drifting machine hits all of them alike."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median, least and most of some rounds, in the unit of the measurement."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:9.2f}  ({self.least:.2f} to {self.most:.2f})"


def in_turn(measurements: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Spread]:
    """Calls every measurement once a round; the first round warms up and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in measurements}
    for number in range(rounds + 1):
        for name, measure in measurements.items():
            value = measure()
            if number:
                taken[name].append(value)
    return {name: Spread(statistics.median(v), min(v), max(v)) for name, v in taken.items()}
