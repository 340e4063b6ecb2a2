# SPDX-License-Identifier: Apache-2.0
"""What Publisher.warm_up() saves at the pace of a camera: of the call that sends, and of the age of the frame.

A publisher sends 60 frames a second, every second one after a warm_up() some 0.25 ms before. Before each frame it
writes 48 MiB, as other work between two frames would, and sleeps until the frame is due. A subscriber, a program of
its own, looks at the last element.
"""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from statistics import median

import numpy as np

import framebus
from benchmarks.program import context

SIZES = {"64 B": (64,), "640x480": (480, 640, 3), "1080p": (1080, 1920, 3)}
FRAMES = 300
PERIOD_S = 1 / 60
EARLY_S = 250e-6
OTHER_WORK = 48 << 20  # bytes, more than the caches hold


def look(name: str, pipe: Connection) -> None:
    """Sends the age of each frame, in µs, by its number."""
    ages = {}
    with framebus.Subscriber(name) as subscriber:
        pipe.send("ready")
        for frame in subscriber:
            frame.array.item(-1)
            ages[frame.seq] = (time.monotonic_ns() - frame.timestamp_ns) / 1e3
            frame.release()
    pipe.send(ages)


def sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def measure(shape: tuple[int, ...], lend: bool) -> dict[bool, tuple[float, float]]:
    """Median µs of the call and of the age; with and without warm_up()."""
    image, other = np.zeros(shape, np.uint8), np.zeros(OTHER_WORK, np.uint8)
    name = f"bench.warm_up.{os.getpid()}"
    calls: dict[bool, dict[int, float]] = {False: {}, True: {}}
    ours, theirs = context.Pipe()
    with framebus.Publisher(name) as publisher:
        reader = context.Process(target=look, args=(name, theirs), daemon=True)
        reader.start()
        ours.recv()
        publisher.send(image)
        due = time.monotonic()
        for number in range(FRAMES):
            due = max(due + PERIOD_S, time.monotonic() + PERIOD_S / 2)
            other[::64] += 1
            image.fill(number % 251)
            sleep_until(due - EARLY_S)
            warm = number % 2 == 1
            if warm:
                publisher.warm_up()
            sleep_until(due)
            began = time.monotonic_ns()
            if lend:
                with publisher.loan(shape) as loan:
                    pass
                seq = loan.seq or 0
            else:
                seq = publisher.send(image, timestamp_ns=began)
            calls[warm][seq] = (time.monotonic_ns() - began) / 1e3
    ages = ours.recv()
    reader.join()
    found = {}
    for warm, by_number in calls.items():
        seen = [ages[seq] for seq in by_number if seq in ages]
        found[warm] = (median(by_number.values()), median(seen))
    return found


def main() -> None:
    print("\nat 60 Hz, medians in µs: the call, and the age of the frame when it is seen (by loan: since its commit)")
    for label, shape in SIZES.items():
        for lend in (False, True):
            found = measure(shape, lend)
            words = [f"{'with' if warm else 'without'} warm_up {c:6.1f} {a:6.1f}" for warm, (c, a) in found.items()]
            print(f"{label:8s} {'loan' if lend else 'send'}   {'   '.join(words)}")
