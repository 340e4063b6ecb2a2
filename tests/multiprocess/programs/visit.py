# SPDX-License-Identifier: Apache-2.0
"""A subscriber that comes and goes without end and looks at every byte of what it gets."""

from __future__ import annotations

import random
import select
import sys

import framebus
from numbered import Checker
from talk import options, say

OPTIONS = options()
CHANCE = random.Random(OPTIONS["seed"])
CHECKER = Checker()


def visit_once() -> int:
    """Fetch a few frames, if anybody sends some; gives how many."""
    try:
        subscriber = framebus.Subscriber(OPTIONS["name"], every=CHANCE.random() < 0.5, connect_timeout=0.2)
    except framebus.ChannelNotFound:
        return 0
    seen = 0
    with subscriber:
        try:
            for _ in range(CHANCE.randrange(1, 8)):
                frame = subscriber.recv(timeout=0.1)
                assert CHECKER.is_whole(frame.array, frame.meta["byte"]), f"frame {frame.seq} is torn"
                seen += 1
                frame.release()
        except (framebus.Timeout, framebus.ChannelClosed):
            pass
    return seen


say("ready")
FRAMES = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    FRAMES += visit_once()
say("report", frames=FRAMES)
