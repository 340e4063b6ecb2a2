# SPDX-License-Identifier: Apache-2.0
"""A Unix stream socket without anything on top: sendmsg, and recv_into an array that is made once.

Followed: Python's documentation of `socket` (recv_into needs no new buffer; sendmsg takes the array's own memory), and
large socket buffers, as unix(7) allows. Both ends know the size of a frame, so there is no header.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import Any

from benchmarks.peers.peer import PATIENCE_S, Channel, Image, Look, filled

DISTRIBUTION = None
BUFFER_BYTES = 4 << 20  # the system gives as much of it as it allows


def path_of(channel: Channel) -> str:
    return f"{channel.folder}/socket"


class Sender:
    def __init__(self, channel: Channel) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path_of(channel))
        self._listening.listen(channel.receivers)
        self._listening.settimeout(PATIENCE_S)
        self._receivers = channel.receivers
        self._sockets: list[socket.socket] = []

    def send(self, image: Image) -> None:
        if not self._sockets:
            self._accept()
        data = memoryview(image).cast("B")
        for each in self._sockets:
            sent = each.sendmsg([data])
            while sent < len(data):
                sent += each.sendmsg([data[sent:]])

    def _accept(self) -> None:
        for _ in range(self._receivers):
            one, _ = self._listening.accept()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            one.settimeout(None)
            self._sockets.append(one)

    def close(self) -> None:
        for each in (*self._sockets, self._listening):
            each.close()


class Receiver:
    def __init__(self, channel: Channel) -> None:
        self._image = filled(channel.shape)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path_of(channel))

    def each(self, look: Look, timeout: float) -> None:
        data = memoryview(self._image).cast("B")
        receive, size = self._socket.recv_into, len(data)
        self._set_timeout(timeout)
        with contextlib.suppress(BlockingIOError):
            while True:
                got = receive(data)
                while got < size:
                    if not got:
                        return
                    got += receive(data[got:], size - got, socket.MSG_WAITALL)
                if look(self._image):
                    return

    def _set_timeout(self, timeout: float) -> None:
        """The kernel's own, so that no call needs a poll() before it."""
        timeval = struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)

    def close(self) -> None:
        self._socket.close()


def prepare(channel: Channel) -> None:
    """Nothing."""


def open_sender(channel: Channel, shared: Any) -> Sender:
    return Sender(channel)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:
    return Receiver(channel)


def remove(channel: Channel, shared: Any) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path_of(channel))
