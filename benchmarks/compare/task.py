# SPDX-License-Identifier: Apache-2.0
"""One measurement: what is to be done, and what the ends report.

Frames that are sent by send() at a pace come in two halves, in the same two programs. In the first, a receiver touches
the first and the last element of a frame; in the second it then reads every byte too. The number of a frame says in
which half it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

SIZES: dict[str, tuple[int, ...]] = {
    "64 B": (64,),
    "640x480": (480, 640, 3),
    "720p": (720, 1280, 3),
    "1080p": (1080, 1920, 3),
    "4K": (2160, 3840, 3),
}
ALL_FROM = 1 << 40  # the number of the first frame of the second half


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
        seconds: after that no further frame of a half is sent ...
        frames: ... nor when the half has that many.
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

    @property
    def written(self) -> bool:
        """Whether the sender writes its whole array before each frame."""
        return self.rate_hz > 0 and not self.in_place

    @property
    def halves(self) -> int:
        """2 where every byte is read in a second half. Of a loan only the ends are written, so there is one half."""
        return 2 if self.written else 1


@dataclass
class SentHalf:
    """What a sender has done in one half: how long each call took, and its CPU seconds without writing its array."""

    calls_us: list[float]
    cpu_s: float

    @property
    def frames(self) -> int:
        return len(self.calls_us)


@dataclass
class SentReport:
    """What a sender has done, and how many buffers it uses."""

    halves: list[SentHalf]
    buffers: int = 0

    @property
    def frames(self) -> int:
        return sum(half.frames for half in self.halves)


@dataclass
class SeenHalf:
    """What a receiver has seen in one half.

    Attributes:
        frames: how many came.
        ages_us: of each frame, when it had been looked at; none where only throughput counts.
        cpu_s, wall_s: from the first frame to that of the next half, or to the end.
    """

    frames: int = 0
    ages_us: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    wall_s: float = 0.0


@dataclass
class SeenReport:
    """What a receiver has seen.

    Attributes:
        halves: as above.
        disorder: frames with a number not above the one before.
        broken: frames whose last element was wrong, or another one where all were read.
    """

    halves: list[SeenHalf]
    disorder: int = 0
    broken: int = 0

    @property
    def frames(self) -> int:
        return sum(half.frames for half in self.halves)

    @property
    def wall_s(self) -> float:
        return sum(half.wall_s for half in self.halves)


@dataclass(frozen=True)
class Taken:
    """One measurement, summed up over both ends. What does not say otherwise is of the first half.

    Attributes:
        p50_us, p99_us: of all receivers' frames together; None where throughput was measured.
        all_p50_us, all_p99_us: the same where every byte is read; None where there is no second half.
        frames, sent: of both halves, received by the receiver that got least, and sent.
        lost: of both halves, over all receivers.
        rate_hz: frames a second of the slowest receiver, over both halves.
        cpu_us, all_cpu_us: CPU of all programs for one frame that was sent, by halves.
        sender_cpu_s, receiver_cpu_s: of the sender, of all receivers.
        receiver_share: of one core, by the first receiver.
        call_us: median time of the sender's call.
        buffers: frames' worth of memory that the sender uses in turn, 0 where it is not known.
        ages_us, all_ages_us: what p50 and p99 come from.
    """

    p50_us: float | None
    p99_us: float | None
    all_p50_us: float | None
    all_p99_us: float | None
    frames: int
    sent: int
    lost: int
    rate_hz: float
    cpu_us: float
    all_cpu_us: float | None
    sender_cpu_s: float
    receiver_cpu_s: float
    receiver_share: float
    call_us: float
    buffers: int
    ages_us: list[float]
    all_ages_us: list[float]


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
