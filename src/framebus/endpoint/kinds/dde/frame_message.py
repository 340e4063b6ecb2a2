# SPDX-License-Identifier: Apache-2.0
"""A frame as it goes over the bus: sealed memory with the arrays, and a description."""

from __future__ import annotations

from typing import Any

from dbus_fast import Message

from framebus.endpoint import OutgoingFrame, memfd, wire
from framebus.frames.frame import Frame


def pack(frame: OutgoingFrame) -> tuple[int, str]:
    """Returns the descriptor of the memory, and the description. Raises OSError."""
    head, arrays = wire.encode(frame)
    return memfd.make(wire.pieces(arrays)), head[wire.HEAD.size :].decode().rstrip()


def unpack(message: Message, index: Any, description: str, max_bytes: int) -> Frame:
    """Returns the frame whose memory is the message's descriptor of that index, as a view of it.

    Raises Malformed where it is none, OSError where it can't be mapped. The descriptor stays the message's.
    """
    if not 0 <= index < len(message.unix_fds):
        raise wire.Malformed(f"descriptor {index} of {len(message.unix_fds)}")
    data = description.encode()
    if len(data) > wire.MAX_DESCRIPTION:
        raise wire.Malformed(f"a description of {len(data)} bytes, the most is {wire.MAX_DESCRIPTION}")
    memory = memfd.look(message.unix_fds[index], max_bytes)
    return wire.describe(data, wire.Head(wire.FRAME, len(data), len(memory))).frame(memory)
