# SPDX-License-Identifier: Apache-2.0
"""ZmqSocket: one socket of a source or sink, with its own context, monitor, keys and limits.

Each socket has a context of its own, and so an I/O thread of its own: a shared thread would be the bottleneck of all.
Ending the context also frees all that the socket has left.

Signs of life: with mode=latest a receiver reads all the time, so ZeroMQ's own heartbeats tell a dead peer. With
mode=every it does not read while its queue is full; heartbeats then take it for dead and frames are lost, which was
seen. There TCP's keep-alive asks the other system instead.

Buffers: what goes through TCP within this machine is written by one processor and read by another. Left alone the
system lets the send buffer grow to megabytes, and a frame is out of the processors' caches before it is read; with one
of 256 KiB it goes through nearly twice as fast (benchmarks/zeromq.py). To other machines the system chooses.

Not safe for threads: each user of a ZmqSocket has a lock or is the only one. A forked child may only forget it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import termios
import time
from dataclasses import dataclass
from typing import Any

import zmq
import zmq.auth
from zmq.utils.monitor import recv_monitor_message

from framebus._util.exhausted import check_descriptors, is_none_left, none_left
from framebus.endpoint import Deadline, wire
from framebus.endpoint.kinds.zeromq import local
from framebus.endpoint.kinds.zeromq.address import Address
from framebus.endpoint.kinds.zeromq.connections import Connections
from framebus.errors import EndpointError, ForkedChild

_LOOK_S = 0.005
LOOPBACK_BUFFER = 256 << 10
SLICE_MS = 50  # the longest single wait, so that close() in another thread is noticed

_FAILED = {
    zmq.Event.HANDSHAKE_FAILED_PROTOCOL: "it speaks another protocol, or its keys are others",
    zmq.Event.HANDSHAKE_FAILED_AUTH: "it does not accept the keys of this side",
    zmq.Event.HANDSHAKE_FAILED_NO_DETAIL: "it hung up before the connection was made; are the keys right?",
}
_BEGUN = (zmq.Event.ACCEPTED, zmq.Event.CONNECTED)
_OTHERS = (zmq.Event.HANDSHAKE_SUCCEEDED, zmq.Event.DISCONNECTED, zmq.Event.CONNECT_RETRIED)
_EVENTS = sum(map(int, [*_OTHERS, *_BEGUN, *_FAILED]))
_DESCRIPTORS = 12  # that opening takes, and a few more; where it gets none for its threads, ZeroMQ ends the program
_PATIENCE_S = 0.5  # from the end of a connection to ZeroMQ's decision to make it again


@dataclass(frozen=True)
class Settings:
    """What the options say, for source and sink."""

    every: bool
    hwm: int
    max_bytes: int
    heartbeat: float
    curve_server_key: str | None
    curve_secret_key: str | None

    @property
    def has_keys(self) -> bool:
        """Whether traffic is encrypted, and the end that binds is known by its key."""
        return self.curve_server_key is not None or self.curve_secret_key is not None


class ZmqSocket:
    """A socket that is bound or connected.

    Attributes:
        url: where, with the real port.
        connections: which there are, and what became of those that there were.
        refused: connections that strangers made here, and that were ended because of what came.
        checks_owner: whether what this socket connects to has to belong to a trusted user.
        trouble: why the last one failed, "" where none did since one succeeded.
        is_hopeless: whether waiting can't help: this socket connects, and the peer refused it, or a
            stranger has its name.
        is_distrusted: whether it is that stranger.
    """

    def __init__(self, kind: int, address: Address, settings: Settings) -> None:
        """Opens it. Raises EndpointError where that is impossible, SystemFailure where no descriptors are left."""
        self.address = address
        self.url = address.url
        self.connections = Connections()
        self.refused = 0
        self._given_up_at: float | None = None  # when a connection ended that ZeroMQ has not begun to make again
        self._listener: local.Listener | None = None
        self.checks_owner = not (address.is_tcp or address.bind or address.is_public or settings.has_keys)
        self.trouble, self.is_hopeless, self.is_distrusted = "", False, False
        self._pid = os.getpid()
        if self.checks_owner:
            local.check_owner(address)
        check_descriptors(_DESCRIPTORS, f"{address.url!r} can't be opened")
        self._context = zmq.Context()
        try:
            self.socket: zmq.Socket[bytes] = self._context.socket(kind)
        except zmq.ZMQError as error:
            self._context.destroy()
            if is_none_left(error.errno):
                raise none_left(f"{address.url!r} can't be opened", error.errno) from None
            raise EndpointError(f"{address.url!r} can't be opened: {error.strerror}") from None
        try:
            self._configure(kind, settings)
            self._monitor = self._watch()
            self._poller = zmq.Poller()
            self._poller.register(self.socket, zmq.POLLOUT)
            self._poller.register(self._monitor, zmq.POLLIN)
            self._bind_or_connect()
        except zmq.ZMQError as error:
            self.destroy(0)
            verb = "bound" if address.bind else "connected"
            if is_none_left(error.errno):
                raise none_left(f"{address.url!r} can't be {verb}", error.errno) from None
            raise EndpointError(f"{address.url!r} can't be {verb}: {error.strerror}{_hint(error)}") from None
        except BaseException:
            self.destroy(0)
            raise

    def _bind_or_connect(self) -> None:
        address = self.address
        if not address.bind:
            self.socket.connect(address.endpoint)
            return
        if address.path is not None:
            self._listener = local.listen(address)
            try:
                self.socket.setsockopt(zmq.USE_FD, self._listener.descriptor)
                self.socket.bind(address.endpoint)
            except BaseException:
                os.close(self._listener.descriptor)
                raise
        else:
            self.socket.bind(address.endpoint)
        self.url = str(self.socket.get_string(zmq.LAST_ENDPOINT)) if address.is_tcp else address.url

    @property
    def peers(self) -> int:
        """Number of connections to peers."""
        return self.connections.peers

    @property
    def lost(self) -> int:
        """Number of connections to peers that have ended."""
        return self.connections.lost

    def _configure(self, kind: int, settings: Settings) -> None:
        socket = self.socket
        socket.linger = 0  # until close() says otherwise
        socket.ipv6 = self.address.is_ipv6
        socket.maxmsgsize = settings.max_bytes + wire.HEAD.size + wire.MAX_DESCRIPTION
        socket.sndhwm = socket.rcvhwm = settings.hwm if settings.every else 1
        socket.conflate = kind == zmq.PUB
        socket.reconnect_ivl, socket.reconnect_ivl_max = 50, 1000
        if self.address.is_tcp and self.address.is_loopback:
            socket.sndbuf = LOOPBACK_BUFFER
        if settings.heartbeat and self.address.is_tcp:
            self._give_signs_of_life(settings)
        # Else frames would wait for a connection, and be sent before it is known whose it is. A receiver must
        # not have it: the end of a connection would take away what came through it and has not been read.
        socket.immediate = self.checks_owner and kind == zmq.PUSH
        if kind == zmq.SUB:
            socket.subscribe(b"")
        if not settings.has_keys:
            # With a domain, ZeroMQ refuses the handshakes of versions 1 and 2 (ZMTP before 3.0), which are so short
            # that random bytes pass for one, and which don't check the kind of the socket: a stranger would be sent
            # every second frame of mode=every. No handler for the domain is there, so nothing else is changed by it.
            socket.zap_domain = b"framebus"
        self._use_keys(settings)

    def _give_signs_of_life(self, settings: Settings) -> None:
        if settings.every:
            seconds = max(1, round(settings.heartbeat))
            self.socket.tcp_keepalive = 1
            self.socket.tcp_keepalive_idle = self.socket.tcp_keepalive_intvl = seconds
            self.socket.tcp_keepalive_cnt = 3
        else:
            milliseconds = max(1, round(settings.heartbeat * 1000))
            self.socket.heartbeat_ivl = milliseconds
            self.socket.heartbeat_timeout = self.socket.heartbeat_ttl = 3 * milliseconds

    def _use_keys(self, settings: Settings) -> None:
        server_key, secret_key = settings.curve_server_key, settings.curve_secret_key
        if server_key is None and secret_key is None:
            return
        if self.address.bind and (secret_key is None or server_key is not None):
            raise EndpointError(f"{self.url!r}: the end that binds needs curve_secret_key=, and no curve_server_key=")
        if not self.address.bind and server_key is None:
            raise EndpointError(f"{self.url!r}: the end that connects needs curve_server_key=, the other's public key")
        if secret_key is None:
            self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()
        else:
            public, secret = self._load(secret_key)
            if secret is None:
                raise EndpointError(
                    f"{self.url!r}: {secret_key} has no secret key; pass the file ending in .key_secret"
                )
            self.socket.curve_publickey, self.socket.curve_secretkey = public, secret
        if server_key is None:
            self.socket.curve_server = True
        else:
            self.socket.curve_serverkey = self._load(server_key)[0]

    def _load(self, path: str) -> tuple[bytes, bytes | None]:
        try:
            return zmq.auth.load_certificate(path)
        except (OSError, ValueError) as error:
            raise EndpointError(
                f"{self.url!r}: no key can be read from {path}: {error}; expected a file as "
                "zmq.auth.create_certificates() makes it"
            ) from None

    def _watch(self) -> Any:
        where = f"inproc://monitor-{id(self)}"
        self.socket.monitor(where, _EVENTS)
        monitor = self._context.socket(zmq.PAIR)
        monitor.linger = 0
        monitor.rcvhwm = 0  # a full one would stop the I/O thread
        monitor.connect(where)
        return monitor

    def look(self) -> None:
        """Takes note of what has happened to the connections."""
        while self._monitor.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            said = recv_monitor_message(self._monitor, zmq.NOBLOCK)
            self._note(zmq.Event(said["event"]), int(said["value"]))
        if self._given_up_at is not None and time.monotonic() > self._given_up_at:
            # ZeroMQ hangs up permanently on a peer that sends too much or refuses the handshake.
            self._given_up_at = None
            if not self.trouble:
                self.refused += 1
                self.trouble = "the peer sent more than max_bytes="
            with contextlib.suppress(zmq.ZMQError):  # as a rule it has forgotten the address, but not in a SUB
                self.socket.disconnect(self.address.endpoint)
            self.socket.connect(self.address.endpoint)

    def _note(self, event: zmq.Event, value: int) -> None:
        connections = self.connections
        if event in _BEGUN:
            connections.begun(value)
            if self.checks_owner:
                self._check_owner(value)
        elif event == zmq.Event.HANDSHAKE_SUCCEEDED:
            connections.succeeded()
            if not self.is_distrusted:
                self.trouble, self.is_hopeless = "", False
        elif event in _FAILED:
            connections.failed()
            if not self.is_distrusted:
                self.trouble = _FAILED[event]
                self.is_hopeless = not self.address.bind and event != zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
        elif event == zmq.Event.CONNECT_RETRIED:
            self._given_up_at = None
        elif event == zmq.Event.DISCONNECTED:
            self._given_up_at = None if self.address.bind else time.monotonic() + _PATIENCE_S
            was_peer = connections.ended(value)
            self.refused += self.address.bind and not was_peer

    def _check_owner(self, descriptor: int) -> None:
        """Marks this socket as hopeless if a stranger is behind a connection that was just made."""
        try:
            uid = local.stranger(descriptor)
        except OSError:
            return  # it has ended meanwhile, and nothing will come of it
        if uid is not None:
            self.is_distrusted = self.is_hopeless = True
            self.trouble = local.distrust(uid)

    def wait_for_room(self, milliseconds: int) -> None:
        """Waits until the socket can be written to, or something has happened to a connection."""
        self._poller.poll(milliseconds)

    def wait_for_connections(self, milliseconds: int) -> None:
        """Waits until something has happened to one."""
        self._monitor.poll(milliseconds)

    def wait_until_taken(self, deadline: Deadline) -> None:
        """Waits until the other sides have taken all that the system has for them; twice in a row, to be sure."""
        quiet = 0
        while quiet < 2 and not deadline.is_over:
            self.look()
            quiet = 0 if any(map(_unsent, self.connections.descriptors)) else quiet + 1
            self.wait_for_connections(deadline.left_ms(_LOOK_S))

    def is_ours(self) -> bool:
        """False in a forked child, whose sockets are its parent's."""
        return os.getpid() == self._pid

    def check_process(self) -> None:
        """Raises ForkedChild in a forked child."""
        if not self.is_ours():
            raise ForkedChild(
                f"{self.url!r} was opened by the parent process {self._pid}; open another one in the child"
            )

    def why(self) -> str:
        """What is known about a connection that does not come about, for error messages."""
        return f"; the last connection failed: {self.trouble}" if self.trouble else ""

    def refusal(self) -> str:
        """What to say where is_hopeless."""
        if self.is_distrusted:
            return f"{self.url!r}: {self.trouble}"
        return f"{self.url!r} refuses this side: {self.trouble}; check curve_server_key= and the mode"

    def destroy(self, linger: float) -> None:
        """Closes all of it and waits at most `linger` seconds for what is on its way."""
        if not self.is_ours():
            return
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.socket.close(int(linger * 1000))
        self._context.destroy()
        if self._listener is not None:
            self._listener.remove()


def _unsent(descriptor: int) -> int:
    """Bytes in a connection that the other side has not taken; 0 where that is unknown."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0])
    except OSError:
        return 0  # it has ended meanwhile


def _hint(error: zmq.ZMQError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "; end the program that has it, take another port, or port 0 for any that is free"
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
        return "; expected a numeric address of this machine or the name of an interface"
    return ""
