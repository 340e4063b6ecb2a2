# SPDX-License-Identifier: Apache-2.0
"""The price of Python: a loan that is filled with nothing, sent, received, looked at and released, in one process."""

from __future__ import annotations

import os
import time

import numpy as np

import framebus
from benchmarks.rounds import Spread, in_turn

SHAPES = {"64 B": (64,), "640x480": (480, 640), "1080p": (1080, 1920, 3), "4K": (2160, 3840, 3)}
CALLS = 5000
ROUNDS = 11


def microseconds(pub: framebus.Publisher, sub: framebus.Subscriber, shape: tuple[int, ...]) -> float:
    dtype = np.dtype(np.uint8)
    start = time.perf_counter()
    for _ in range(CALLS):
        with pub.loan(shape, dtype):
            pass
        frame = sub.recv()
        frame.array  # noqa: B018  # making the array is what is measured
        frame.release()
    return (time.perf_counter() - start) / CALLS * 1e6


def measure(rounds: int = ROUNDS) -> dict[str, Spread]:
    """Microseconds by size."""
    name = f"bench.handover.{os.getpid()}"
    with framebus.Publisher(name) as pub, framebus.Subscriber(name) as sub:
        return in_turn({label: lambda s=shape: microseconds(pub, sub, s) for label, shape in SHAPES.items()}, rounds)


def main() -> None:
    print("\nloan, commit, recv, .array, release in one process, µs, median (least to most)")
    for label, spread in measure().items():
        print(f"{label:8s} {spread}")
