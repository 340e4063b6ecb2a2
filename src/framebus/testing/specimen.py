# SPDX-License-Identifier: Apache-2.0
"""Frames that sender and receiver know without talking: every byte follows from a number in the frame.

Word 0 of a pattern is the number, every other word (8 bytes) a mix of its place and the number, so that no byte of one
frame can stand in another without being noticed. Booleans are the lowest bit of each byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus.frames.frame import Frame

_PLACE, _NUMBER = np.uint64(0x9E3779B97F4A7C15), 0xC2B2AE3D27D4EB4F
LAYOUTS = ("C", "F", "strided", "reversed")

# The numbers below this one belong to frames that only show that the ends have found each other.
FIRST = 1000

ArraySpec = tuple[str, str, Sequence[int], str]  # name, dtype as numpy writes it, shape, one of LAYOUTS


def pattern(number: int, nbytes: int) -> NDArray[np.uint8]:
    """Returns `nbytes` bytes that follow from `number`."""
    words = np.arange(-(-nbytes // 8), dtype=np.uint64)
    words *= _PLACE
    words ^= np.uint64(number * _NUMBER % (1 << 64))
    if words.size:
        words[0] = number
    return words.astype("<u8", copy=False).view(np.uint8)[:nbytes]


def make(number: int, dtype: str, shape: Sequence[int], layout: str = "C") -> NDArray[Any]:
    """Returns the array of that number; `layout` changes how it lies in memory, not what it is."""
    kind = np.dtype(dtype)
    data = pattern(number, int(np.prod(shape, dtype=np.int64)) * kind.itemsize)
    if kind.kind == "b":
        data = data & np.uint8(1)
    array: NDArray[Any] = data.view(kind).reshape(tuple(shape))
    if layout == "F" and array.ndim:
        return np.asfortranarray(array)
    if layout == "strided" and array.ndim:
        wide = np.zeros((*array.shape[:-1], array.shape[-1] * 2), kind)
        wide[..., ::2] = array
        return wide[..., ::2]
    if layout == "reversed" and array.ndim:
        return array[::-1].copy()[::-1]
    return array


def arrays_of(number: int, specs: Sequence[ArraySpec]) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a frame: each of the number after that of the one before."""
    return {name: make(number + i, dtype, shape, layout) for i, (name, dtype, shape, layout) in enumerate(specs)}


def number_of(array: NDArray[Any]) -> int | None:
    """Returns the number that stands in an array, or None where it has no room for one."""
    data = _bytes_of(array)
    return int(data[:8].view("<u8")[0]) if data.size >= 8 and array.dtype.kind != "b" else None


def is_whole(array: NDArray[Any]) -> bool:
    """Says whether every byte of an array follows from its number."""
    number = number_of(array)
    return number is not None and np.array_equal(_bytes_of(array), pattern(number, array.nbytes))


def facts(arrays: Mapping[str, NDArray[Any]]) -> list[list[Any]]:
    """Returns name, dtype, shape and a digest of the bytes of each array: equal where the arrays are equal."""
    return [
        [name, array.dtype.str, list(array.shape), hashlib.blake2b(_bytes_of(array).data, digest_size=8).hexdigest()]
        for name, array in arrays.items()
    ]


def frame_facts(frame: Frame) -> dict[str, Any]:
    """Returns all that a frame carries, as JSON."""
    return {
        "number": number_of(frame.array),
        "arrays": facts(frame.arrays),
        "in_c_order": all(array.flags.c_contiguous for array in frame.arrays.values()),
        "meta": frame.meta,
        "pixel_format": frame.pixel_format,
        "seq": frame.seq,
        "timestamp_ns": frame.timestamp_ns,
        "wall_time_ns": frame.wall_time_ns,
    }


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
