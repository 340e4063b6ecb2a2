# SPDX-License-Identifier: Apache-2.0
"""The subscriber's program: fetches the newest frame of a channel, again and again, until its publisher closes it.

    python examples/python/fetch.py [CHANNEL]

send.py sends some. Where this program is slower than the other it skips frames, and says how many.
"""

import sys

import framebus

name = sys.argv[1] if len(sys.argv) > 1 else "camera0"

with framebus.Subscriber(name, connect_timeout=30, reconnect=False) as sub:
    for frame in sub:
        if frame.seq % 30 == 0:
            print(f"{frame} {frame.meta}, mean {frame.array.mean():.1f}")
    got = sub.statistics()
    print(f"received {got.frames} frames, missed {got.missed}, median latency {got.latency_p50_s * 1e6:.0f} µs")
