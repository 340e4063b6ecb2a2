# SPDX-License-Identifier: Apache-2.0
"""Frames whose every byte is the same known number, and the check that looks at every byte of one."""

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
