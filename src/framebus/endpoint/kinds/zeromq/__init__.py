# SPDX-License-Identifier: Apache-2.0
"""tcp://HOST:PORT and ipc://PATH: frames over ZeroMQ, between programs or machines.

Which end binds: the sink binds and the source connects, unless `bind` says otherwise; one of the two must. They may be
started in any order, and either may come again. A source that binds takes several sinks; the end of one is its end.

mode=latest (PUB/SUB): every receiver gets the newest frame, whole, and skips what it has no time for; no receiver slows
the sender. What is sent before a receiver's subscription has arrived is not for it: pass wait_for=1 to the sink to wait
for that. The last frame before a pause, and the end, reach a receiver that is slow as soon as it has room.

mode=every (PUSH/PULL): every frame arrives, in order. At most `hwm` frames wait on each side, then send() waits. With
several receivers each frame goes to one of them. Nothing is lost while the receiver lives and its connection holds;
with it go the frames that were on their way: those waiting on both sides, and those in the system's buffers. Frames
that are not taken `linger` seconds after the sink's close() are lost too.

A receiver that lives but is stopped has a full queue before long. send() then waits for as long as that lasts; with a
timeout it raises Timeout, the frame is not sent, and no other is lost or comes twice. Ctrl-C, and close() by another
thread, end the wait too; if the frame had begun to leave, they do so by hanging up.

Ends: the close of the sink is ChannelClosed at each receiver, after its last frame. The death of the sender is silence,
so recv() ends with Timeout, and goes on when a sender comes again; with reconnect=false it is PublisherDied.
`dropped` at a source counts the numbers missing in `seq`; with mode=every and several receivers that is also
what the others got.

Copies: a received array of 8 KiB or more is the memory that ZeroMQ received into, and read-only. The caller may change
the array as soon as send() has returned. mode=latest copies each frame once. mode=every copies nothing while there is
one receiver and send() has no timeout: it then returns when the frame has left this program, and what interrupts it
closes the sink, so that no half-changed frame arrives. Else, or with copy=true, it copies once, into memory that it
keeps for this, and returns as soon as there is room in the queue. A copy takes more time than that wait.

What the wait costs: from the moment when a frame has left until this program has been told and has given the next one,
ZeroMQ has nothing to send. Three threads wake one another meanwhile, which takes 0.1 to 0.2 ms, about an eighth of the
time of a frame of 1080p by a path (benchmarks/zeromq.py). Bare pyzmq does not wait, nor does it say when an array may
be changed. Within a machine TCP has a send buffer of 256 KiB, which makes more of a difference than anything else: left
to itself it takes nearly twice as long, see zmq_socket.py.

Security: loopback and paths alone unless public=true. A path is bound with mode 0600, whatever the umask, and an end
that connects to one refuses the socket of another user (local.py), and sends nothing before it knows whose it is; an
abstract name is bound with public=true or keys only. tcp://127.0.0.1 is open to every user of this machine: with
mode=every a stranger that connects as a receiver takes its share of the frames, and with each mode a stranger can read
them, and feed a source that binds. Keys keep it out. With curve keys, made by zmq.auth.create_certificates(), the end
that binds needs curve_secret_key, the end that connects curve_server_key, the public key of the other: traffic is
encrypted, and the end that binds is authenticated. A program that doesn't know the public key can't connect. What
strangers send that is not ZeroMQ of version 3 or newer (ZMTP 3) is refused before it becomes a peer, and changes
nothing for peers (connections.py). Without keys, a foreign sender can make a source hold more memory than max_bytes
says: ZeroMQ limits the size of a part, not how many make a message, and hands a message over only when it is complete.
Here no part is kept of one that has too many.

On the wire a frame is a message of several parts: head and description as framebus.endpoint.wire has them, then each
array. An end is one part.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from framebus._util import lifetime
from framebus._util.checks import check_range
from framebus.endpoint import BaseSink, BaseSource, Capabilities, Endpoint, wire
from framebus.endpoint.kinds.zeromq import address as addresses

if TYPE_CHECKING:
    from framebus.endpoint.kinds.zeromq.zmq_socket import Settings

Handle = TypeVar("Handle", BaseSource, BaseSink)
Mode = Literal["latest", "every"]
CAPABILITIES = Capabilities(delivery="either", receivers="many", notices_death=False, reconnects=True)


def open_source(
    scheme: str,
    rest: str,
    *,
    mode: Annotated[Mode, "the newest frame, or every frame in order; the same on both sides"] = "latest",
    bind: Annotated[bool, "bind here and let sinks connect"] = False,
    public: Annotated[bool, "let other machines in, or all users of this one"] = False,
    hwm: Annotated[int, "frames that may wait here, for mode=every"] = 4,
    reconnect: Annotated[bool, "go on when a sender that died comes again"] = True,
    max_bytes: Annotated[int, "bytes of the largest frame to accept"] = wire.DEFAULT_MAX_BYTES,
    heartbeat: Annotated[float, "seconds between signs of life over tcp; 0 for none"] = 2.0,
    curve_server_key: Annotated[str | None, "file with the public key of the side that binds"] = None,
    curve_secret_key: Annotated[str | None, "file with the secret key of this side"] = None,
) -> BaseSource:
    """Opens a source."""
    with lifetime.importing:
        from framebus.endpoint.kinds.zeromq import source

    settings = _settings(mode, hwm, heartbeat, curve_server_key, curve_secret_key, max_bytes)
    where = addresses.check(scheme, rest, bind=bind, public=public, has_keys=settings.has_keys)
    kind = source.EverySource if mode == "every" else source.LatestSource
    return kind(where, settings, reconnect)


def open_sink(
    scheme: str,
    rest: str,
    *,
    mode: Annotated[Mode, "the newest frame, or every frame in order; the same on both sides"] = "latest",
    bind: Annotated[bool, "bind here and let sources connect"] = True,
    public: Annotated[bool, "let other machines in, or all users of this one"] = False,
    hwm: Annotated[int, "frames that may wait here, for mode=every"] = 4,
    wait_for: Annotated[int, "receivers to wait for before the first frame is sent"] = 0,
    copy: Annotated[bool, "for mode=every: copy each frame instead of waiting until it has left"] = False,
    linger: Annotated[float, "seconds after close() for what is on its way"] = 5.0,
    heartbeat: Annotated[float, "seconds between signs of life over tcp; 0 for none"] = 2.0,
    curve_server_key: Annotated[str | None, "file with the public key of the side that binds"] = None,
    curve_secret_key: Annotated[str | None, "file with the secret key of this side"] = None,
) -> BaseSink:
    """Opens a sink; its `url` has the port where the system was to choose one."""
    with lifetime.importing:
        from framebus.endpoint.kinds.zeromq import sink

    check_range("wait_for", wait_for, 0, 1 << 16)
    _check_seconds("linger", linger)
    settings = _settings(mode, hwm, heartbeat, curve_server_key, curve_secret_key)
    where = addresses.check(scheme, rest, bind=bind, public=public, has_keys=settings.has_keys)
    return sink.Sink(where, settings, wait_for, copy, linger)


def _settings(
    mode: Mode,
    hwm: int,
    heartbeat: float,
    server_key: str | None,
    secret_key: str | None,
    max_bytes: int = 4096,  # of what comes to a sink: subscriptions
) -> Settings:
    with lifetime.importing:
        from framebus.endpoint.kinds.zeromq.zmq_socket import Settings

    check_range("hwm", hwm, 1, 1 << 16)
    check_range("max_bytes", max_bytes, 1, 1 << 40)
    _check_seconds("heartbeat", heartbeat)
    return Settings(mode == "every", hwm, max_bytes, heartbeat, server_key, secret_key)


def _check_seconds(name: str, value: float) -> None:
    if not 0 <= value <= 86400:
        raise ValueError(f"{name} must be 0 to 86400 seconds, got {value!r}")


def _of(scheme: str, opener: Callable[..., Handle]) -> Callable[..., Handle]:
    @functools.wraps(opener)
    def opened(rest: str, **options: Any) -> Handle:
        return opener(scheme, rest, **options)

    return opened


def _endpoint(scheme: str, summary: str, url_syntax: str) -> Endpoint:
    return Endpoint(
        scheme=scheme,
        summary=summary,
        url_syntax=url_syntax,
        source=_of(scheme, open_source),
        sink=_of(scheme, open_sink),
        capabilities=CAPABILITIES,
        needs=("zmq",),
        extra="zmq",
    )


ENDPOINTS = {
    "tcp": _endpoint("tcp", "sockets, also between machines", "tcp://HOST:PORT"),
    "ipc": _endpoint("ipc", "sockets of this machine, named by a path", "ipc://PATH"),
}
