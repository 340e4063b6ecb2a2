# SPDX-License-Identifier: Apache-2.0
"""Where the memory of an array is: in which file, and where in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def place_of(array: NDArray[Any]) -> tuple[int, int]:
    """Gives inode of the file and offset in it of the first byte; the same wherever and however often it is mapped."""
    address = array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        area, _, offset, _, inode, *_ = line.split(maxsplit=5)
        first, last = (int(text, 16) for text in area.split("-"))
        if first <= address < last:
            return int(inode), int(offset, 16) + address - first
    raise AssertionError(f"no memory is mapped at {address:#x}")
