# SPDX-License-Identifier: Apache-2.0
"""A subscriber that looks at every byte of numbered frames, for every pair; pair_subscribe.cpp does the same.

Fetches every frame until the channel is closed; says `attached`, `progress` now and then, and in the end a `report`:
how many frames it has seen, how many were torn or of another shape, the runs of numbers that followed each other as
[first, last], how often the channel's own numbers had gaps, and what it counted as lost.
"""

from __future__ import annotations

import framebus
from numbered import Pattern
from talk import options, say

OPTIONS = options()
SHAPE = (OPTIONS["height"], OPTIONS["width"])
PATTERN = Pattern(OPTIONS["height"] * OPTIONS["width"])

SEEN = TORN = GAPS = LAST_SEQ = 0
RUNS: list[list[int]] = []

with framebus.Subscriber(OPTIONS["name"], every=True, connect_timeout=30.0) as SUBSCRIBER:
    say("attached")
    for FRAME in SUBSCRIBER:
        NUMBER, WHOLE = PATTERN.number_in(FRAME.array)
        SEEN += 1
        TORN += not WHOLE or FRAME.array.shape != SHAPE or FRAME.pixel_format != "Mono8"
        GAPS += SEEN > 1 and FRAME.seq != LAST_SEQ + 1
        LAST_SEQ = FRAME.seq
        if RUNS and RUNS[-1][1] + 1 == NUMBER:
            RUNS[-1][1] = NUMBER
        else:
            RUNS.append([NUMBER, NUMBER])
        FRAME.release()
        if SEEN % 500 == 0:
            say("progress", seen=SEEN, torn=TORN)
    LOST = SUBSCRIBER.statistics()
    say("report", seen=SEEN, torn=TORN, runs=RUNS, gaps=GAPS, lost=LOST.missed + LOST.dropped)
