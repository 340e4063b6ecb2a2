# SPDX-License-Identifier: Apache-2.0
"""shm:NAME, or just NAME: a channel in shared memory. Its source is a Subscriber, its sink a Publisher."""

from __future__ import annotations

from typing import Annotated

from framebus.channel.options import DEFAULTS, SubscriberOptions, Wait
from framebus.channel.publisher import OnFull, Publisher
from framebus.channel.subscriber import Subscriber
from framebus.endpoint import Capabilities, Endpoint


def open_source(
    name: str,
    *,
    every: Annotated[bool, "every frame in order, instead of the newest"] = DEFAULTS.every,
    hold: Annotated[int, "frames that may be held at once"] = DEFAULTS.hold,
    history: Annotated[int, "begin that many frames back"] = DEFAULTS.history,
    connect_timeout: Annotated[float, "seconds to wait for a program that publishes it"] = DEFAULTS.connect_timeout,
    wait: Annotated[Wait, "how to wait for a frame"] = DEFAULTS.wait,
    max_spin: Annotated[float, "seconds that one wait may spin, unless wait=spin"] = DEFAULTS.max_spin,
    reconnect: Annotated[bool, "go on with the next publisher"] = DEFAULTS.reconnect,
) -> Subscriber:
    """Joins the channel, as Subscriber does."""
    options = SubscriberOptions(every, hold, history, connect_timeout, wait, max_spin, reconnect)
    return Subscriber(name, **vars(options))


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
        "shm",
        "shared memory on this machine, without copies",
        "NAME or shm:NAME",
        open_source,
        open_sink,
        Capabilities(seq=False, delivery="either", receivers="many", reconnects=True),
    ),
}
