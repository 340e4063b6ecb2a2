# SPDX-License-Identifier: Apache-2.0
"""Paints the pictures of pattern:, each from its number alone.

What all pictures have in common is computed once, in their own dtype, so that a picture costs little more than a copy
of its size. Only noise is computed for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.pattern.barcode import barcode_height, cells, edges
from framebus.endpoint.kinds.pattern.samples import WHITE, Samples

KINDS = ("bars", "gradient", "ball", "checker", "noise")

# Three columns and five rows, a row an octal number.
_GLYPHS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71717", "4": "55711", "5": "74717", "6": "74757", "7": "71111",
    "8": "75757", "9": "75717", ":": "02020", ".": "00002", " ": "00000",
}  # fmt: skip
_MARGIN = 3  # dots between the edges of the picture and the text


class Painter:
    """Pictures of one kind and size."""

    def __init__(self, kind: str, height: int, width: int, samples: Samples, seed: int = 0) -> None:
        """Takes one of KINDS. `seed` decides what noise looks like."""
        self.samples = samples
        self.shape = samples.shape(height, width)
        self._kind, self._height, self._width, self._seed = kind, height, width, seed
        self._ground, self._period, self._step = self._make_ground()
        self._black, self._white = (samples.colour(np.full(3, level)) for level in (0, WHITE))
        self._cell_widths = np.diff(edges(width))
        self._ball = _Ball(height, width, samples) if kind == "ball" and min(height, width) >= 3 else None
        self._tiles: dict[tuple[str, int], NDArray[Any]] = {}

    def paint(self, number: int, target: NDArray[Any], text: str = "") -> None:
        """Fills `target`, of this shape and dtype, with picture `number`; `text` has digits, " ", "." and ":"."""
        if self._kind == "noise":
            self.samples.by_chance(np.random.default_rng((self._seed, number)), target)
        else:
            start = self._step * number % self._period
            np.copyto(target, self._ground[:, start : start + self._width])
        if self._ball is not None:
            self._ball.draw(number, target)
        if rows := barcode_height(self._height, self._width):
            white = np.repeat(cells(number), self._cell_widths)
            target[:rows] = np.where(white if target.ndim == 2 else white[:, np.newaxis], self._white, self._black)
        self._write(text, target, rows)

    def _make_ground(self) -> tuple[NDArray[Any], int, int]:
        """Returns a picture that is `period` wider than wanted and repeats itself so, and how far it moves a frame."""
        height, width = self._height, self._width
        if self._kind == "noise":
            return np.empty(0), 1, 0
        if self._kind == "bars":
            return self.samples.colour(_bars(height, width + 1)), 1, 0
        if self._kind == "checker":
            side = max(1, min(height, width) // 12)
            y, x = np.ogrid[:height, : width + 2 * side]
            squares = np.where((x // side + y // side) % 2, WHITE * 3 // 4, WHITE // 4)
            return self.samples.colour(np.repeat(squares[..., np.newaxis], 3, axis=2)), 2 * side, 1
        period = max(1, width // 2)
        return self.samples.colour(_drifting(height, width + period, period)), period, max(1, width // 320)

    def _write(self, text: str, target: NDArray[Any], top: int) -> None:
        """Writes as much of it, whole words, as there is room for."""
        dot = self._dot(text, top)
        while text and not dot:
            text = text.rpartition(" ")[0]
            dot = self._dot(text, top)
        for place, character in enumerate(text):
            tile = self._tile(character, dot)
            rows, left = top + _MARGIN * dot, (_MARGIN + 4 * place) * dot
            target[rows : rows + tile.shape[0], left : left + tile.shape[1]] = tile

    def _dot(self, text: str, top: int) -> int:
        """Returns how large a dot of the text may be, 0 where there is no room for it."""
        room = self._width // (4 * len(text) + 2 * _MARGIN), (self._height - top) // (2 * _MARGIN + 7)
        return min(max(1, self._height // 51), *room)

    def _tile(self, character: str, dot: int) -> NDArray[Any]:
        """A character in white on black, with a dot of black on its left, above and below."""
        if (character, dot) not in self._tiles:
            dots = np.zeros((7, 4), bool)
            dots[1:6, 1:] = [[int(row, 8) >> bit & 1 for bit in (2, 1, 0)] for row in _GLYPHS[character]]
            levels = np.repeat(dots.repeat(dot, axis=0).repeat(dot, axis=1)[..., np.newaxis] * WHITE, 3, axis=2)
            self._tiles[character, dot] = self.samples.colour(levels)
        return self._tiles[character, dot]


class _Ball:
    """A shaded ball that goes to and fro between the edges."""

    def __init__(self, height: int, width: int, samples: Samples) -> None:
        radius = max(1, min(height, width) // 10)
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
        self._mask = x * x + y * y <= radius * radius
        shade = (1 - np.hypot(x + radius / 3, y + radius / 3) / (2.8 * radius)).clip(0.2, 1) * WHITE
        levels = np.stack([np.full_like(shade, WHITE // 6), shade, shade], axis=-1)
        self._pixels = samples.colour(np.rint(levels))[self._mask]
        self._room = height - 2 * radius - 1, width - 2 * radius - 1
        self._speed = max(1, height // 100), max(1, width // 116)

    def draw(self, number: int, target: NDArray[Any]) -> None:
        top, left = (
            _bounce(speed * number + room // 3, room) for speed, room in zip(self._speed, self._room, strict=True)
        )
        rows, columns = self._mask.shape
        target[top : top + rows, left : left + columns][self._mask] = self._pixels


def _bounce(way: int, room: int) -> int:
    """Returns where something is after `way` pixels, going to and fro between 0 and `room`."""
    return room - abs(way % (2 * room) - room) if room else 0


def _bars(height: int, width: int) -> NDArray[Any]:
    """White, yellow, cyan, green, magenta, red, blue and black, at three quarters of full light."""
    bar = 7 - np.arange(width) * 8 // width
    levels = np.stack([bar & 1, bar >> 2 & 1, bar >> 1 & 1], axis=-1) * (WHITE * 3 // 4)
    return np.broadcast_to(levels, (height, width, 3))


def _drifting(height: int, width: int, period: int) -> NDArray[Any]:
    """Soft waves of colour with darker stripes, which repeat themselves after `period` columns."""
    x = np.arange(width)
    y = np.arange(height)[:, np.newaxis] / height
    waves = (np.sin(x * (4 * np.pi / period) + 5 * y + phase) * 60 + 90 + 40 * y for phase in (0.0, 2.1, 4.2))
    levels = np.stack([wave.clip(0, 255) for wave in waves], axis=-1) * (WHITE / 255)
    levels[:, x % period * 8 // period % 4 == 0] /= 2
    return np.rint(levels)
