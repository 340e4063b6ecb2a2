# SPDX-License-Identifier: Apache-2.0
"""What a peer offers to the comparison, and the work that is the same for all of them.

A sender starts with a filled array, or with nothing where it lends memory; a receiver ends with a readable array of the
same shape, and reads its first and its last element, or every byte. Each frame begins with its number and the
CLOCK_MONOTONIC of just before it was sent, 8 bytes each. All other bytes that are written for a frame have the shade of
its number, so that a receiver notices those of another frame. After send() has returned, the array belongs to the
caller again.
"""

from __future__ import annotations

import importlib
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

STAMP = struct.Struct("<qq")
LAST = struct.Struct("B")
SHADES = 250
BLANK = 255  # the shade of no frame
PATIENCE_S = 5.0  # what blocks in a peer gives up after that

# Looks at one frame, which is only valid during the call. True: that was the last one.
Look = Callable[[Image], bool]


class Unable(Exception):
    """A peer can't do what is asked; the text says why."""


@dataclass(frozen=True)
class Channel:
    """What is to be connected.

    Attributes:
        name: one that nobody else uses.
        folder: an empty one for sockets and the like, removed afterwards.
        shape: of every frame; they are uint8.
        receivers: how many there will be.
        lossless: every frame has to arrive; the sender waits for its receivers.
        options: which way of using the peer, see its file.
    """

    name: str
    folder: str
    shape: tuple[int, ...]
    receivers: int = 1
    lossless: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape)


class Sender(Protocol):
    def send(self, image: Image) -> None:
        """Hands a frame over."""

    def close(self) -> None: ...


class Lender(Sender, Protocol):
    def send_in_place(self, number: int, time_ns: int) -> None:
        """Borrows memory for a frame, puts stamp and last element into it, and hands it over without a copy."""


class Receiver(Protocol):
    def each(self, look: Look, timeout: float) -> None:
        """Shows every frame to `look`, until it says True or none has come for `timeout` seconds."""

    def close(self) -> None: ...


class Peer(Protocol):
    """A module of this package."""

    DISTRIBUTION: str | None  # on PyPI, None for what Python brings along

    def prepare(self, channel: Channel) -> Any:
        """What the programs share, made by the one that starts them. Raises Unable."""

    def open_sender(self, channel: Channel, shared: Any) -> Sender:
        """Called first, in a program of its own."""

    def open_receiver(self, channel: Channel, shared: Any, number: int) -> Receiver:
        """Called in further programs, when the sender is open."""

    def remove(self, channel: Channel, shared: Any) -> None:
        """Removes what programs that were killed may have left."""


def load(module: str) -> Peer:
    """The peer in that module: by_NAME is one of this package, anything else a full name."""
    return cast(Peer, importlib.import_module(f"benchmarks.peers.{module}" if module.startswith("by_") else module))


def shade(number: int) -> int:
    """The value of the elements behind the stamp, from 1 to 250: other frames near it have another one."""
    return number % SHADES + 1


def filled(shape: tuple[int, ...]) -> Image:
    """An array whose pages are all mapped, and that looks like no frame."""
    return np.full(shape, BLANK, np.uint8)


def brightest(image: Image) -> int:
    """Reads every byte behind the stamp; returns the largest, which is the shade of a frame that is whole.

    By single bytes, which numpy compares in vectors. By larger elements it is no faster, and several times slower for a
    peer whose memory is not aligned to them.
    """
    return int(image.reshape(-1)[STAMP.size :].max())


def write_ends(image: Image, number: int, time_ns: int) -> None:
    """Stamp and last element, in memory that was borrowed or that is sent again and again."""
    STAMP.pack_into(image, 0, number, time_ns)
    LAST.pack_into(image, image.nbytes - 1, shade(number))
