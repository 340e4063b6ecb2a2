# SPDX-License-Identifier: Apache-2.0
"""What a rival offers to the scenarios, and the frames that all of them send."""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

SHAPE = (1080, 1920, 3)
BYTES = 1080 * 1920 * 3
Image = NDArray[np.uint8]

RIVALS = ("by_framebus", "by_shared_memory", "by_iceoryx2")


class Sender(Protocol):
    def send(self, image: Image) -> None:
        """Hands a frame over; the image is copied."""

    def fill_half(self, image: Image) -> None:
        """Fills half of a frame in place, as far as the rival has it, and goes no further."""

    def close(self) -> None: ...


class Receiver(Protocol):
    def recv(self, timeout: float) -> Image | None:
        """A frame not seen before, valid until the next call, or None."""

    def hold(self, timeout: float) -> bool:
        """Takes a frame and keeps it in the state in which this rival reads it. False: there was none."""

    def close(self) -> None: ...


class Rival(Protocol):
    """A module of this package. `waits`: the publisher waits for its reader instead of overwriting."""

    TITLE: str

    def prepare(self, name: str, waits: bool) -> Any:
        """What the programs of one scenario share, made by the program that starts them."""

    def open_sender(self, shared: Any) -> Sender: ...

    def open_receiver(self, shared: Any) -> Receiver: ...

    def left_over(self, shared: Any) -> list[str]:
        """The files and segments that exist now."""

    def remove(self, shared: Any) -> None:
        """Removes them."""


def load(name: str) -> Rival:
    """The rival of that name. Raises ImportError if what it needs is not installed."""
    return cast(Rival, importlib.import_module(f"benchmarks.kills.{name}"))


def picture(number: int) -> Image:
    """Frame `number`: its number in the first 8 bytes, then one value everywhere."""
    image = np.full(SHAPE, value_of(number), np.uint8)
    image.reshape(-1)[:8].view(np.uint64)[0] = number
    return image


def value_of(number: int) -> int:
    return number * 37 % 251


def is_whole(image: Image) -> bool:
    """Whether every byte belongs to the frame whose number stands at the beginning."""
    flat = image.reshape(-1)
    number = int(flat[:8].view(np.uint64)[0])
    return bool((flat[8:] == value_of(number)).all())
