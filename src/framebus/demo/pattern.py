# SPDX-License-Identifier: Apache-2.0
"""The moving picture that the demo plays where it has no clip: that of pattern:ball, without the time of day.

Picture n looks the same on every machine and in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.pattern.painter import Painter
from framebus.endpoint.kinds.pattern.samples import Samples

HEIGHT, WIDTH = 720, 1280
RATE_HZ = 30


def pictures() -> Iterator[PatternPicture]:
    """Yields the pictures without end."""
    board = Board()
    number = 0
    while True:
        yield PatternPicture(number, board)
        number += 1


@dataclass(frozen=True)
class PatternPicture:
    """One picture, drawn where and when it is wanted."""

    number: int
    board: Board

    @property
    def time_s(self) -> float:
        """When it is to be shown, counted from the first picture."""
        return self.number / RATE_HZ

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, and blue, green, red."""
        return HEIGHT, WIDTH, 3

    def draw_into(self, target: NDArray[np.uint8]) -> None:
        """Fills `target`, which has this picture's shape."""
        self.board.draw(self.number, target)


class Board:
    """What all pictures have in common, computed once."""

    def __init__(self) -> None:
        self._painter = Painter("ball", HEIGHT, WIDTH, Samples.of("BGR8"))

    def draw(self, number: int, target: NDArray[np.uint8]) -> None:
        """Draws picture `number` into `target`; people count from 1, as sequence numbers do."""
        self._painter.paint(number + 1, target, f"{number + 1:06d}")
