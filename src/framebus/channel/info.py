# SPDX-License-Identifier: Apache-2.0
"""The channels of this machine, with the programs that use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from framebus import _core
from framebus.errors import Error


@dataclass(frozen=True)
class Participant:
    """A publisher's or subscriber's program. For a publisher only pid, command and alive have a meaning."""

    pid: int
    command: str
    alive: bool
    every: bool
    held: int
    frames: int
    missed: int
    dropped: int


@dataclass(frozen=True)
class ArrayInfo:
    """Name, shape and dtype of one array of the newest frame."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class ChannelInfo:
    """One channel at the moment of asking.

    Attributes:
        name: its name.
        alive: whether a live program publishes it; otherwise it is stale and goes when its last subscriber does.
        publisher: the program that publishes it, or did last; None where that can't be read.
        subscribers: the programs that read it.
        arrays: the arrays of the newest frame; empty before the first frame and after close.
        pixel_format: PFNC name of the newest frame, or None.
        seq: sequence number of the newest frame, 0 before the first.
        rate_hz: frames per second.
        size_bytes: shared memory it takes.
        problem: why it can't be looked at, None where all is well.
    """

    name: str
    alive: bool
    publisher: Participant | None
    subscribers: tuple[Participant, ...]
    arrays: tuple[ArrayInfo, ...]
    pixel_format: str | None
    seq: int
    rate_hz: float
    size_bytes: int
    problem: str | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of the first array, or None."""
        return self.arrays[0].shape if self.arrays else None

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """Element type of the first array, or None."""
        return self.arrays[0].dtype if self.arrays else None


def channels() -> list[ChannelInfo]:
    """Returns all channels of this machine that this user may see, sorted by name."""
    found = (look_at(name) for name in _core.channel_names())
    return [channel for channel in found if channel is not None]


def look_at(name: str) -> ChannelInfo | None:
    """Returns one channel, None where there is none of that name."""
    try:
        report = _core.inspect(name)
    except Error as error:
        return ChannelInfo(name, False, None, (), (), None, 0, 0.0, 0, problem=str(error))
    if report is None:
        return None  # gone since it was listed
    publisher = Participant(**report["publisher"])
    return ChannelInfo(
        name=name,
        alive=publisher.alive,
        publisher=publisher,
        subscribers=tuple(Participant(**entry) for entry in report["subscribers"]),
        arrays=tuple(ArrayInfo(title, shape, np.dtype(dtype)) for title, shape, dtype in report["arrays"]),
        pixel_format=report["pixel_format"],
        seq=report["seq"],
        rate_hz=report["rate_hz"],
        size_bytes=report["size_bytes"],
    )
