# SPDX-License-Identifier: Apache-2.0
"""What is in a frame: arrays that are windows into one file of random bytes.

Promise: every byte of a frame follows from its ticket (a number that no other frame of the run has) and the position
of the array in the frame, so the check compares whole arrays, and two frames differ nearly everywhere. The ticket and
the layout travel as metadata, which lies elsewhere in shared memory than the description of the arrays.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2160 * 3840 * 3
WINDOWS = 65_521  # a prime; windows begin at that many places, 8 bytes apart
FILE_BYTES = LARGEST + 8 * WINDOWS + 64

Layout = dict[str, tuple[tuple[int, ...], str]]
Bytes = NDArray[np.uint8]

DTYPES = ("|u1", "|u1", "|b1", "<u2", ">u2", "<i4", "<f4", ">f8", "<c8")
TINY = ((0,), (), (1,), (7,), (64,), (3, 5), (2, 0, 3), (1, 2, 3, 4, 1, 2, 1, 1))


def write_file(path: Path) -> None:
    """Writes the random bytes all programs share."""
    path.write_bytes(np.random.default_rng(20_240_229).bytes(FILE_BYTES))


class Payload:
    """The bytes of all frames."""

    def __init__(self, path: Path) -> None:
        self._bytes: Bytes = np.memmap(path, np.uint8, "r").view(np.ndarray)

    def window(self, ticket: int, index: int, size: int) -> Bytes:
        """What array `index` of the frame has, as bytes."""
        begin = 8 * ((ticket * 2_654_435_761 + index * 40_503) % WINDOWS)
        return self._bytes[begin : begin + size]

    def array(self, ticket: int, index: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        """The same as an array to send; read-only."""
        kind = np.dtype(dtype)
        window = self.window(ticket, index, kind.itemsize * int(np.prod(shape)))
        return np.ndarray(shape, kind, buffer=window)

    def arrays(self, ticket: int, layout: Layout) -> dict[str, NDArray[Any]]:
        return {name: self.array(ticket, i, *spec) for i, (name, spec) in enumerate(layout.items())}

    def first_wrong(self, ticket: int, index: int, found: Bytes, start: int = 0) -> int | None:
        """Compares bytes from `start` on of an array; returns the position of the first that is wrong, or None."""
        expected = self.window(ticket, index, start + found.size)[start:]
        if _same(found, expected):
            return None
        return start + int(np.flatnonzero(found != expected)[0])


def _same(found: Bytes, expected: Bytes) -> bool:
    words = found.size // 8 * 8
    return bool(
        np.array_equal(found[:words].view(np.uint64), expected[:words].view(np.uint64))
        and np.array_equal(found[words:], expected[words:])
    )


def flat(array: NDArray[Any]) -> Bytes:
    """The bytes of an array in C order, without a copy."""
    return array.reshape(-1).view(np.uint8)


def metadata(ticket: int, layout: Layout) -> dict[str, object]:
    return {"ticket": ticket, "layout": {name: [list(shape), dtype] for name, (shape, dtype) in layout.items()}}


def layout_in(meta: Mapping[str, Any]) -> Layout:
    return {name: (tuple(shape), dtype) for name, (shape, dtype) in meta["layout"].items()}


def draw_layout(rng: random.Random, kind: str, count: int) -> Layout:
    """A layout of the kind; `count` says how many frames came before, for those that grow."""
    if kind == "tiny":
        return {"image": (rng.choice(TINY), rng.choice(DTYPES))}
    if kind == "small":
        return {"image": ((rng.randint(1, 160), rng.randint(1, 160)), rng.choice(DTYPES))}
    if kind == "vga":
        return {"image": ((480, 640), "<u2") if rng.random() < 0.3 else ((480, 640, 3), "|u1")}
    if kind == "hd":
        return {"image": ((1080, 1920, 3), "|u1")}
    if kind == "4k":
        return {"image": ((2160, 3840, 3), "|u1")}
    if kind == "rgbd":
        return {"color": ((480, 640, 3), "|u1"), "depth": ((480, 640), "<u2")}
    if kind == "eight":
        return {f"part{i}": (rng.choice(TINY), rng.choice(DTYPES)) for i in range(8)}
    if kind == "growing":
        return {"image": ((min(LARGEST // 4, 64 * 5 ** (count // 40)),), "|u1")}
    raise ValueError(f"no such kind of layout: {kind}")


KINDS = ("tiny", "small", "vga", "hd", "4k", "rgbd", "eight", "growing")
