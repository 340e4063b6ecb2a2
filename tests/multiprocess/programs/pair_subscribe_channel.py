# SPDX-License-Identifier: Apache-2.0
"""A subscriber that looks at every byte of numbered frames, for every pair; pair_subscribe_channel.cpp does the same.

Fetches every frame until the channel is closed; says `attached`, `progress` after every `progress_every` frames, and in
the end a `report`: what it has seen, how often the channel's own numbers had gaps, and what it counted as lost. A frame
of another shape or pixel format counts as torn.
"""

from __future__ import annotations

import framebus
from numbered import Pattern
from seen import Seen
from talk import options, say

OPTIONS = options()
SHAPE = (OPTIONS["height"], OPTIONS["width"])
PATTERN = Pattern(OPTIONS["height"] * OPTIONS["width"])
SEEN = Seen()
GAPS = LAST_SEQ = 0

with framebus.Subscriber(OPTIONS["name"], every=True, connect_timeout=30.0) as SUBSCRIBER:
    say("attached")
    for FRAME in SUBSCRIBER:
        NUMBER, WHOLE = PATTERN.number_in(FRAME.array)
        SEEN.add(NUMBER, WHOLE and FRAME.array.shape == SHAPE and FRAME.pixel_format == "Mono8")
        GAPS += SEEN.frames > 1 and FRAME.seq != LAST_SEQ + 1
        LAST_SEQ = FRAME.seq
        FRAME.release()
        if SEEN.frames % OPTIONS["progress_every"] == 0:
            say("progress", **SEEN.told())
    LOST = SUBSCRIBER.statistics()
    say("report", **SEEN.told(), gaps=GAPS, lost=LOST.missed + LOST.dropped)
