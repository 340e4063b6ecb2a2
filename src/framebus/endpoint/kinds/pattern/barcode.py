# SPDX-License-Identifier: Apache-2.0
"""The barcode of a picture: its number as black and white cells along its upper edge.

48 cells of equal width: white, black, white, black, then 32 bits of the number and 12 of its CRC-32, the highest bit
first, a white cell for 1. The white and black ones at the beginning say what white and black are in this picture, so a
lossy codec, another dtype or another size do no harm. Numbers wrap at 2**32. A picture
without a barcode is taken for one with it once in 65536 times.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS = 48
_SYNC = (1, 0, 1, 0)


def barcode_height(height: int, width: int) -> int:
    """Returns how many rows the cells have; 0 where a picture is too narrow for them."""
    return max(1, min(height // 16, width // CELLS)) if width >= CELLS else 0


def cells(number: int) -> NDArray[np.bool_]:
    """Returns which cells are white."""
    number %= 1 << 32
    word = number << 12 | zlib.crc32(number.to_bytes(4, "big")) & 0xFFF
    return np.array([*_SYNC, *(word >> bit & 1 for bit in range(43, -1, -1))], bool)


def edges(width: int) -> NDArray[np.intp]:
    """Returns where the cells begin, and where the last one ends."""
    return np.arange(CELLS + 1) * width // CELLS


def read_number(array: NDArray[Any]) -> int:
    """Returns the number of the picture, as pattern: wrote it into it.

    Raises ValueError if no number can be read there.
    """
    if array.ndim not in (2, 3) or array.shape[1] < CELLS or array.shape[0] < 1:
        raise ValueError(f"no picture with a number: it has the shape {array.shape}, and {CELLS} columns at least")
    height, width = array.shape[:2]
    rows = barcode_height(height, width)
    strip = array[rows // 4 : max(rows // 4 + 1, rows - rows // 4)]
    columns = strip.real.astype(np.float64).mean(axis=tuple(axis for axis in range(array.ndim) if axis != 1))
    begin = edges(width)
    margin = (begin[1:] - begin[:-1]) // 4
    level = np.array([columns[a + m : b - m].mean() for a, b, m in zip(begin[:-1], begin[1:], margin, strict=True)])
    white = level > level[: len(_SYNC)].mean()
    number = int("".join("01"[bit] for bit in white[len(_SYNC) : len(_SYNC) + 32].tolist()), 2)
    if not np.array_equal(white, cells(number)):
        raise ValueError("no number can be read along the upper edge: not a picture of pattern:, or a damaged one")
    return number
