# SPDX-License-Identifier: Apache-2.0
"""send() beside numpy.copyto() of the same bytes into as many warm buffers in /dev/shm as the channel uses in turn.

How many that is is read off the channel: the pages its store has, divided by the size of a frame.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import framebus
from benchmarks.rounds import Spread, in_turn

SIZES = {"1080p": (1080, 1920, 3), "4K": (2160, 3840, 3)}
CALLS = 60
ROUNDS = 15


def microseconds_per_call(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - start) / CALLS * 1e6


def warm_buffers(count: int, like: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Arrays in one file in /dev/shm, every page touched."""
    stride = -(-like.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        os.posix_fallocate(file.fileno(), 0, stride * count)
        memory = mmap.mmap(file.fileno(), stride * count)
    buffers = [
        np.ndarray(like.shape, like.dtype, buffer=memory, offset=i * stride)  #
        for i in range(count)
    ]
    for buffer in buffers:
        buffer[:] = 1
    return buffers


def copying(count: int, image: NDArray[np.uint8]) -> Callable[[], None]:
    """A function that copies the image into the next of so many warm buffers."""
    buffers = warm_buffers(count, image)
    position = 0

    def copy() -> None:
        nonlocal position
        np.copyto(buffers[position], image)
        position = (position + 1) % count

    return copy


def measure(shape: tuple[int, ...], subscribed: bool) -> tuple[int, dict[str, Spread]]:
    """Returns how many buffers the channel uses in turn, and microseconds for send and copyto."""
    image = np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)
    name = f"bench.send.{os.getpid()}"
    with framebus.Publisher(name) as pub:
        sub = framebus.Subscriber(name) if subscribed else None
        for _ in range(5):
            pub.send(image)
            if sub is not None:
                sub.recv()
        count = round(pub.statistics().memory_bytes / image.nbytes)
        copy = copying(count, image)

        def send() -> None:
            pub.send(image)
            if sub is not None:
                sub.recv()

        spreads = in_turn(
            {"send": lambda: microseconds_per_call(send), "copyto": lambda: microseconds_per_call(copy)}, ROUNDS
        )
        if sub is not None:
            sub.close()
    return count, spreads


def main() -> None:
    print("\nsend() and numpy.copyto into as many warm buffers in /dev/shm, µs, median (least to most)")
    for label, shape in SIZES.items():
        for subscribed in (False, True):
            count, spreads = measure(shape, subscribed)
            ratio = spreads["send"].median / spreads["copyto"].median
            who = "one subscriber fetching each" if subscribed else "no subscriber"
            print(f"{label}, {who}, {count} buffers: ratio {ratio:.3f}")
            for what, spread in spreads.items():
                print(f"  {what:8s} {spread}")
