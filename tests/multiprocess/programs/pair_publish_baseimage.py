# SPDX-License-Identifier: Apache-2.0
"""What pair_publish_channel.py does, on a base image; pair_publish_baseimage.cpp does the same without framebus.

Waits until each frame is taken before it writes the next one. `dropped` are those that nobody had taken all the same.
"""

from __future__ import annotations

from framebus import baseimage
from numbered import Pattern
from talk import options, say, wait_for

OPTIONS = options()
SHAPE = (OPTIONS["height"], OPTIONS["width"])
PATTERN = Pattern(OPTIONS["height"] * OPTIONS["width"])

with baseimage.Writer(OPTIONS["name"], wait_for_reader=True) as WRITER:
    say("ready")
    wait_for("go")
    for NUMBER in range(OPTIONS["first"], OPTIONS["last"] + 1):
        if OPTIONS["pause_before"] == NUMBER:
            say("paused")
            wait_for("go")
        WRITER.send(PATTERN.bytes_of(NUMBER).reshape(SHAPE))
    say("sent", dropped=WRITER.statistics().overwritten)
