# SPDX-License-Identifier: Apache-2.0
"""msg:NAME: a POSIX message queue, Linux's counterpart of window messages; any number of senders, one receiver.

A frame goes through the queue in parts (parts.py), since its messages are small: 8192 bytes, and ten of them, if
the system's limits are unchanged. Source and sink may start in any order and restart. A queue lives as long as a source
or sink is open; frames that were not received when the last one closes are gone (queue.py).

A sink that finds no room, with on_full=
    block   waits for it, at most timeout= seconds, then raises ChannelFullTimeout
    drop    drops the frame, counted in `dropped` of sink and source, and never delivers half of one: a frame that fits
            into the queue is begun only if there is room for all of it, a larger one only if the queue is empty and
            a receiver is there. If that receiver then takes nothing for STALL_S, the rest is given up; the receiver
            drops what it has of it and goes on with the next frame.
    raise   raises ChannelFull in the same cases

priority= is that of all parts of a sink. Those of a higher one overtake those of the others in the queue, so that an
urgent frame is complete before an ordinary one that began earlier. Frames of one sink never overtake each other.

The source ends when the last sender has left: with ChannelClosed if it closed, with PublisherDied if not. It is told
apart by a last message; a sink that finds no room for it within LINGER_S when it closes leaves without it. While other
senders are there, one that dies only leaves a gap. A new sender continues where the last ones ended.
"""

from __future__ import annotations

from typing import Annotated, Literal

from framebus._util import names
from framebus.endpoint import Capabilities, Endpoint, wire
from framebus.endpoint.kinds.msg.source_sink import MsgSink, MsgSource

MOST_PRIORITY = 31  # what POSIX promises


def open_source(
    name: str,
    *,
    max_bytes: Annotated[int, "bytes of the largest frame it takes"] = wire.DEFAULT_MAX_BYTES,
    depth: Annotated[int | None, "messages in the queue, if it has to be made"] = None,
    part_bytes: Annotated[int | None, "bytes of a message, if the queue has to be made"] = None,
) -> MsgSource:
    """Joins the queue as its receiver, or makes it."""
    return MsgSource(names.check(name, "a queue"), max_bytes, depth, part_bytes)


def open_sink(
    name: str,
    *,
    on_full: Annotated[Literal["block", "drop", "raise"], "what to do with a frame when there is no room"] = "block",
    priority: Annotated[int, "0 to 31; frames of a higher one overtake those of other sinks"] = 0,
    depth: Annotated[int | None, "messages in the queue, if it has to be made"] = None,
    part_bytes: Annotated[int | None, "bytes of a message, if the queue has to be made"] = None,
) -> MsgSink:
    """Joins the queue as a sender, or makes it."""
    if not 0 <= priority <= MOST_PRIORITY:
        raise ValueError(f"priority must be 0 to {MOST_PRIORITY}, got {priority}")
    return MsgSink(names.check(name, "a queue"), on_full, priority, depth, part_bytes)


ENDPOINTS = {
    "msg": Endpoint(
        "msg",
        "a message queue of the system: many senders, priorities",
        "msg:NAME",
        open_source,
        open_sink,
        Capabilities(reconnects=True, max_bytes=wire.DEFAULT_MAX_BYTES),
        needs=("posix_ipc",),
        extra="msg",
    ),
}
