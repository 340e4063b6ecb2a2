# SPDX-License-Identifier: Apache-2.0
"""One measurement: what is to be done, and what the ends report."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

SIZES: dict[str, tuple[int, ...]] = {
    "64 B": (64,),
    "640x480": (480, 640, 3),
    "1080p": (1080, 1920, 3),
    "4K": (2160, 3840, 3),
}


@dataclass(frozen=True)
class Contender:
    """A peer, in one way of using it."""

    title: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True)
class Task:
    """What is to be done.

    Attributes:
        kind: "latency", "throughput" or "fanout".
        size: a key of SIZES.
        rate_hz: frames a second; 0 is as fast as it goes.
        seconds: after that no further frame is sent ...
        frames: ... nor when so many have been.
        lossless: nothing may be lost.
        in_place: by loan instead of by send.
        receivers: programs that receive.
    """

    kind: str
    size: str
    rate_hz: float
    seconds: float
    frames: int = 1 << 62
    lossless: bool = False
    in_place: bool = False
    receivers: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        return SIZES[self.size]


@dataclass
class SentReport:
    """What a sender has done: frames, its CPU seconds, how long each call took, and how many buffers it uses."""

    frames: int
    cpu_s: float
    calls_us: list[float]
    buffers: int = 0


@dataclass
class SeenReport:
    """What a receiver has seen.

    Attributes:
        frames, lost: how many came, and how many numbers before the last were missing.
        disorder: frames with a number not above the one before.
        broken: frames whose last element was wrong.
        ages_us: of each frame, when it had been looked at (of some, where there are very many).
        cpu_s, wall_s: from the first frame to the last.
    """

    frames: int = 0
    lost: int = 0
    disorder: int = 0
    broken: int = 0
    ages_us: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Taken:
    """One measurement, summed up over both ends.

    Attributes:
        p50_us, p99_us: of all receivers' frames together; 0 where throughput was measured.
        frames, sent: received by the receiver that got least, and sent.
        lost: over all receivers.
        rate_hz: frames a second of the slowest receiver.
        cpu_us: CPU of all programs for one frame that was sent.
        sender_cpu_s, receiver_cpu_s: of the sender, of all receivers.
        receiver_share: of one core, by the first receiver.
        call_us: median time of the sender's call.
        buffers: frames' worth of memory that the sender uses in turn, 0 where it is not known.
        ages_us: what p50 and p99 come from.
    """

    p50_us: float
    p99_us: float
    frames: int
    sent: int
    lost: int
    rate_hz: float
    cpu_us: float
    sender_cpu_s: float
    receiver_cpu_s: float
    receiver_share: float
    call_us: float
    buffers: int
    ages_us: list[float]


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
