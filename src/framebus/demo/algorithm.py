# SPDX-License-Identifier: Apache-2.0
"""The demo's algorithm: edges in cyan and what moves in orange, with a trail, over a darkened picture.

numpy only, in integers, so that the same pictures have the same result everywhere. The work is done in bands of a few
rows whose intermediate arrays fit into the processor's cache, and in memory that is allocated once for each size.

Of each pixel, with gray = (29 blue + 150 green + 77 red) / 256:

    edge    half the sum of the absolute Sobel derivatives of gray along x and y, at most 255; 0 on the outermost pixels
    motion  four times the part of |gray - gray of the frame before| above 16, at most 255, or 7/8 of its last value
    blue    gray / 4 + edge
    green   gray / 4 + 3/4 edge + motion / 2
    red     gray / 4 + motion
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BAND_ROWS = 32
NOISE = 16  # differences of gray that are not motion yet


@dataclass(frozen=True)
class Finding:
    """How much of a picture is edge and how much has moved, each a share from 0 to 1."""

    edges: float
    motion: float


class EdgesAndMotion:
    """Remembers the last picture and the trail of what moved; one for each stream of pictures."""

    _gray: NDArray[np.int16]
    _before: NDArray[np.int16]
    _trail: NDArray[np.int16]

    def __init__(self) -> None:
        self._start(0, 0)

    def process(self, picture: NDArray[np.uint8], result: NDArray[np.uint8]) -> Finding:
        """Fills `result` (h x w x 3, uint8, BGR) from `picture` (h x w x 3 BGR, or h x w gray, uint8).

        A picture of another size than the last one begins anew. Raises ValueError for any other shape or dtype.
        """
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (3,)):
            raise ValueError(f"expected a picture h x w or h x w x 3 of uint8, got {picture.shape} of {picture.dtype}")
        height, width = picture.shape[:2]
        if result.shape != (height, width, 3) or result.dtype != np.uint8:
            raise ValueError(f"expected a result {(height, width, 3)} of uint8, got {result.shape} of {result.dtype}")
        if (height, width) != self._shape:
            self._start(height, width)
        edges = motion = 0
        self._to_gray(picture)
        for top in range(0, height, BAND_ROWS):
            rows = slice(top, min(top + BAND_ROWS, height))
            edge = self._edge(rows)
            moved = self._motion(rows)
            self._paint(rows, edge, moved, result)
            edges += int(np.count_nonzero(edge > 64))
            motion += int(np.count_nonzero(moved > 64))
        self._gray, self._before = self._before, self._gray
        self._first = False
        pixels = max(1, height * width)
        return Finding(edges / pixels, motion / pixels)

    def _start(self, height: int, width: int) -> None:
        self._shape = (height, width)
        self._first = True
        self._gray, self._before, self._trail = (np.zeros((height, width), np.int16) for _ in range(3))
        band = (min(BAND_ROWS, height), width)
        self._scratch: list[NDArray[np.int16]] = [np.empty(band, np.int16) for _ in range(4)]
        self._weighted: list[NDArray[np.uint16]] = [np.empty(band, np.uint16) for _ in range(2)]

    def _to_gray(self, picture: NDArray[np.uint8]) -> None:
        if picture.ndim == 2:
            np.copyto(self._gray, picture)
            return
        for top in range(0, self._shape[0], BAND_ROWS):
            band = picture[top : top + BAND_ROWS]
            total, term = (array[: len(band)] for array in self._weighted)
            np.multiply(band[..., 1], 150, out=total, dtype=np.uint16)
            total += np.multiply(band[..., 0], 29, out=term, dtype=np.uint16)
            total += np.multiply(band[..., 2], 77, out=term, dtype=np.uint16)
            np.right_shift(total, 8, out=self._gray[top : top + len(band)], casting="unsafe")

    def _edge(self, rows: slice) -> NDArray[np.int16]:
        height, width = self._shape
        edge = self._scratch[0][: rows.stop - rows.start]
        edge[...] = 0
        top, bottom = max(rows.start, 1), min(rows.stop, height - 1)
        if top >= bottom or width < 3:
            return edge
        above, here, below = (self._gray[top + d : bottom + d] for d in (-1, 0, 1))
        size = bottom - top
        smooth, slope, steps = (array[:size] for array in self._scratch[1:4])
        inside = edge[top - rows.start : bottom - rows.start, 1:-1]

        np.add(above, below, out=smooth)
        smooth += here
        smooth += here
        across = np.subtract(smooth[:, 2:], smooth[:, :-2], out=steps[:, 1:-1])
        np.abs(across, out=inside)

        np.subtract(below, above, out=slope)
        along = np.add(slope[:, :-2], slope[:, 2:], out=steps[:, 1:-1])
        along += slope[:, 1:-1]
        along += slope[:, 1:-1]
        inside += np.abs(along, out=along)
        inside >>= 1
        np.minimum(inside, 255, out=inside)
        return edge

    def _motion(self, rows: slice) -> NDArray[np.int16]:
        trail = self._trail[rows]
        if self._first:
            return trail
        change = np.subtract(self._gray[rows], self._before[rows], out=self._scratch[1][: len(trail)])
        np.abs(change, out=change)
        change -= NOISE
        change <<= 2
        np.minimum(change, 255, out=change)
        trail *= 7
        trail >>= 3
        np.maximum(trail, change, out=trail)
        return trail

    def _paint(self, rows: slice, edge: NDArray[np.int16], moved: NDArray[np.int16], result: NDArray[np.uint8]) -> None:
        dark, colour, half = (array[: len(edge)] for array in self._scratch[1:4])
        target = result[rows]
        np.right_shift(self._gray[rows], 2, out=dark)

        np.add(dark, edge, out=colour)
        np.minimum(colour, 255, out=target[..., 0], casting="unsafe")

        np.add(dark, moved, out=colour)
        np.minimum(colour, 255, out=target[..., 2], casting="unsafe")

        np.right_shift(moved, 1, out=colour)
        np.multiply(edge, 3, out=half)
        half >>= 2
        colour += half
        colour += dark
        np.minimum(colour, 255, out=target[..., 1], casting="unsafe")
