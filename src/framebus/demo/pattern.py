# SPDX-License-Identifier: Apache-2.0
"""A moving picture out of nothing but numpy: drifting colours, a bouncing ball, and the number of the picture.

Picture n looks the same on every machine and in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 720, 1280
RATE_HZ = 30
BALL = 75  # radius

# Digits of three columns and five rows, a row an octal number.
GLYPHS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717")
DOT = 14  # pixels of one dot of a digit


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
        self._ground = _colours()
        y, x = np.mgrid[-BALL : BALL + 1, -BALL : BALL + 1]
        self._ball = x * x + y * y <= BALL * BALL
        self._ball_shade = (255 - np.hypot(x + BALL / 3, y + BALL / 3) * 1.2).clip(60, 255).astype(np.uint8)

    def draw(self, number: int, target: NDArray[np.uint8]) -> None:
        """Draws picture `number` into `target`."""
        start = 4 * number % WIDTH
        np.copyto(target, self._ground[:, start : start + WIDTH])
        top = _bounce(7 * number + 40, HEIGHT - self._ball.shape[0])
        left = _bounce(11 * number + 300, WIDTH - self._ball.shape[1])
        patch = target[top : top + self._ball.shape[0], left : left + self._ball.shape[1]]
        patch[self._ball, 0] = 40
        patch[self._ball, 1:] = self._ball_shade[self._ball, np.newaxis]
        _write(number + 1, target)  # counted from 1 for people, as sequence numbers are


def _colours() -> NDArray[np.uint8]:
    """Two periods of a picture that continues on its right with its own left side."""
    x = np.arange(2 * WIDTH) * (2 * np.pi / WIDTH)
    y = np.arange(HEIGHT)[:, np.newaxis] / HEIGHT
    waves = (np.sin(3 * x + 5 * y + phase) * 60 + 90 + 40 * y for phase in (0.0, 2.1, 4.2))
    ground = np.stack([wave.clip(0, 255) for wave in waves], axis=-1).astype(np.uint8)
    ground[:, (np.arange(2 * WIDTH) // (WIDTH // 16)) % 4 == 0] //= 2
    return ground


def _bounce(way: int, room: int) -> int:
    """Returns where something is after `way` pixels, going to and fro between 0 and `room`."""
    return room - abs(way % (2 * room) - room)


def _write(number: int, target: NDArray[np.uint8]) -> None:
    for place, digit in enumerate(f"{number:06d}"):
        dots = np.array([[int(row, 8) >> bit & 1 for bit in (2, 1, 0)] for row in GLYPHS[int(digit)]], dtype=bool)
        mask = dots.repeat(DOT, axis=0).repeat(DOT, axis=1)
        left = 3 * DOT + place * 4 * DOT
        target[3 * DOT : 3 * DOT + mask.shape[0], left : left + mask.shape[1]][mask] = 255
