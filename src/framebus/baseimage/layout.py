# SPDX-License-Identifier: Apache-2.0
"""The bytes: four int32 and the pixels. Says which image a header describes, and which header describes an image.

    byte  0  length of the pixels in bytes, padding of rows included
    byte  4  width in pixels
    byte  8  height in pixels
    byte 12  bits per pixel: 8, 16, 24 (blue, green, red) or 32 (blue, green, red, alpha)
    byte 16  the rows

All numbers are little-endian. Nothing in a header is believed: one that contradicts itself or the memory it is in is
CorruptChannel, so the pixels of a Geometry are always inside.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus._util import names
from framebus.errors import CorruptChannel, InvalidName
from framebus.frames import pixel_format as formats

HEADER = struct.Struct("<4i")
CAPACITY = 2048 * 4096 * 4
STRIDES = (1, 4)

_OTHERS_NAMES = ("framebus.", "sem.")  # files of channels and of semaphores are not images


class Depth(NamedTuple):
    """The dtype and channels of pixels with that many bits."""

    bits: int
    channels: int  # 1: no axis for them
    dtype: np.dtype[Any]
    pixel_format: str


DEPTHS = {
    8: Depth(8, 1, np.dtype("<u1"), "Mono8"),
    16: Depth(16, 1, np.dtype("<u2"), "Mono16"),
    24: Depth(24, 3, np.dtype("<u1"), "BGR8"),
    32: Depth(32, 4, np.dtype("<u1"), "BGRa8"),
}

# The channels of what has them in another order than the layout.
_ORDERS = {"RGB8": [2, 1, 0], "RGBa8": [2, 1, 0, 3]}


class Geometry(NamedTuple):
    """An image in the memory: its size, its depth, and the bytes from one row to the next."""

    width: int
    height: int
    depth: Depth
    row_bytes: int

    @property
    def length(self) -> int:
        """Bytes of all rows, which is the first number of the header."""
        return self.row_bytes * self.height

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        rows = (self.height, self.width)
        return rows if self.depth.channels == 1 else (*rows, self.depth.channels)

    @property
    def is_padded(self) -> bool:
        """Whether there are bytes between the rows."""
        return self.row_bytes != pixel_bytes(self.width, self.depth)

    def header(self) -> bytes:
        """The sixteen bytes that describe it."""
        return HEADER.pack(self.length, self.width, self.height, self.depth.bits)

    def array_in(self, buffer: NDArray[np.uint8], rows: int | None = None) -> NDArray[Any]:
        """Returns the pixels in `buffer`, without what pads the rows, as an array that shares its memory."""
        depth = self.depth
        shape = (self.height if rows is None else rows, *self.shape[1:])
        pixel = (depth.dtype.itemsize,) if depth.channels == 1 else (depth.channels, 1)
        return np.ndarray(shape, depth.dtype, buffer, strides=(self.row_bytes, *pixel))


def pixel_bytes(width: int, depth: Depth) -> int:
    """Bytes of a row of `width` pixels without padding."""
    return width * depth.bits // 8


def padded(count: int, stride: int) -> int:
    """`count` bytes rounded up to a multiple of `stride`."""
    return -(-count // stride) * stride


def check_name(name: str) -> str:
    """Returns `name` if it can be one; raises InvalidName, or TypeError if it is not a str."""
    if not isinstance(name, str):
        raise TypeError(f"name must be a str such as 'BaseImage', not {type(name).__name__}")
    if names.check(name, "an image").startswith(_OTHERS_NAMES):
        raise InvalidName(
            f"{name!r} is not a name for an image: what begins with 'framebus.' or 'sem.' belongs to channels and "
            "semaphores; use another one, for example 'BaseImage'"
        )
    return name


def prepare(array: NDArray[Any], pixel_format: str | None) -> tuple[NDArray[Any], Depth, list[int] | None]:
    """Returns `array` without an axis of one channel, the depth that it takes, and the order of channels to write.

    Raises TypeError for another dtype, ValueError for another shape or a pixel format of another depth.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype.kind != "u" or array.dtype.itemsize > 2:
        raise TypeError(f"a base image is of uint8 or uint16, not {array.dtype}; use array.astype('uint8')")
    bits = channels * array.dtype.itemsize * 8
    depth = DEPTHS.get(bits)
    if array.ndim not in (2, 3) or array.size == 0 or depth is None or depth.channels != channels:
        raise ValueError(
            f"a base image has 8, 16, 24 or 32 bits per pixel: an array of uint8 or uint16 with shape (height, width), "
            f"or of uint8 with (height, width, 3) or (height, width, 4); got {array.dtype} with shape {array.shape}"
        )
    if pixel_format is not None:
        known = formats.FORMATS[formats.check(pixel_format)]
        if known.bits_per_pixel != bits:
            raise ValueError(f"{pixel_format} has {known.bits_per_pixel} bits per pixel, the array {bits}")
    return array, depth, _ORDERS.get(pixel_format or "")


def parse(header: bytes, size: int, stride: int | None) -> Geometry | None:
    """Returns the image that `header` describes in a memory of `size` bytes; None if all of it is 0, so no image yet.

    `stride` is what rows are padded to, None for whichever fits. Raises CorruptChannel for every contradiction.
    """
    length, width, height, bits = HEADER.unpack(header)
    if not any((length, width, height, bits)):
        return None
    told = f"length {length}, width {width}, height {height}, {bits} bits per pixel"
    if bits not in DEPTHS or min(length, width, height) <= 0:
        raise CorruptChannel(f"no image has {told}; expected positive numbers, and 8, 16, 24 or 32 bits per pixel")
    depth = DEPTHS[bits]
    row = pixel_bytes(width, depth)
    for candidate in STRIDES if stride is None else (stride,):
        if padded(row, candidate) * height == length:
            if HEADER.size + length > size:
                raise CorruptChannel(f"{told} and 16 bytes of header do not fit into the memory of {size} bytes")
            return Geometry(width, height, depth, padded(row, candidate))
    lengths = " or ".join(str(padded(row, candidate) * height) for candidate in STRIDES)
    raise CorruptChannel(f"{told} contradict each other: that many pixels take {lengths} bytes (rows padded to 4)")
