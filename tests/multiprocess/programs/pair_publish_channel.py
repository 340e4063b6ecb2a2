# SPDX-License-Identifier: Apache-2.0
"""A publisher of numbered frames, for every pair; pair_publish_channel.cpp does the same.

Sends the numbers `first` to `last`, odd ones drawn in a loan, even ones sent; says `ready` and waits for `go`. Before
it sends the number `pause_before` it says `paused` and waits for `go` again. In the end it says what it `sent`.
"""

from __future__ import annotations

import framebus
from numbered import Pattern
from talk import options, say, wait_for

OPTIONS = options()
SHAPE = (OPTIONS["height"], OPTIONS["width"])
PAUSE_BEFORE = OPTIONS["pause_before"]
PATTERN = Pattern(OPTIONS["height"] * OPTIONS["width"])

with framebus.Publisher(OPTIONS["name"], on_full="block") as PUBLISHER:
    say("ready")
    wait_for("go")
    for NUMBER in range(OPTIONS["first"], OPTIONS["last"] + 1):
        if NUMBER == PAUSE_BEFORE:
            say("paused")
            wait_for("go")
        PIXELS = PATTERN.bytes_of(NUMBER).reshape(SHAPE)
        if NUMBER % 2:
            with PUBLISHER.loan(SHAPE, "uint8", pixel_format="Mono8") as LOAN:
                LOAN.array[...] = PIXELS
        else:
            PUBLISHER.send(PIXELS, pixel_format="Mono8")
    say("sent", dropped=PUBLISHER.statistics().dropped)
