# SPDX-License-Identifier: Apache-2.0
"""A frame that is being sent: checked so far that a receiver has nothing to refuse."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus import _core
from framebus.frames import metadata
from framebus.frames.arrays import as_arrays_and_format

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class OutgoingFrame:
    """A frame that is being sent: checked, with all that is to be carried."""

    arrays: Arrays
    seq: int
    timestamp_ns: int
    wall_time_ns: int
    meta: dict[str, Any]
    pixel_format: str | None

    @property
    def array(self) -> NDArray[Any]:
        """The first array."""
        return next(iter(self.arrays.values()))

    def upright(self, *, by_user: bool = False) -> NDArray[Any]:
        """The first array, turned as the "rotation" of its source says, in degrees counterclockwise.

        Files that can't say so themselves store this. `by_user` honours a "rotation" of the user's metadata too.
        """
        meta = self.meta
        if not by_user:
            meta = meta.of_the_source() if isinstance(meta, metadata.Metadata) else {}
        rotation = meta.get("rotation")
        if isinstance(rotation, int) and rotation % 90 == 0 and self.array.ndim >= 2:
            return np.rot90(self.array, rotation // 90)
        return self.array


def outgoing_frame(
    image: object,
    seq: int,
    timestamp_ns: int,
    wall_time_ns: int,
    meta: Mapping[str, object] | None,
    pixel_format: str | None,
) -> OutgoingFrame:
    """Returns the frame that is to be sent; a single array is called "image". Raises TypeError or ValueError."""
    arrays, pixel_format = as_arrays_and_format(image, pixel_format)
    if not isinstance(arrays, dict):
        arrays = {"image": arrays}
    _core.check_arrays(arrays)
    return OutgoingFrame(
        arrays,
        _int64("seq", seq),
        _int64("timestamp_ns", timestamp_ns),
        _int64("wall_time_ns", wall_time_ns),
        metadata.decode(metadata.encode(meta) or b""),
        pixel_format,
    )


def _int64(name: str, value: int) -> int:
    """The int of 64 bits that `value` is; numpy's are taken too."""
    number = operator.index(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{name} must have at most 64 bits, got {number}")
    return number
