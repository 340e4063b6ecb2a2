# SPDX-License-Identifier: Apache-2.0
"""multiprocessing.shared_memory as one writes it by hand.

Two buffers: the publisher fills the one in the back without a lock, then turns them round under a Condition and
notifies. A reader waits on the Condition and copies the front buffer under its lock, since there is no other way to
keep the publisher out. Where the publisher waits for its reader, the textbook's two semaphores count full and empty
buffers. Lock and semaphores have no name, so one program has to start all others.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.kills.rival import BYTES, SHAPE, Image

TITLE = "shared_memory"

HEADER = 64  # two integers: how many frames were sent, and which buffer is in front


@dataclass
class Shared:
    name: str
    waits: bool
    turned: Any  # Condition
    empty: Any  # Semaphore
    full: Any  # Semaphore


class Segment:
    def __init__(self, memory: SharedMemory) -> None:
        self.memory = memory
        self.header = np.ndarray((2,), np.int64, memory.buf)
        self.buffers = [np.ndarray(SHAPE, np.uint8, memory.buf, HEADER + i * BYTES) for i in range(2)]

    def close(self) -> None:
        del self.header
        self.buffers.clear()
        self.memory.close()


class Sender:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        try:
            memory = SharedMemory(shared.name, create=True, size=HEADER + 2 * BYTES)
        except FileExistsError:
            memory = SharedMemory(shared.name)
        self._segment = Segment(memory)

    def send(self, image: Image) -> None:
        segment, shared = self._segment, self._shared
        if shared.waits:
            shared.empty.acquire()
            np.copyto(segment.buffers[int(segment.header[0]) % 2], image)
            segment.header[0] += 1
            shared.full.release()
            return
        back = 1 - int(segment.header[1])
        np.copyto(segment.buffers[back], image)
        with shared.turned:
            segment.header[1] = back
            segment.header[0] += 1
            shared.turned.notify_all()

    def fill_half(self, image: Image) -> None:
        self._segment.buffers[1 - int(self._segment.header[1])][:540] = image[:540]

    def close(self) -> None:
        self._segment.close()
        with contextlib.suppress(FileNotFoundError):
            self._segment.memory.unlink()


class Receiver:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._segment = Segment(SharedMemory(shared.name))
        self._seen = int(self._segment.header[0]) - (1 if self._segment.header[0] else 0)

    def recv(self, timeout: float) -> Image | None:
        segment, shared = self._segment, self._shared
        if shared.waits:
            if not shared.full.acquire(timeout=timeout):
                return None
            image = segment.buffers[self._seen % 2].copy()
            self._seen += 1
            shared.empty.release()
            return image
        with shared.turned:
            if not shared.turned.wait_for(lambda: segment.header[0] != self._seen, timeout):
                return None
            self._seen = int(segment.header[0])
            return segment.buffers[int(segment.header[1])].copy()

    def hold(self, timeout: float) -> bool:
        if self._shared.waits:
            return bool(self._shared.full.acquire(timeout=timeout))
        self._shared.turned.acquire()  # in the middle of the copy
        return True

    def close(self) -> None:
        self._segment.close()


def prepare(name: str, waits: bool) -> Shared:
    context = get_context("spawn")
    return Shared(name, waits, context.Condition(), context.Semaphore(2), context.Semaphore(0))


def open_sender(shared: Shared) -> Sender:
    return Sender(shared)


def open_receiver(shared: Shared) -> Receiver:
    return Receiver(shared)


def left_over(shared: Shared) -> list[str]:
    path = Path("/dev/shm") / shared.name
    return [str(path)] if path.exists() else []


def remove(shared: Shared) -> None:
    with contextlib.suppress(FileNotFoundError):
        memory = SharedMemory(shared.name)
        memory.close()
        memory.unlink()
