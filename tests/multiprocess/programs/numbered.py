# SPDX-License-Identifier: Apache-2.0
"""Frames whose bytes follow from a number, and checks that look at every byte of one.

Where the number travels beside the pixels, all bytes are the same (byte_of, Checker). Where it has to be in them,
they are a pattern (Pattern) in which every word depends on the number and on its place, so that pieces of two frames
never make up a third, and no piece fits anywhere else; numbered.hpp has the same for C++.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# A prime, so that a slot which is used again after any small number of frames comes back with another number.
MODULUS = 251


def byte_of(seq: int) -> int:
    """The value of every byte of frame `seq`."""
    return seq % MODULUS


class Checker:
    """Says whether all bytes of an array have one value, eight at a time and without allocating."""

    def __init__(self) -> None:
        self._equal = np.empty(0, np.bool_)

    def is_whole(self, array: npt.NDArray[Any], byte: int) -> bool:
        """Whether every byte of this C-contiguous array is `byte`."""
        flat = array.reshape(-1).view(np.uint8)
        words = flat[: flat.size // 8 * 8].view(np.uint64)
        if self._equal.size != words.size:
            self._equal = np.empty(words.size, np.bool_)
        np.equal(words, np.uint64(byte * 0x0101_0101_0101_0101), out=self._equal)
        return bool(self._equal.all()) and bool((flat[words.nbytes :] == byte).all())


class Pattern:
    """Little-endian words of 64 bits: the number itself, then word i is number * A + i * B, without the overflow."""

    A = 0x9E37_79B9_7F4A_7C15
    B = 0xC2B2_AE3D_27D4_EB4F

    def __init__(self, size: int) -> None:
        self.size = size
        self._steps = np.arange((size + 7) // 8, dtype="<u8") * np.uint64(self.B)
        self._words = np.empty_like(self._steps)

    def bytes_of(self, number: int) -> npt.NDArray[np.uint8]:
        """All bytes of the frame; good until the next call."""
        np.add(self._steps, np.uint64(number * self.A % 2**64), out=self._words)
        self._words[0] = number
        return self._words.view(np.uint8)[: self.size]

    def number_in(self, array: npt.NDArray[Any]) -> tuple[int, bool]:
        """The number that the frame begins with, and whether all of it is that number's."""
        flat = array.reshape(-1).view(np.uint8)
        number = int.from_bytes(flat[:8].tobytes(), "little")
        return number, flat.size == self.size and bool(np.array_equal(flat, self.bytes_of(number)))
