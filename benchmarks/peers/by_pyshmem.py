# SPDX-License-Identifier: Apache-2.0
"""pyshmem: write(), and read_after() the last one read into an array that is made once.

Followed: its usage guide. `notify=True` wakes readers by futex instead of polling; read_after() can't miss what was
published before it was called; out= saves an array for each read. A stream holds one frame, and each write replaces it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers.peer import Channel, Image, Look, Unable, filled

DISTRIBUTION = "pyshmem"


class Sender:
    def __init__(self, channel: Channel) -> None:
        import pyshmem

        self._stream = pyshmem.create(channel.name, shape=channel.shape, dtype=np.uint8, notify=True)

    def send(self, image: Image) -> None:
        self._stream.write(image)

    def close(self) -> None:
        self._stream.unlink()
        self._stream.close()


class Receiver:
    def __init__(self, channel: Channel) -> None:
        import pyshmem

        self._stream = pyshmem.open(channel.name)
        self._image = filled(channel.shape)
        self._last = self._stream.count

    def each(self, look: Look, timeout: float) -> None:
        stream, image = self._stream, self._image
        try:
            while True:
                stream.read_after(self._last, timeout=timeout, out=image)
                self._last = stream.last_read_count
                if look(image):
                    return
        except TimeoutError:
            return

    def close(self) -> None:
        self._stream.close()


def prepare(channel: Channel) -> None:
    if channel.lossless:
        raise Unable("holds the newest frame only, and loses those before it")


def open_sender(channel: Channel, shared: Any) -> Sender:
    return Sender(channel)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:
    return Receiver(channel)


def remove(channel: Channel, shared: Any) -> None:
    """What a writer that was killed has left; the module has a function for it."""
    try:
        import pyshmem
    except ImportError:
        return
    try:
        pyshmem.unlink(channel.name)
    except FileNotFoundError:
        return
