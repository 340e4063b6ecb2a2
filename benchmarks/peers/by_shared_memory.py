# SPDX-License-Identifier: Apache-2.0
"""multiprocessing.shared_memory as one writes it by hand: a double buffer and two semaphores for each receiver.

Followed: the textbook's producer and consumer, with np.ndarray over `SharedMemory.buf` as the example in Python's
documentation. Nothing is copied on the receiving side: a receiver looks at the buffer in place and gives it back, so
the sender always waits for the slowest, whether or not losing frames would be allowed. The semaphores are those of
multiprocessing, handed to programs that were started afresh.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np

from benchmarks.peers.peer import PATIENCE_S, Channel, Image, Look, write_ends
from benchmarks.program import context

DISTRIBUTION = None
BUFFERS = 2


@dataclass
class Shared:
    empty: list[Any]  # for each receiver, how many buffers it has given back
    full: list[Any]  # and how many there are for it to look at


class Segment:
    def __init__(self, channel: Channel, create: bool) -> None:
        stride = -(-channel.nbytes // 4096) * 4096
        self._memory = SharedMemory(channel.name, create=create, size=stride * BUFFERS if create else 0)
        self._created = create
        self.buffers = [np.ndarray(channel.shape, np.uint8, self._memory.buf, stride * i) for i in range(BUFFERS)]
        self.position = 0

    def close(self) -> None:
        self.buffers.clear()
        self._memory.close()
        if self._created:
            self._memory.unlink()


class Sender(Segment):
    def __init__(self, channel: Channel, shared: Shared) -> None:
        super().__init__(channel, create=True)
        self._shared = shared

    def send(self, image: Image) -> None:
        np.copyto(self._take(), image)
        self._give()

    def send_in_place(self, number: int, time_ns: int) -> None:
        write_ends(self._take(), number, time_ns)
        self._give()

    def _take(self) -> Image:
        for empty in self._shared.empty:
            if not empty.acquire(timeout=PATIENCE_S):
                raise TimeoutError("a receiver keeps its buffer")
        return self.buffers[self.position]

    def _give(self) -> None:
        for full in self._shared.full:
            full.release()
        self.position = (self.position + 1) % BUFFERS


class Receiver(Segment):
    def __init__(self, channel: Channel, shared: Shared, number: int) -> None:
        super().__init__(channel, create=False)
        self._empty, self._full = shared.empty[number], shared.full[number]

    def each(self, look: Look, timeout: float) -> None:
        while self._full.acquire(timeout=timeout):
            done = look(self.buffers[self.position])
            self.position = (self.position + 1) % BUFFERS
            self._empty.release()
            if done:
                return


def prepare(channel: Channel) -> Shared:
    receivers = range(channel.receivers)
    return Shared([context.Semaphore(BUFFERS) for _ in receivers], [context.Semaphore(0) for _ in receivers])


def open_sender(channel: Channel, shared: Shared) -> Sender:
    return Sender(channel, shared)


def open_receiver(channel: Channel, shared: Shared, number: int) -> Receiver:
    return Receiver(channel, shared, number)


def remove(channel: Channel, shared: Shared) -> None:
    with contextlib.suppress(FileNotFoundError):
        memory = SharedMemory(channel.name)
        memory.close()
        memory.unlink()
