# SPDX-License-Identifier: Apache-2.0
"""Frames as bytes, for mechanisms that move messages: pipes, queues, sockets, datagrams.

A message is a head and, for a frame, a body:

    0   4 bytes   "FBUS"
    4   1 byte    version, 1
    5   1 byte    kind: 1 a frame, 2 the end of the stream
    6   2 bytes   0
    8   4 bytes   bytes of the description that follows
    12  4 bytes   0
    16  8 bytes   bytes of the body
    24  ...       description: JSON in UTF-8, padded with spaces to a multiple of 64 from the beginning of the message
    ... ...       the body: each array in C order, at a multiple of 64 from the beginning of the body

All numbers are little-endian; arrays are in the byte order that their dtype says. The description is an object with
"seq", "timestamp_ns", "wall_time_ns", "pixel_format" (or null), "meta" (an object) and "arrays": a list of objects with
"name", "dtype" (as numpy writes it, "<u2") and "shape".

Promise: nothing that comes from outside is trusted. decode_head() and describe() check every number against the limits
and against each other before anything is allocated, and raise Malformed, never anything else; a frame they accept lies
inside its body. Nothing here can run code that came with a message.
"""

from __future__ import annotations

import functools
import json
import math
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from framebus._core import MAX_META_BYTES
from framebus.endpoint import MAX_ARRAYS, MAX_DIMENSIONS, MAX_NAME_BYTES, OutgoingFrame
from framebus.frames import metadata, pixel_format as formats
from framebus.frames.frame import Frame

MAGIC = b"FBUS"
VERSION = 1
FRAME, END = 1, 2
LINE = 64
HEAD = struct.Struct("<4sBBHIIQ")
MAX_DESCRIPTION = MAX_META_BYTES + (64 << 10)
DEFAULT_MAX_BYTES = 1 << 30  # of a body, unless an endpoint is told otherwise
_DTYPE = re.compile(r"[<>|][biufc](1|2|4|8|16|32)")
_MAX_NUMBER = 1 << 63


class Malformed(ValueError):
    """A message that is not a frame; the text says what is wrong with it."""


@dataclass(frozen=True)
class Head:
    """The first 24 bytes of a message, checked.

    Attributes:
        kind: FRAME or END.
        description_bytes: that follow.
        body_bytes: that follow after them.
    """

    kind: int
    description_bytes: int
    body_bytes: int


@dataclass(frozen=True)
class ArrayPlace:
    """One array of a body: its name, dtype and shape, and where in the body it is."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class Description:
    """All of a frame but its bytes."""

    arrays: tuple[ArrayPlace, ...]
    body_bytes: int
    seq: int
    timestamp_ns: int
    wall_time_ns: int
    meta: dict[str, Any]
    pixel_format: str | None

    def frame(self, body: NDArray[np.uint8] | memoryview | bytes) -> Frame:
        """Returns the frame whose arrays are views of `body`, which must have body_bytes bytes or more."""
        return self.frame_of([np.ndarray(place.shape, place.dtype, body, place.offset) for place in self.arrays])

    def frame_of(self, arrays: Sequence[NDArray[Any]]) -> Frame:
        """Returns the frame of these arrays, one for each place."""
        return Frame(
            {place.name: array for place, array in zip(self.arrays, arrays, strict=True)},
            seq=self.seq,
            timestamp_ns=self.timestamp_ns,
            wall_time_ns=self.wall_time_ns,
            meta=self.meta,
            pixel_format=self.pixel_format,
        )


# Writing

_as_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def encode(frame: OutgoingFrame) -> tuple[bytes, list[NDArray[Any]]]:
    """Returns the head with the description, and the arrays in C order, of which pieces() makes the body."""
    arrays = [np.ascontiguousarray(array).reshape(array.shape) for array in frame.arrays.values()]
    described = _as_json_once(
        frame.pixel_format,
        tuple((name, array.dtype.str, array.shape) for name, array in zip(frame.arrays, arrays, strict=True)),
    )
    description = (
        f'{{"seq":{frame.seq},"timestamp_ns":{frame.timestamp_ns},"wall_time_ns":{frame.wall_time_ns},'
        f'"meta":{_as_json(metadata.to_object(frame.meta))},{described}}}'
    ).encode()
    description = description.ljust(_round_up(HEAD.size + len(description)) - HEAD.size)
    size = _plan([array.nbytes for array in arrays])[1]
    return HEAD.pack(MAGIC, VERSION, FRAME, 0, len(description), 0, size) + description, arrays


@functools.lru_cache(maxsize=64)
def _as_json_once(pixel_format: str | None, arrays: tuple[tuple[str, str, tuple[int, ...]], ...]) -> str:
    """What is the same in frame after frame: the inside of an object."""
    entries = [{"name": name, "dtype": dtype, "shape": list(shape)} for name, dtype, shape in arrays]
    return _as_json({"pixel_format": pixel_format, "arrays": entries})[1:-1]


def end() -> bytes:
    """Returns the message that ends a stream."""
    return HEAD.pack(MAGIC, VERSION, END, 0, 0, 0, 0)


def pieces(arrays: Sequence[NDArray[Any]]) -> Iterator[memoryview]:
    """Yields the body piece by piece, without copying: the bytes of each array, and the gaps between them."""
    for array in arrays:
        if array.nbytes:
            yield array.reshape(-1).view(np.uint8).data
        if gap := -array.nbytes % LINE:
            yield memoryview(_ZEROS)[:gap]


_ZEROS = bytes(LINE)


def _plan(sizes: Sequence[int]) -> tuple[list[int], int]:
    """Where arrays of these sizes begin, and how long the body is."""
    offsets, end_of_last = [], 0
    for size in sizes:
        offsets.append(end_of_last)
        end_of_last = _round_up(end_of_last + size)
    return offsets, end_of_last


def _round_up(size: int) -> int:
    return -(-size // LINE) * LINE


# Reading


def decode_head(data: bytes | memoryview, max_bytes: int = DEFAULT_MAX_BYTES) -> Head:
    """Reads the first 24 bytes of a message.

    Raises Malformed if they are not the beginning of one, or announce more than `max_bytes`.
    """
    if len(data) < HEAD.size:
        raise Malformed(f"{len(data)} bytes, a message has at least {HEAD.size}")
    magic, version, kind, zero, description_bytes, zero_too, body_bytes = HEAD.unpack_from(data)
    if magic != MAGIC:
        raise Malformed(f"it begins with {bytes(magic)!r}, a message begins with {MAGIC!r}")
    if version != VERSION:
        raise Malformed(f"version {version} of the format, this release knows {VERSION}; use one release")
    if kind not in (FRAME, END) or zero or zero_too:
        raise Malformed(f"kind {kind} of message, expected {FRAME} or {END}")
    if kind == END and (description_bytes or body_bytes):
        raise Malformed("an end with something after it")
    if description_bytes > MAX_DESCRIPTION:
        raise Malformed(f"a description of {description_bytes} bytes, the most is {MAX_DESCRIPTION}")
    if body_bytes > max_bytes:
        raise Malformed(
            f"a frame of {body_bytes} bytes, the source takes at most {max_bytes}; pass a larger max_bytes="
        )
    return Head(kind, description_bytes, body_bytes)


def describe(data: bytes | memoryview, head: Head) -> Description:
    """Reads the description that follows the head of a frame. Raises Malformed if it is none."""
    try:
        found = metadata.decode(bytes(data))
    except ValueError as error:
        raise Malformed(f"its description can't be read: {error}") from None
    if not isinstance(found.get("arrays"), list):
        raise Malformed("its description is not an object with arrays")
    if not 1 <= len(found["arrays"]) <= MAX_ARRAYS:
        raise Malformed(f"{len(found['arrays'])} arrays, a frame has 1 to {MAX_ARRAYS}")
    places = [_place(entry) for entry in found["arrays"]]
    if len({place.name for place in places}) != len(places):
        raise Malformed("two arrays of one name")
    offsets, size = _plan([place.nbytes for place in places])
    if size != head.body_bytes:
        raise Malformed(f"a body of {head.body_bytes} bytes for arrays that take {size}")
    meta, form = found.get("meta"), found.get("pixel_format")
    if not isinstance(meta, dict):
        raise Malformed("metadata that are not an object")
    if form is not None and (not isinstance(form, str) or form not in formats.FORMATS):
        raise Malformed(f"pixel format {form!r:.64} is not known")
    return Description(
        tuple(
            ArrayPlace(place.name, place.dtype, place.shape, offset)
            for place, offset in zip(places, offsets, strict=True)
        ),
        size,
        _number(found, "seq"),
        _number(found, "timestamp_ns"),
        _number(found, "wall_time_ns"),
        metadata.from_object(cast("dict[str, Any]", meta)),
        form,
    )


def _place(entry: object) -> ArrayPlace:
    if not isinstance(entry, dict):
        raise Malformed("an array that is not an object")
    name, dtype, shape = entry.get("name"), entry.get("dtype"), entry.get("shape")
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= MAX_NAME_BYTES:
        raise Malformed(f"an array name has 1 to {MAX_NAME_BYTES} bytes, got {name!r:.64}")
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise Malformed(f"array {name!r} has the dtype {dtype!r:.64}, expected numbers such as '<u2'")
    try:
        numpy_dtype = np.dtype(dtype)
    except TypeError:
        raise Malformed(f"array {name!r} has the dtype {dtype!r}, which numpy does not know") from None
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise Malformed(f"array {name!r} has no shape of 0 to {MAX_DIMENSIONS} dimensions")
    if not all(type(length) is int and 0 <= length < _MAX_NUMBER for length in shape):
        raise Malformed(f"array {name!r} has the shape {shape!r:.64}")
    if math.prod(filter(None, shape)) * numpy_dtype.itemsize >= _MAX_NUMBER:  # also where it is empty: numpy wants it
        raise Malformed(f"array {name!r} has the shape {shape!r:.64}, which is too large")
    return ArrayPlace(name, numpy_dtype, tuple(shape), 0)


def _number(found: dict[str, object], name: str) -> int:
    value = found.get(name)
    if type(value) is not int or not -_MAX_NUMBER <= value < _MAX_NUMBER:
        raise Malformed(f"{name} is {value!r:.64}, expected a whole number of 64 bits")
    return value
