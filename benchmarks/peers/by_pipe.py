# SPDX-License-Identifier: Apache-2.0
"""multiprocessing.Pipe: send_bytes and recv_bytes_into an array that is made once.

Followed: the documentation of multiprocessing.connection, whose send_bytes() and recv_bytes_into() move buffers as they
are where send() and recv() would pickle. One pipe for each receiver, two-way as it is by default: that is a pair of
sockets, which carries large frames in fewer pieces than a one-way pipe.
"""

from __future__ import annotations

from multiprocessing.connection import Connection

from benchmarks.peers.peer import Channel, Image, Look, filled
from benchmarks.program import context

DISTRIBUTION = None


class Sender:
    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes

    def send(self, image: Image) -> None:
        data = memoryview(image).cast("B")
        for pipe in self._pipes:
            pipe.send_bytes(data)

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()


class Receiver:
    def __init__(self, channel: Channel, pipe: Connection) -> None:
        self._image = filled(channel.shape)
        self._pipe = pipe

    def each(self, look: Look, timeout: float) -> None:
        data = memoryview(self._image).cast("B")
        while self._pipe.poll(timeout):
            self._pipe.recv_bytes_into(data)
            if look(self._image):
                return

    def close(self) -> None:
        self._pipe.close()


def prepare(channel: Channel) -> list[tuple[Connection, Connection]]:
    return [context.Pipe() for _ in range(channel.receivers)]


def open_sender(channel: Channel, shared: list[tuple[Connection, Connection]]) -> Sender:
    return Sender([writing for _, writing in shared])


def open_receiver(channel: Channel, shared: list[tuple[Connection, Connection]], number: int) -> Receiver:
    return Receiver(channel, shared[number][0])


def remove(channel: Channel, shared: list[tuple[Connection, Connection]]) -> None:
    for ends in shared:
        for end in ends:
            end.close()
