# SPDX-License-Identifier: Apache-2.0
"""Writes numbered pictures to a sink as fast as it takes them; says each number when it has been sent."""

from __future__ import annotations

import framebus
from talk import options, say

OPTIONS = options()

with framebus.sink(OPTIONS["sink"]) as sink, framebus.source(OPTIONS["pattern"]) as source:
    for frame in source:
        sink.send(frame.array, pixel_format=frame.pixel_format, timestamp_ns=frame.seq * 10**9 // OPTIONS["fps"])
        say("sent", number=frame.seq)
