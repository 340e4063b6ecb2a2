# SPDX-License-Identifier: Apache-2.0
"""shm:NAME, or just NAME: a channel in shared memory. Its source is a Subscriber, its sink a Publisher."""

from __future__ import annotations

from typing import Annotated

from framebus.channel.publisher import OnFull, Publisher
from framebus.channel.subscriber import Subscriber, Wait
from framebus.endpoint import Capabilities, Endpoint


def open_source(
    name: str,
    *,
    every: Annotated[bool, "every frame in order, instead of the newest"] = False,
    hold: Annotated[int, "frames that may be held at once"] = 2,
    history: Annotated[int, "begin that many frames back"] = 0,
    connect_timeout: Annotated[float, "seconds to wait for a program that publishes it"] = 0.0,
    wait: Annotated[Wait, "how to wait for a frame"] = "adaptive",
    max_spin: Annotated[float, "seconds that one wait may spin, unless wait=spin"] = 0.0005,
    reconnect: Annotated[bool, "go on with the next publisher"] = True,
) -> Subscriber:
    """Joins the channel, as Subscriber does."""
    return Subscriber(
        name,
        every=every,
        hold=hold,
        history=history,
        connect_timeout=connect_timeout,
        wait=wait,
        max_spin=max_spin,
        reconnect=reconnect,
    )


def open_sink(
    name: str,
    *,
    slots: Annotated[int, "frames to have room for"] = 8,
    max_bytes: Annotated[int | None, "bytes of the largest frame, if known"] = None,
    on_full: Annotated[OnFull, "what to do when an every=true reader is a ring behind"] = "drop",
) -> Publisher:
    """Makes the channel or takes it over, as Publisher does."""
    return Publisher(name, slots=slots, max_bytes=max_bytes, on_full=on_full)


ENDPOINTS = {
    "shm": Endpoint(
        scheme="shm",
        summary="shared memory on this machine, without copies",
        url_syntax="NAME or shm:NAME",
        source=open_source,
        sink=open_sink,
        capabilities=Capabilities(seq=False, delivery="either", receivers="many", reconnects=True),
    ),
}
