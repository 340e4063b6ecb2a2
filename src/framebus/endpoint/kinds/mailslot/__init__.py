# SPDX-License-Identifier: Apache-2.0
"""mailslot:NAME: one-way broadcast to every box of that name on the machine; any number of senders and boxes.

Every source is a box: a Unix datagram socket in a folder that only its user may enter (directory.py). A sink
copies each frame once into a sealed memfd, which can't change any more, and sends it to all boxes that exist at this
moment (datagram.py). A box maps that memory: its arrays are read-only, and nothing is copied for it, however many boxes
there are.

Boxes come and go as they like. No box ever makes a sink wait: one that has `depth` frames of that sink waiting loses
the next one, which counts as `dropped` at the sink, once for each box, and at the source, which sees the gap in the
numbers when a later frame arrives. The system has a limit of its own (net.unix.max_dgram_qlen); beyond it the same
happens. With no box there, a frame goes nowhere and counts as sent.

A box hears of a sink with the first frame that is sent after the box was made, or with its close(). When all sinks that
it has heard of are gone it ends: with ChannelClosed if the last one closed, with PublisherDied if not, and goes on if
another one comes; endless=true waits for that silently. A child forked by a sink keeps it alive for the boxes.

Each frame that a program keeps keeps a descriptor. Both ends must see the same /dev/shm and have the same user.
"""

from __future__ import annotations

from typing import Annotated

from framebus._util import names
from framebus.endpoint import Capabilities, Endpoint, wire
from framebus.endpoint.kinds.mailslot.source_sink import MailslotSink, MailslotSource

MOST_DEPTH = 1024


def open_source(
    name: str,
    *,
    max_bytes: Annotated[int, "bytes of the largest frame it takes"] = wire.DEFAULT_MAX_BYTES,
    endless: Annotated[bool, "wait for other senders when all have gone"] = False,
) -> MailslotSource:
    """Makes a box."""
    return MailslotSource(names.check(name, "a mailslot"), max_bytes, endless)


def open_sink(
    name: str,
    *,
    depth: Annotated[int, "frames of this sink that may wait in a box"] = 8,
) -> MailslotSink:
    """Becomes a sender to all boxes of that name."""
    if not 1 <= depth <= MOST_DEPTH:
        raise ValueError(f"depth must be 1 to {MOST_DEPTH}, got {depth}")
    return MailslotSink(names.check(name, "a mailslot"), depth)


ENDPOINTS = {
    "mailslot": Endpoint(
        "mailslot",
        "broadcast to every box of that name; a slow one loses frames",
        "mailslot:NAME",
        open_source,
        open_sink,
        Capabilities(delivery="latest", receivers="many", reconnects=True, max_bytes=wire.DEFAULT_MAX_BYTES),
    ),
}
