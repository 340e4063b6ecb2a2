# SPDX-License-Identifier: Apache-2.0
"""python -m framebus.bench.endpoint_program JSON: the program with the source or the sink of a measured link.

It opens its URL, says {"ready": true}, begins its work at a line on standard input, and reports in one line of JSON.

Every frame begins with its number and the CLOCK_MONOTONIC of just before it was sent, 8 bytes each. A frame has been
received when its first and last byte have been read.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import framebus
from framebus.endpoint import Sink, Source

STAMP_BYTES = 16
WATCHDOG_S = 20.0
LAST = (1 << 63) - 1  # the number of the frame that says that no more will come


def memory_bytes() -> int:
    """Memory of this program; what it shares with others counts by its share."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as rollup:
        return next(int(line.split()[1]) << 10 for line in rollup if line.startswith("Pss:"))


def send(sink: Sink, task: dict[str, Any]) -> dict[str, Any]:
    """Sends frames, `period_s` apart or as fast as it goes, for `seconds`."""
    image = np.full((task["height"], task["width"], 3), 50, np.uint8)
    stamp = image.reshape(-1)[:STAMP_BYTES].view(np.int64)
    sent = 0
    end = time.monotonic() + task["seconds"]
    due = time.monotonic()
    while time.monotonic() < end:
        if task["period_s"]:
            due = max(due + task["period_s"], time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))
        stamp[:] = sent, time.monotonic_ns()
        try:
            sink.send(image, pixel_format="RGB8", timeout=WATCHDOG_S)
        except framebus.ChannelClosed:
            break
        sent += 1
    memory = memory_bytes()
    for _ in range(10):  # the receiver leaves at the first that reaches it, and then takes no more
        stamp[:] = LAST, time.monotonic_ns()
        try:
            sink.send(image, pixel_format="RGB8", timeout=1.0)
        except (framebus.ChannelClosed, framebus.Timeout):
            break
        time.sleep(0.2)
    return {"sent": sent, "memory": memory}


def receive(source: Source) -> dict[str, Any]:
    """Receives frames until the last one; returns when each came and how old it was."""
    ages: list[int] = []
    times: list[int] = []
    memory = 0
    while True:
        frame = source.recv(WATCHDOG_S)
        array = frame.array
        first, last = array[0, 0, 0], array[-1, -1, -1]
        now = time.monotonic_ns()
        number, sent_at = array.reshape(-1)[:STAMP_BYTES].view(np.int64).tolist()
        if number == LAST:
            return {"ages": ages, "times": times, "memory": memory}
        if last != 50 or first != number & 255:
            raise SystemExit(f"frame {number} is broken")
        ages.append(now - sent_at)
        times.append(now)
        if memory == 0 and len(ages) >= 5:
            memory = memory_bytes()
        frame.release()


def main() -> None:
    """Does one task."""
    task = json.loads(sys.argv[1])
    before = memory_bytes()
    role = task["role"]
    work: Callable[[], dict[str, Any]]
    if role == "source":
        source = framebus.source(task["url"])
        work, close = partial(receive, source), source.close
    else:
        sink = framebus.sink(task["url"])
        work, close = partial(send, sink, task), sink.close
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    report = work()
    report["cpu_s"] = time.process_time() - cpu
    report["memory"] = max(0, report["memory"] - before)
    print(json.dumps(report), flush=True)
    sys.stdin.readline()  # the other one may still need what we have open
    close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # the end of the interpreter closes what is open
    main()
