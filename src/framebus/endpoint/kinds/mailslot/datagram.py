# SPDX-License-Identifier: Apache-2.0
"""The datagram that is sent to a box: 32 bytes with one descriptor.

    0   4 bytes   "FBML"
    4   1 byte    version, 1
    5   1 byte    kind: 1 a greeting, 2 a frame
    6   2 bytes   0
    8   8 bytes   stream: drawn by chance when the sink was opened
    16  8 bytes   number of the frame; in a greeting, of the last one before it
    24  8 bytes   size: bytes of the memfd; 0 in a greeting

All numbers are little-endian. The descriptor of a frame is a memfd with a message of framebus.endpoint.wire
in it. That of a greeting is the reading end of a pipe, whose writing end only the sender has: it hangs up when the
sender is gone, and there is a byte in it, which is never read, if it has closed.

Promise: what open_memfd() returns can't change any more; it takes nothing but a memfd of the announced size that
framebus.endpoint.memfd accepts, and maps nothing that is larger than max_bytes allows. A datagram with other
descriptors than its kind has is refused, and they are closed.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from framebus.endpoint import memfd, wire
from framebus.frames.frame import Frame

MAGIC = b"FBML"
VERSION = 1
GREETING, FRAME = 1, 2
DATAGRAM = struct.Struct("<4sBBHQQQ")


@dataclass(frozen=True)
class Datagram:
    """A checked datagram; its holder owns the descriptor."""

    kind: int
    stream: int
    number: int
    size: int
    descriptor: int


def write(kind: int, stream: int, number: int, size: int = 0) -> bytes:
    """Returns the datagram."""
    return DATAGRAM.pack(MAGIC, VERSION, kind, 0, stream, number, size)


def read(data: bytes, descriptors: Sequence[int]) -> Datagram:
    """Reads a datagram. Raises wire.Malformed for anything else; the caller closes the descriptors then."""
    if len(data) != DATAGRAM.size:
        raise wire.Malformed(f"{len(data)} bytes, a datagram has {DATAGRAM.size}")
    magic, version, kind, zero, stream, number, size = DATAGRAM.unpack(data)
    if magic != MAGIC or version != VERSION or zero or kind not in (GREETING, FRAME):
        raise wire.Malformed(f"it begins with {data[:8]!r}, a datagram of this release with {MAGIC!r} and {VERSION}")
    if len(descriptors) != 1:
        raise wire.Malformed(f"{len(descriptors)} descriptors, a datagram has one")
    if kind == GREETING and not stat.S_ISFIFO(os.fstat(descriptors[0]).st_mode):
        raise wire.Malformed("a greeting without a pipe")
    return Datagram(kind, stream, number, size, descriptors[0])


def make_memfd(head: bytes, arrays: Sequence[NDArray[Any]]) -> tuple[int, int]:
    """Returns a sealed memfd with the message, and its size. Raises OSError."""
    memory = memfd.make([head, *wire.pieces(arrays)])
    return memory, os.fstat(memory).st_size


def open_memfd(memory: int, size: int, max_bytes: int) -> Frame:
    """Returns the frame on a memfd as a view of it. Raises wire.Malformed where it is none, OSError for no memory."""
    message = memfd.look(memory, wire.HEAD.size + wire.MAX_DESCRIPTION + max_bytes)
    if len(message) != size:
        raise wire.Malformed(f"a memfd of {len(message)} bytes for a message of {size}")
    head = wire.decode_head(message[: wire.HEAD.size], max_bytes)
    body = wire.HEAD.size + head.description_bytes
    if head.kind != wire.FRAME or size != body + head.body_bytes:
        raise wire.Malformed(f"a message of {body + head.body_bytes} bytes on a memfd of {size}")
    return wire.describe(message[wire.HEAD.size : body], head).frame(message[body:])
