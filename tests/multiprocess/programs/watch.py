# SPDX-License-Identifier: Apache-2.0
"""A subscriber that fetches until the channel is closed and looks at every byte of every frame.

With `slow` it looks, works for that many seconds with the frame still in its hands, and looks again. With
`progress_every` it says `progress` now and then. At the end it reports what it saw.
"""

from __future__ import annotations

import time

import framebus
from numbered import Checker, byte_of
from talk import options, say

OPTIONS = options()
SLOW = OPTIONS.pop("slow", 0.0)
PROGRESS_EVERY = OPTIONS.pop("progress_every", None)


def watch(subscriber: framebus.Subscriber) -> dict[str, object]:
    """Fetch all frames; gives the counts of what was wrong with them."""
    checker = Checker()
    seen = torn = changed = out_of_order = repeated = missing = last = 0
    first = None
    for frame in subscriber:
        byte = frame.meta.get("byte", byte_of(frame.seq))
        whole = checker.is_whole(frame.array, byte)
        torn += not whole
        if SLOW:
            time.sleep(SLOW)
            changed += whole and not checker.is_whole(frame.array, byte)
        if first is None:
            first = frame.seq
        else:
            out_of_order += frame.seq < last
            repeated += frame.seq == last
            missing += max(0, frame.seq - last - 1)
        seen, last = seen + 1, frame.seq
        frame.release()
        if PROGRESS_EVERY and seen % PROGRESS_EVERY == 0:
            say("progress", seen=seen)
    wrong = {"torn": torn, "changed": changed, "out_of_order": out_of_order, "repeated": repeated}
    return {"wrong": wrong, "seen": seen, "missing": missing, "first": first, "last": last}


with framebus.Subscriber(**OPTIONS) as SUBSCRIBER:
    say("attached")
    REPORT = watch(SUBSCRIBER)
    STATISTICS = SUBSCRIBER.statistics()
    say("report", frames=STATISTICS.frames, missed=STATISTICS.missed, dropped=STATISTICS.dropped, **REPORT)
