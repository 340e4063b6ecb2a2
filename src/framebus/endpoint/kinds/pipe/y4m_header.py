# SPDX-License-Identifier: Apache-2.0
"""The first line of a YUV4MPEG2 stream: what all its frames are. What it says is checked before it is believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from framebus.endpoint.wire import Malformed

MAGIC = b"YUV4MPEG2"
MAX_LINE = 1024
MAX_SIDE = 1 << 16


class Chroma(NamedTuple):
    """How the planes of a frame lie: how much smaller chroma is, and how many planes there are."""

    across: int
    down: int
    planes: int


_CHROMA = {
    "420": Chroma(2, 2, 3),
    "420jpeg": Chroma(2, 2, 3),
    "420mpeg2": Chroma(2, 2, 3),
    "420paldv": Chroma(2, 2, 3),
    "411": Chroma(4, 1, 3),
    "422": Chroma(2, 1, 3),
    "444": Chroma(1, 1, 3),
    "444alpha": Chroma(1, 1, 4),
    "mono": Chroma(1, 1, 1),
}
_COLOUR_SPACE = re.compile(r"(420|422|444|mono)p?(9|10|12|14|16)|(" + "|".join(_CHROMA) + ")")
_FIELDS = {
    "W": re.compile(r"[1-9]\d{0,5}"),
    "H": re.compile(r"[1-9]\d{0,5}"),
    "F": re.compile(r"\d{1,10}:\d{1,10}"),
    "I": re.compile(r"[ptbm?]"),
    "A": re.compile(r"\d{1,10}:\d{1,10}"),
    "C": _COLOUR_SPACE,
}


@dataclass(frozen=True)
class Header:
    """The first line of a stream.

    Attributes:
        width, height: of the image, in pixels.
        chroma: the colour space as the stream names it, without its depth: "420jpeg", "444", "mono" ...
        depth: bits of a sample; those over 8 take two bytes.
        fps: frames per second, None where the stream does not say.
        full_range: whether samples use all values.
    """

    width: int
    height: int
    chroma: str
    depth: int
    fps: Fraction | None
    full_range: bool

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shape of each plane by its name, in their order in the stream."""
        across, down, planes = _CHROMA[self.chroma]
        if planes == 1:
            return {"image": (self.height, self.width)}
        small = (-(-self.height // down), -(-self.width // across))
        whole = (self.height, self.width)
        return dict(zip("yuva", (whole, small, small, whole)[:planes], strict=False))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a sample."""
        return np.dtype("u1" if self.depth == 8 else "<u2")

    @property
    def nbytes(self) -> int:
        """Bytes of a frame."""
        return sum(height * width for height, width in self.shapes.values()) * self.dtype.itemsize

    def line(self) -> bytes:
        """The line as it is written."""
        fps = self.fps or Fraction(0)
        text = f"YUV4MPEG2 W{self.width} H{self.height} F{fps.numerator}:{fps.denominator if fps else 0} Ip A1:1"
        limits = "FULL" if self.full_range else "LIMITED"
        return f"{text} C{self.chroma} XYSCSS={self.chroma.upper()} XCOLORRANGE={limits}\n".encode()


def parse(line: bytes) -> Header:
    """Reads the first line of a stream, without its end. Raises Malformed if it is none."""
    words = line.split(b" ")
    if words[0] != MAGIC:
        raise Malformed(f"it begins with {words[0][:16]!r}, a YUV4MPEG2 stream begins with {MAGIC!r}")
    found: dict[str, str] = {}
    full_range = False
    for word in filter(None, (part.decode("ascii", "replace") for part in words[1:])):
        if word[0] == "X":  # an extension; none changes how the planes lie
            full_range = full_range or word == "XCOLORRANGE=FULL"
            continue
        if word[0] in found or word[0] not in _FIELDS or not _FIELDS[word[0]].fullmatch(word[1:]):
            raise Malformed(f"its first line has the field {word!r:.40}, which is unknown, wrong or there twice")
        found[word[0]] = word[1:]
    if "W" not in found or "H" not in found:
        raise Malformed("its first line has no width or no height")
    if max(int(found["W"]), int(found["H"])) > MAX_SIDE:
        raise Malformed(f"an image of {found['W']}x{found['H']}, the most is {MAX_SIDE}x{MAX_SIDE}")
    space = _COLOUR_SPACE.fullmatch(found.get("C", "420jpeg"))
    assert space is not None  # fields were matched above
    top, bottom = map(int, found.get("F", "0:0").split(":"))
    return Header(
        int(found["W"]),
        int(found["H"]),
        space[1] or space[3],
        int(space[2] or 8),
        Fraction(top, bottom) if top and bottom else None,
        full_range,
    )
