# SPDX-License-Identifier: Apache-2.0
"""A publisher that sends as fast as it can: odd frames drawn in a loan, even ones sent.

With `frames` it sends that many, numbered from 1, and closes the channel. Without, it goes on until it is killed, says
`progress` now and then, and gives each frame's value in its metadata: its first number depends on its predecessors.
"""

from __future__ import annotations

import itertools

import numpy as np

import framebus
from numbered import byte_of
from talk import options, say, wait_for

OPTIONS = options()
SHAPE = tuple(OPTIONS.pop("shape"))
FRAMES = OPTIONS.pop("frames", None)
PROGRESS_EVERY = OPTIONS.pop("progress_every", None)


def flood(publisher: framebus.Publisher) -> int:
    """Send all frames; gives how many there were."""
    image = np.empty(SHAPE, np.uint8)
    mismatched = 0
    for count in itertools.count(1) if FRAMES is None else range(1, FRAMES + 1):
        byte = byte_of(count)
        meta = {"byte": byte} if FRAMES is None else None
        if count % 2:
            with publisher.loan(SHAPE, "uint8", meta=meta) as loan:
                loan.array.fill(byte)
        else:
            image.fill(byte)
            mismatched += publisher.send(image, meta=meta) != count
        if PROGRESS_EVERY and count % PROGRESS_EVERY == 0:
            say("progress", count=count)
    assert not mismatched, f"send gave another number than the frame's {mismatched} times"
    return count


with framebus.Publisher(**OPTIONS) as PUBLISHER:
    say("ready")
    wait_for("go")
    SENT = flood(PUBLISHER)
    say("sent", frames=SENT, dropped=PUBLISHER.statistics().dropped)
