# SPDX-License-Identifier: Apache-2.0
"""What the numbers of a picture are: dtype, channels and range, and how a colour becomes such numbers.

Colours are written as levels from 0 to WHITE of blue, green and red. Integers go from 0 to the largest of their depth
(4095 for Mono12, 127 for int8), floats from 0 to 1, complex numbers have no imaginary part, a bool is a level of half
of WHITE or more. Alpha is opaque.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus.frames import pixel_format as formats

WHITE = 65535
_LUMINANCE = (0.114, 0.587, 0.299)  # of blue, green and red, by ITU-R BT.601
_PLAIN = re.compile(r"(Mono|RGB|BGR|RGBa|BGRa|Data|Coord3D_C|Confidence)(\d+)[sf]?")


@dataclass(frozen=True)
class Samples:
    """The numbers of a picture.

    Attributes:
        dtype: of a sample.
        channels: 1, 3 or 4 samples for each pixel.
        top: the number for WHITE.
        is_rgb: whether red comes first.
        pixel_format: PFNC name, None where there is none.
    """

    dtype: np.dtype[Any]
    channels: int
    top: int
    is_rgb: bool = False
    pixel_format: str | None = None

    @staticmethod
    def of(pixel_format: str | None, dtype: str | None = None, channels: int | None = None) -> Samples:
        """Returns what these say together. Raises ValueError or TypeError if they contradict each other."""
        if pixel_format is None:
            kind = _dtype(dtype or "uint8")
            number = 3 if channels is None else channels
            if number not in (1, 3, 4):
                raise ValueError(f"channels must be 1, 3 or 4, got {number}")
            top = int(np.iinfo(kind).max) if kind.kind in "iu" else 1
            return Samples(kind, number, top, pixel_format=formats.guess((1, 1, number), kind))
        known = formats.FORMATS[formats.check(pixel_format)]
        plain = _PLAIN.fullmatch(known.name)
        if plain is None or known.dtype is None:
            raise ValueError(
                f"pixel_format {known.name} can't be painted; it can be Mono, RGB, BGR, RGBa, BGRa, Data, Coord3D_C or "
                "Confidence with a depth of whole bytes for each sample, such as Mono12"
            )
        kind = np.dtype(known.dtype)
        for name, given, right in (("dtype", dtype and _dtype(dtype), kind), ("channels", channels, known.channels)):
            if given is not None and given != right:
                raise ValueError(f"{known.name} has {name} {right}, not {given}; leave {name} out")
        bits = int(plain[2]) - (kind.kind == "i")
        top = 1 if kind.kind == "f" else (1 << bits) - 1
        return Samples(kind, known.channels, top, known.name.startswith("RGB"), known.name)

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Of a picture; one without colours has no axis for them."""
        return (height, width) if self.channels == 1 else (height, width, self.channels)

    def colour(self, levels: NDArray[Any]) -> NDArray[Any]:
        """Returns the pixels for levels of blue, green and red, which are the last axis."""
        if self.channels == 1:
            return self.numbers(np.rint(levels @ np.array(_LUMINANCE)))
        made = np.empty((*levels.shape[:-1], self.channels), self.dtype)
        made[..., :3] = self.numbers(levels[..., ::-1] if self.is_rgb else levels)
        if self.channels == 4:
            made[..., 3] = self.numbers(np.array(WHITE))
        return made

    def numbers(self, levels: NDArray[Any]) -> NDArray[Any]:
        """Returns the numbers for levels."""
        if self.dtype.kind == "b":
            return 2 * levels > WHITE
        if self.dtype.kind in "fc":
            return (levels / WHITE).astype(self.dtype)
        whole = levels.astype(np.uint64)
        scaled = whole * (self.top // WHITE) if self.top > WHITE else (whole * self.top + WHITE // 2) // WHITE
        return scaled.astype(self.dtype)

    def by_chance(self, random: np.random.Generator, target: NDArray[Any]) -> None:
        """Fills a picture with noise."""
        size, kind = target.shape, self.dtype.kind
        if kind == "u" and self.top == np.iinfo(self.dtype).max:
            target[...] = np.frombuffer(random.bytes(target.nbytes), self.dtype).reshape(size)
        elif kind in "iu":
            plain = self.dtype.newbyteorder("=")
            target[...] = random.integers(0, self.top, size, plain.type, endpoint=True)
        elif kind == "b":
            target[...] = random.integers(0, 2, size, np.uint8)
        else:
            target[...] = random.random(size)
        if self.channels == 4:
            target[..., 3] = self.numbers(np.array(WHITE))


def _dtype(name: str) -> np.dtype[Any]:
    try:
        found = np.dtype(name)
    except TypeError:
        raise ValueError(f"dtype {name!r} is not known to numpy; write it like uint16 or float32") from None
    if found.kind not in "biufc":
        raise ValueError(f"dtype {name!r} is not a number; write one like uint16 or float32")
    return found
