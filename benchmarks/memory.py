# SPDX-License-Identifier: Apache-2.0
"""What further subscribers cost: one publisher, one to eight subscribing programs on 1080p.

Private memory is Private_Clean + Private_Dirty of /proc/self/smaps_rollup, taken inside each subscribing program
before it subscribes and after it has received 100 frames.
"""

from __future__ import annotations

import os
import sys
import threading

import numpy as np
from tests.support.started import Started

import framebus

SUBSCRIBERS = 8
PROGRAM = """
import sys
import numpy, framebus
def private():
    with open("/proc/self/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_"))
before = private()
with framebus.Subscriber(sys.argv[1]) as sub:
    total = 0
    for _ in range(100):
        total += int(sub.recv(timeout=30).array[0, 0, 0])
    print(private() - before, flush=True)
    sys.stdin.readline()
"""


def main() -> None:
    print("\nmemory of one publisher and eight subscribing programs on 1080p")
    image = np.zeros((1080, 1920, 3), np.uint8)
    name = f"bench.memory.{os.getpid()}"
    done = threading.Event()
    with framebus.Publisher(name) as pub:

        def publish() -> None:
            while not done.wait(0.005):
                pub.send(image)

        pub.send(image)
        thread = threading.Thread(target=publish)
        thread.start()
        programs: list[Started] = []
        try:
            for number in range(1, SUBSCRIBERS + 1):
                programs.append(Started(sys.executable, "-c", PROGRAM, name, stderr=None))
                private_kib = int(programs[-1].line())
                frames = pub.statistics().memory_bytes / image.nbytes
                print(f"subscriber {number}: {private_kib:5d} KiB private memory, {frames:.2f} frames in shared memory")
        finally:
            done.set()
            thread.join()
            for program in programs:
                program.finish("\n")
