# SPDX-License-Identifier: Apache-2.0
"""dde:SERVICE: what dynamic data exchange does on Windows, on D-Bus: request, advise and poke.

A service is a name on the message bus of the session, or of another bus that `bus` names, with an object that every
program of the desktop can call, in any language (interface.py says what is there; `gdbus introspect` shows it). Frames
travel as descriptors of sealed memory: the bus passes on a few hundred bytes, and what is received is a view of what
was sent, which can't change any more.

    sink("dde:camera0")                 offers the service. A program may request the newest frame, be advised of a
                                        newer one, or listen to the signal Changed. send() never waits.
    source("dde:camera0")               requests the newest frame that it has not received yet, and is advised of it.
    source("dde:camera0?mode=poke")     offers a service to poke frames into; `depth` of them may wait.
    sink("dde:camera0?mode=poke")       pokes frames into it; send() waits until there is room.

So without a mode a slow receiver skips frames, counted as `dropped`, and with mode=poke none is ever missing. One
program offers a service, any number call it. When it goes, the others are told, and go on when the next one comes.

Memory that is not sealed is refused, and counted: it could change, or be cut off, while it is read. Before
Python 3.13, each frame that a program keeps keeps a descriptor.
"""

from __future__ import annotations

from typing import Annotated, Literal

from framebus._util import lifetime
from framebus.endpoint import BaseSink, BaseSource, Endpoint
from framebus.endpoint.kinds.dde.interface import CAPABILITIES
from framebus.endpoint.wire import DEFAULT_MAX_BYTES
from framebus.errors import InvalidUrl

Mode = Literal["advise", "poke"]
DEFAULT_DEPTH = 4
MOST_DEPTH = 1024


def open_source(
    service: str,
    *,
    mode: Annotated[Mode, "be advised by the sink, or offer a service that it pokes"] = "advise",
    bus: Annotated[str | None, "address of the message bus; that of the session if not said"] = None,
    connect_timeout: Annotated[float, "seconds to wait for the service (advise)"] = 0.0,
    depth: Annotated[int | None, "frames that may wait (poke); 4 if not said"] = None,
    max_bytes: Annotated[int, "bytes of the largest frame it takes"] = DEFAULT_MAX_BYTES,
) -> BaseSource:
    """Calls a service that sends frames, or offers one that receives them."""
    with lifetime.importing:
        from framebus.endpoint.kinds.dde.advise_client import FrameSource
        from framebus.endpoint.kinds.dde.poke_server import PokeSource

    if depth is not None and not 1 <= depth <= MOST_DEPTH:
        raise ValueError(f"depth must be 1 to {MOST_DEPTH}, got {depth}")
    if mode == "poke":
        if connect_timeout:
            raise InvalidUrl(_NOTHING_TO_WAIT_FOR.format(service))
        return PokeSource(service, bus, depth or DEFAULT_DEPTH, max_bytes)
    if depth is not None:
        raise InvalidUrl(f"'dde:{service}': there is only ever the newest frame, no depth, unless with mode=poke")
    return FrameSource(service, bus, max_bytes, connect_timeout)


def open_sink(
    service: str,
    *,
    mode: Annotated[Mode, "offer a service that advises sources, or poke one that a source offers"] = "advise",
    bus: Annotated[str | None, "address of the message bus; that of the session if not said"] = None,
    connect_timeout: Annotated[float, "seconds to wait for the service (poke)"] = 0.0,
) -> BaseSink:
    """Offers a service that sends frames, or calls one that receives them."""
    with lifetime.importing:
        from framebus.endpoint.kinds.dde.advise_server import FrameSink
        from framebus.endpoint.kinds.dde.poke_client import PokeSink

    if mode == "poke":
        return PokeSink(service, bus, connect_timeout)
    if connect_timeout:
        raise InvalidUrl(_NOTHING_TO_WAIT_FOR.format(service))
    return FrameSink(service, bus)


_NOTHING_TO_WAIT_FOR = "'dde:{}' offers the service itself, so there is nothing that connect_timeout could wait for"


ENDPOINTS = {
    "dde": Endpoint(
        "dde",
        "programs of the desktop in any language: request, advise and poke on D-Bus",
        "dde:SERVICE",
        open_source,
        open_sink,
        CAPABILITIES,
        needs=("dbus_fast",),
        extra="dbus",
    ),
}
