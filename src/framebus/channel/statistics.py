# SPDX-License-Identifier: Apache-2.0
"""What a publisher or subscriber has done so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Statistics:
    """Counts and figures of one Publisher or Subscriber, as of the moment of asking.

    Counts are exact. For a subscriber, everything published since it came is in one of four:
    frames + missed + dropped + pending.

    Attributes:
        frames: frames sent or received.
        bytes: bytes of the arrays of those frames.
        dropped: frames given up for on_full="drop": by the publisher (once for each subscriber that needed it), or of
            those this subscriber, with every=True, should have got.
        missed: frames this subscriber skipped because a newer one was there. 0 for a publisher.
        held: frames held now: by this subscriber (arrays count), or by all subscribers together.
        subscribers: subscribers of the channel now.
        pending: frames published and not yet looked at by this subscriber. 0 for a publisher.
        slots: frames that the channel has room for.
        generation: how many times the channel has been laid out, for larger frames or more slots.
        memory_bytes: shared memory that the frames take, in bytes.
        sleeps: system calls that put this subscriber to sleep, to wait for a frame. 0 for a publisher.
        wakeups: system calls with which this publisher woke sleeping subscribers; one wakes all of a frame. 0 for a
            subscriber.
        spun_s: seconds of processor time that this subscriber has spent on watching for a frame instead of sleeping,
            see Subscriber(wait=). 0.0 for a publisher.
        rate_hz: frames per second, recently.
        latency_p50_s: median over the last 512 frames, in seconds: from publication to receipt for a subscriber, from
            claiming a slot to publication for a publisher. NaN before the first frame.
        latency_p99_s: the 99th percentile of the same.
    """

    frames: int
    bytes: int
    dropped: int
    missed: int
    held: int
    subscribers: int
    pending: int
    slots: int
    generation: int
    memory_bytes: int
    sleeps: int
    wakeups: int
    spun_s: float
    rate_hz: float
    latency_p50_s: float
    latency_p99_s: float
