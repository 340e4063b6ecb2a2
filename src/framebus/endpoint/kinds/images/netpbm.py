# SPDX-License-Identifier: Apache-2.0
"""Netpbm: PBM, PGM, PPM and PAM, ASCII or binary, with any maximum, any number of pictures in a file; and PFM.

Numbers are those of the file, also where its maximum is 100 or 4095. The pixel format tells the maximum as far as it
can (Mono12 for 4095), "maxval" of the origin in all other cases. Black and white (PBM, and PAM of that kind) becomes 0
and 255. PFM has its last row first, and is turned; its scale is in the origin.

A header is checked before anything is allocated. A number above the maximum is refused, and so is a file that ends too
early.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.images.page import Page, check_size, of_samples

MAGICS: Final = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF")
_TOKEN = re.compile(rb"(?:[ \t\r\n\v\f]|#[^\n]*\n)*([^ \t\r\n\v\f#]+)")
_SPACES = b" \t\r\n\v\f"
_NOT_SPACE = re.compile(rb"[^ \t\r\n\v\f]")
_MAX_MAXVAL = 65535


class _Reader:
    """The bytes of a file, and how far they have been read."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def is_at_end(self) -> bool:
        """Whether nothing but white space follows, which is stepped over."""
        found = _NOT_SPACE.search(self.data, self.at)
        self.at = len(self.data) if found is None else found.start()
        return found is None

    def word(self, what: str) -> bytes:
        found = _TOKEN.match(self.data, self.at)
        if found is None:
            raise ValueError(f"the file ends before {what}")
        self.at = found.end()
        return found[1]

    def number(self, what: str, most: int, least: int = 1) -> int:
        word = self.word(what)
        if not word.isdigit() or len(word) > 12 or not least <= int(word) <= most:
            raise ValueError(f"{what} is {word[:20]!r}, expected a number from {least} to {most}")
        return int(word)

    def space(self) -> None:
        """Steps over the one white space between a header and binary numbers."""
        if self.data[self.at : self.at + 1] not in {bytes([space]) for space in _SPACES}:
            raise ValueError("the header does not end in white space")
        self.at += 1

    def array(self, count: int, dtype: str) -> NDArray[Any]:
        kind = np.dtype(dtype)
        if len(self.data) - self.at < count * kind.itemsize:
            raise ValueError(f"the file ends {self.at + count * kind.itemsize - len(self.data)} bytes too early")
        found = np.frombuffer(self.data, kind, count, self.at)
        self.at += found.nbytes
        return found

    def numbers(self, count: int, maxval: int) -> NDArray[Any]:
        """Numbers as text."""
        rest = self.data[self.at :]
        words = (re.sub(rb"#[^\n]*\n", b" ", rest) if b"#" in rest else rest).split(None, count)
        self.data, self.at = b"".join(words[count:]), 0
        if len(words) < count:
            raise ValueError(f"the file ends after {len(words)} samples of {count}")
        if not b"".join(words[:count]).isdigit():
            wrong = next(word for word in words if not word.isdigit())
            raise ValueError(f"a sample is {wrong[:20]!r}, expected a number from 0 to {maxval}")
        return np.array([int(word) for word in words[:count]], np.int64)

    def bits(self, count: int) -> NDArray[Any]:
        """Zeros and ones as text, with or without spaces between them."""
        made = np.empty(count, np.uint8)
        done = 0
        while done < count:
            word = self.word("a sample")
            if word.strip(b"01"):
                raise ValueError(f"a sample is {word[:20]!r}, expected 0 or 1")
            if len(word) > count - done:
                self.at -= len(word) - (count - done)
                word = word[: count - done]
            made[done : done + len(word)] = np.frombuffer(word, np.uint8) - ord("0")
            done += len(word)
        return made


def pages(path: str) -> Iterator[Page]:
    """Yields the pictures of a file."""
    reader = _Reader(Path(path).read_bytes())
    number = 0
    while True:
        page = _next(reader)
        is_last = reader.is_at_end()
        yield page.at(None if is_last and number == 0 else number)
        if is_last:
            return
        number += 1


def _next(reader: _Reader) -> Page:
    magic = reader.data[reader.at : reader.at + 2]
    if magic not in MAGICS:
        raise ValueError(f"a picture begins with {magic!r}, expected P1 to P7, Pf or PF")
    reader.at += 2
    if magic == b"P7":
        return _pam(reader)
    width, height = (reader.number(what, 1 << 31) for what in ("the width", "the height"))
    check_size(width, height)
    if magic in (b"Pf", b"PF"):
        return _pfm(reader, width, height, 3 if magic == b"PF" else 1)
    if magic in (b"P1", b"P4"):
        if magic == b"P1":
            black = reader.bits(width * height).reshape(height, width)
        else:
            reader.space()
            rows = reader.array(height * -(-width // 8), "u1").reshape(height, -1)
            black = np.unpackbits(rows, axis=1, count=width)
        return Page(np.where(black, np.uint8(0), np.uint8(255)), "Mono8", {})
    maxval = reader.number("the maximum", _MAX_MAXVAL)
    channels = 3 if magic in (b"P3", b"P6") else 1
    count = width * height * channels
    if magic in (b"P2", b"P3"):
        samples = reader.numbers(count, maxval)
    else:
        reader.space()
        samples = reader.array(count, "u1" if maxval < 256 else ">u2")
    return _checked(samples, (height, width, channels), maxval, colour=channels == 3, alpha=False)


def _checked(samples: NDArray[Any], shape: tuple[int, ...], maxval: int, *, colour: bool, alpha: bool) -> Page:
    if samples.size and int(samples.max()) > maxval:
        raise ValueError(f"a sample is {samples.max()}, more than the maximum {maxval}")
    array = samples.reshape(shape).astype(np.uint8 if maxval < 256 else np.uint16)
    return of_samples(array, maxval, colour=colour, alpha=alpha)


def _pam(reader: _Reader) -> Page:
    end = reader.data.find(b"\nENDHDR\n", reader.at)
    if end < 0:
        raise ValueError("the header has no ENDHDR")
    fields: dict[str, str] = {}
    for line in reader.data[reader.at : end].decode("ascii", "replace").splitlines():
        name, _, value = line.strip().partition(" ")
        if name and not name.startswith("#"):
            fields[name] = f"{fields[name]} {value.strip()}" if name == "TUPLTYPE" and name in fields else value.strip()
    reader.at = end + len(b"\nENDHDR\n")
    width, height, channels, maxval = (
        _field(fields, name, most)
        for name, most in (("WIDTH", 1 << 31), ("HEIGHT", 1 << 31), ("DEPTH", 1 << 16), ("MAXVAL", _MAX_MAXVAL))
    )
    check_size(width, height, channels)
    samples = reader.array(width * height * channels, "u1" if maxval < 256 else ">u2")
    kind = fields.get("TUPLTYPE", "")
    colour = channels in (3, 4) and kind in ("RGB", "RGB_ALPHA")
    alpha = kind.endswith("_ALPHA") and channels == (4 if colour else 2)
    if kind.startswith("BLACKANDWHITE") and maxval == 1 and samples.size and int(samples.max()) <= 1:
        samples, maxval = samples * np.uint8(255), 255
    return _checked(samples, (height, width, channels), maxval, colour=colour, alpha=alpha)


def _field(fields: dict[str, str], name: str, most: int) -> int:
    text = fields.get(name, "")
    if not text.isdigit() or len(text) > 12 or not 1 <= int(text) <= most:
        raise ValueError(f"{name} is {text[:20]!r}, expected a number from 1 to {most}")
    return int(text)


def _pfm(reader: _Reader, width: int, height: int, channels: int) -> Page:
    word = reader.word("the scale")
    try:
        scale = float(word)
    except ValueError:
        scale = 0.0
    if not scale or not np.isfinite(scale):
        raise ValueError(f"the scale is {word[:20]!r}, expected a number that is not 0")
    reader.space()
    samples = reader.array(width * height * channels, "<f4" if scale < 0 else ">f4").astype(np.float32)
    array = samples.reshape(height, width, channels)[::-1]
    found = of_samples(array, None, colour=channels == 3, alpha=False)
    if abs(scale) != 1:
        found.origin["scale"] = abs(scale)
    return found
