# SPDX-License-Identifier: Apache-2.0
"""Frames as `msg:` sends them: in the wire format, cut into parts."""

from __future__ import annotations

import numpy as np

from framebus.endpoint import OutgoingFrame, wire
from framebus.endpoint.kinds.msg import parts


def message_of(number: int, size: int = 60) -> bytes:
    """Returns a frame as framebus.endpoint.wire writes it, filled with its number."""
    head, arrays = wire.encode(OutgoingFrame({"image": np.full(size, number, np.uint8)}, number, 0, 0, {}, None))
    return head + b"".join(wire.pieces(arrays))


def parts_of(message: bytes, number: int, *, place: int = 1, stream: int = 5, part_bytes: int = 256) -> list[bytes]:
    return list(parts.split([message], len(message), place=place, stream=stream, number=number, part_bytes=part_bytes))
