# SPDX-License-Identifier: Apache-2.0
"""multiprocessing.Queue: put(image), get(). One queue of four frames for each receiver.

Followed: the documentation of multiprocessing, which has nothing faster for arrays. The queue pickles in a thread of
its own, so an array that was put must not be changed before it has left; as nothing tells when, a copy is put.
"""

from __future__ import annotations

import queue
from typing import Any

from benchmarks.peers.peer import PATIENCE_S, Channel, Image, Look
from benchmarks.program import context

DISTRIBUTION = None
FRAMES = 4


class Sender:
    def __init__(self, queues: list[Any]) -> None:
        self._queues = queues

    def send(self, image: Image) -> None:
        own = image.copy()
        for one in self._queues:
            one.put(own, timeout=PATIENCE_S)

    def close(self) -> None:
        for one in self._queues:
            one.cancel_join_thread()
            one.close()


class Receiver:
    def __init__(self, one: Any) -> None:
        self._queue = one

    def each(self, look: Look, timeout: float) -> None:
        try:
            while not look(self._queue.get(timeout=timeout)):
                pass
        except queue.Empty:
            return

    def close(self) -> None:
        self._queue.close()


def prepare(channel: Channel) -> list[Any]:
    return [context.Queue(FRAMES) for _ in range(channel.receivers)]


def open_sender(channel: Channel, shared: list[Any]) -> Sender:
    return Sender(shared)


def open_receiver(channel: Channel, shared: list[Any], number: int) -> Receiver:
    return Receiver(shared[number])


def remove(channel: Channel, shared: list[Any]) -> None:
    for one in shared:
        one.close()
