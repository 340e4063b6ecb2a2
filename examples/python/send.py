# SPDX-License-Identifier: Apache-2.0
"""The publisher's program: sends a gray ramp that moves, 30 times a second.

    python examples/python/send.py [CHANNEL] [FRAMES]

fetch.py fetches it. Neither waits for the other; start them in any order, as often as you like.
"""

import sys
import time

import numpy as np

import framebus

name = sys.argv[1] if len(sys.argv) > 1 else "camera0"
frames = int(sys.argv[2]) if len(sys.argv) > 2 else 300

ramp = np.tile(np.arange(640, dtype=np.uint16) * 100, (480, 1))
with framebus.Publisher(name) as pub:
    for number in range(frames):
        pub.send(np.roll(ramp, number, axis=1), meta={"number": number}, pixel_format="Mono16")
        time.sleep(1 / 30)
    sent = pub.statistics()
    print(f"sent {sent.frames} frames")
