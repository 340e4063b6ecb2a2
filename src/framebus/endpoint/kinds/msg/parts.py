# SPDX-License-Identifier: Apache-2.0
"""Frames in parts, for queues whose messages are smaller than a frame.

Each message of the queue is one part:

    0   4 bytes   "FBPA"
    4   1 byte    version, 1
    5   1 byte    0
    6   2 bytes   place: which of the senders that are here sends it, 1 to MAX_SENDERS
    8   8 bytes   stream: drawn by chance when the sender was opened
    16  8 bytes   number: which message of the stream
    24  8 bytes   size: bytes of the whole message, a frame or an end as in framebus.endpoint.wire
    32  4 bytes   index: which part, from 0
    36  4 bytes   count: how many parts there are
    40  ...       the bytes; all parts but the last have the same length

All numbers are little-endian. The parts of one stream come in order, those of several streams in any mixture.

Promise: add() returns whole messages only. A part that does not continue what came before it ends the message that was
under way, and part 0 begins the next one, so that whatever was lost, the stream is found again. What a part announces
is checked before memory is taken: there are at most MAX_SENDERS messages under way, of max_bytes together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint import wire

MAGIC = b"FBPA"
VERSION = 1
PART = struct.Struct("<4sBBHQQQII")
MAX_SENDERS = 64
LEAST_BYTES = 256  # of a part: the head of a message lies in its first one


@dataclass(frozen=True)
class Message:
    """A message that has arrived whole."""

    place: int
    head: wire.Head
    data: NDArray[np.uint8]


@dataclass
class _Stream:
    """What is known of one sender: the last message that was whole, and the one under way."""

    stream: int
    last: int
    number: int = 0
    head: wire.Head | None = None
    data: NDArray[np.uint8] | None = None
    count: int = 0
    index: int = 0
    filled: int = 0


def count_of(size: int, part_bytes: int) -> int:
    """Returns how many parts of at most `part_bytes` a message of `size` bytes needs."""
    return max(1, -(-size // (part_bytes - PART.size)))


def split(
    pieces: Iterable[bytes | memoryview], size: int, *, place: int, stream: int, number: int, part_bytes: int
) -> Iterator[bytes]:
    """Yields the parts of the message that `pieces` make, `size` bytes in all."""
    room = part_bytes - PART.size
    count = count_of(size, part_bytes)
    index, waiting = 0, 0
    collected: list[bytes | memoryview] = [b""]
    for piece in pieces:
        rest = memoryview(piece)
        while len(rest):
            taken, rest = rest[: room - waiting], rest[room - waiting :]
            collected.append(taken)
            waiting += len(taken)
            if waiting == room or index * room + waiting == size:
                collected[0] = PART.pack(MAGIC, VERSION, 0, place, stream, number, size, index, count)
                yield b"".join(collected)
                index, waiting, collected = index + 1, 0, [b""]


def place_of(part: bytes) -> int:
    """Returns the place of the sender of a part that add() has taken."""
    return int(PART.unpack_from(part)[3])


class Assembler:
    """Puts the parts of many senders together again.

    Attributes:
        lost: messages that will never arrive whole, by the gaps in the numbers of each stream.
    """

    def __init__(self, max_bytes: int = wire.DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.lost = 0
        self._streams: dict[int, _Stream] = {}

    def add(self, part: bytes) -> Message | None:
        """Takes one part; returns the message that it completes, if it does. Raises wire.Malformed for no part."""
        if len(part) < PART.size:
            raise wire.Malformed(f"{len(part)} bytes, a part has at least {PART.size}")
        magic, version, zero, place, stream, number, size, index, count = PART.unpack_from(part)
        if magic != MAGIC or version != VERSION or zero:
            raise wire.Malformed(f"it begins with {part[:6]!r}, a part of this release with {MAGIC!r} and {VERSION}")
        if not 1 <= place <= MAX_SENDERS or not index < count:
            raise wire.Malformed(f"part {index} of {count} of sender {place}")
        known = self._streams.get(place)
        if known is None or known.stream != stream:
            self.forget(place)
            known = self._streams[place] = _Stream(stream, number if index else number - 1)
        payload = memoryview(part)[PART.size :]
        if index == 0:
            self._begin(known, number, size, count, payload)
        elif known.data is None:
            return None  # of a message whose beginning was lost
        return self._fill(place, known, (number, index, count, size), payload)

    def forget(self, place: int) -> None:
        """Forgets a sender that is gone; what it left half sent is lost."""
        known = self._streams.pop(place, None)
        if known is not None and known.data is not None:
            self.lost += known.number - known.last

    def _begin(self, known: _Stream, number: int, size: int, count: int, payload: memoryview) -> None:
        known.data = None
        if number <= known.last:
            raise wire.Malformed(f"message {number} after {known.last}")
        head = wire.decode_head(payload, self.max_bytes)
        if size != wire.HEAD.size + head.description_bytes + head.body_bytes:
            raise wire.Malformed(f"a message of {size} bytes in parts of one of {size}")
        if not len(payload) <= size or count != -(-size // len(payload)):
            raise wire.Malformed(f"{count} parts of {len(payload)} bytes for {size}")
        under_way = sum(stream.data.nbytes for stream in self._streams.values() if stream.data is not None)
        if size + under_way > self.max_bytes + wire.MAX_DESCRIPTION:
            raise wire.Malformed(f"a message of {size} bytes while {under_way} are under way; pass a larger max_bytes=")
        known.number, known.head, known.count = number, head, count
        known.index = known.filled = 0
        known.data = np.empty(size, np.uint8)

    def _fill(self, place: int, known: _Stream, said: tuple[int, int, int, int], payload: memoryview) -> Message | None:
        assert known.data is not None
        assert known.head is not None
        end = known.filled + len(payload)
        if said != (known.number, known.index, known.count, known.data.nbytes) or end > known.data.nbytes:
            known.data = None
            return None
        known.data[known.filled : end] = np.frombuffer(payload, np.uint8)
        known.filled, known.index = end, known.index + 1
        if known.index < known.count:
            return None
        data, known.data = known.data, None
        if known.filled != data.nbytes:
            return None
        self.lost += known.number - known.last - 1
        known.last = known.number
        return Message(place, known.head, data)
