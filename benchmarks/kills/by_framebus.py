# SPDX-License-Identifier: Apache-2.0
"""framebus: Publisher and Subscriber as in the README."""

from __future__ import annotations

from pathlib import Path

import framebus
from benchmarks.kills.rival import SHAPE, Image

TITLE = "framebus"

Shared = tuple[str, bool]


class Sender:
    def __init__(self, shared: Shared) -> None:
        name, waits = shared
        self._publisher = framebus.Publisher(name, on_full="block" if waits else "drop")
        self._loan: framebus.Loan | None = None

    def send(self, image: Image) -> None:
        self._publisher.send(image)

    def fill_half(self, image: Image) -> None:
        self._loan = self._publisher.loan(SHAPE)
        self._loan.array[:540] = image[:540]

    def close(self) -> None:
        self._publisher.close()


class Receiver:
    def __init__(self, shared: Shared) -> None:
        name, waits = shared
        self._subscriber = framebus.Subscriber(name, every=waits, connect_timeout=5.0)
        self._frame: framebus.Frame | None = None

    def recv(self, timeout: float) -> Image | None:
        self._frame = None
        try:
            self._frame = self._subscriber.recv(timeout)
        except (framebus.Timeout, framebus.ChannelClosed):
            return None
        image: Image = self._frame.array
        return image

    def hold(self, timeout: float) -> bool:
        return self.recv(timeout) is not None

    def close(self) -> None:
        self._frame = None
        self._subscriber.close()


def prepare(name: str, waits: bool) -> Shared:
    return name, waits


def open_sender(shared: Shared) -> Sender:
    return Sender(shared)


def open_receiver(shared: Shared) -> Receiver:
    return Receiver(shared)


def left_over(shared: Shared) -> list[str]:
    return [str(path) for path in Path("/dev/shm").glob(f"framebus.{shared[0]}*")]


def remove(shared: Shared) -> None:
    for path in left_over(shared):
        Path(path).unlink(missing_ok=True)
