# SPDX-License-Identifier: Apache-2.0
"""What an operating system has to provide: a named memory and a named auto-reset event beside it.

Each system has a module of its own with a subclass of Place; the table at the end is all that knows which. Nothing here
waits longer than its argument says, and no call crashes because of what another program did to the memory.
"""

from __future__ import annotations

import errno
import importlib
import sys
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from framebus.errors import SystemFailure

_MODULES = {"linux": "framebus.baseimage.linux"}


class Place(ABC):
    """One open memory and its event."""

    @classmethod
    @abstractmethod
    def open(cls, name: str, public: bool = False) -> Place:
        """Opens what is there; what a stranger made only if it is `public`.

        Raises ChannelNotFound, PermissionDenied, CorruptChannel or SystemFailure.
        """

    @classmethod
    @abstractmethod
    def make(cls, name: str, capacity: int, mode: int, public: bool = False) -> Place:
        """Opens what is there, of whatever size, and makes what is missing; for a writer.

        Raises ChannelInUse if another writer that uses framebus is there, and what open() raises.
        """

    @abstractmethod
    def size(self) -> int:
        """Bytes of the memory now."""

    @abstractmethod
    def read_into(self, offset: int, buffer: NDArray[np.uint8]) -> int:
        """Copies from the memory; returns how many bytes were there."""

    @abstractmethod
    def matches(self, offset: int, buffer: NDArray[np.uint8]) -> bool:
        """Says whether the memory has these very bytes, by reading it once more."""

    @abstractmethod
    def reserve(self, count: int) -> None:
        """Makes sure that the first `count` bytes can be written. Raises FrameTooLarge if the system has no room."""

    @abstractmethod
    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Copies `data`, which is contiguous, into the memory."""

    @abstractmethod
    def begin_frame(self) -> None:
        """Tells readers that use framebus, until end_frame() or death, that this writer is in the middle of a frame."""

    @abstractmethod
    def end_frame(self) -> None:
        """Takes that back."""

    @abstractmethod
    def is_being_written(self) -> bool:
        """Says whether a writer that uses framebus is in the middle of a frame."""

    @abstractmethod
    def set(self) -> bool:
        """Sets the event, after all that was written before; says whether it was set already."""

    @abstractmethod
    def take(self, seconds: float) -> bool:
        """Waits until the event is set, and resets it; False when it is not within `seconds`, or a signal came."""

    @abstractmethod
    def acknowledge(self) -> None:
        """Resets the event, once: if a writer that waited for this sets it again at once, it stays set."""

    @abstractmethod
    def is_set(self) -> bool:
        """Says whether the event is set, without changing it."""

    @abstractmethod
    def is_current(self) -> bool:
        """Says whether the names still lead here; another program may have removed them, and made new ones."""

    @abstractmethod
    def has_event_of(self, other: Place) -> bool:
        """Says whether both have the same event, though perhaps not the same memory."""

    @abstractmethod
    def stand_down(self) -> None:
        """Lets another writer come, before close(); for one that found its names gone."""

    @abstractmethod
    def close(self, keep: bool) -> None:
        """Closes both. The last program removes them, unless it says `keep`."""


def system() -> type[Place]:
    """Returns this system's Place. Raises SystemFailure where there is none."""
    if sys.platform not in _MODULES:
        message = f"base images work on {', '.join(_MODULES)} so far, not on {sys.platform}; use a socket"
        raise SystemFailure(errno.ENOTSUP, message)
    here: type[Place] = importlib.import_module(_MODULES[sys.platform]).SystemPlace
    return here
