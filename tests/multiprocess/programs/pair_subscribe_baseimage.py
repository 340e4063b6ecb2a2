# SPDX-License-Identifier: Apache-2.0
"""What pair_subscribe_channel.py does, on a base image; pair_subscribe_baseimage.cpp does the same without framebus.

The layout has no end, so it goes on until the number `last`. Takes the event after each copy. Whatever the Reader
counts that is not a frame, or one that it doubts, is `lost`.
"""

from __future__ import annotations

from framebus import baseimage
from numbered import Pattern
from seen import Seen
from talk import options, say

OPTIONS = options()
SHAPE = (OPTIONS["height"], OPTIONS["width"])
PATTERN = Pattern(OPTIONS["height"] * OPTIONS["width"])
SEEN = Seen()
NUMBER = 0

with baseimage.Reader(OPTIONS["name"], acknowledge="after", connect_timeout=30.0) as READER:
    say("attached")
    while OPTIONS["last"] != NUMBER:
        FRAME = READER.recv()
        NUMBER, WHOLE = PATTERN.number_in(FRAME.array)
        SEEN.add(NUMBER, WHOLE and FRAME.array.shape == SHAPE and FRAME.pixel_format == "Mono8")
        if SEEN.frames % OPTIONS["progress_every"] == 0:
            say("progress", **SEEN.told())
    DONE = READER.statistics()
    LOST = DONE.retries + DONE.torn_suspected + DONE.stale + DONE.empty + DONE.corrupt
    say("report", **SEEN.told(), lost=LOST)
