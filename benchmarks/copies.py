# SPDX-License-Identifier: Apache-2.0
"""The copy into shared memory: which way for which size, which loop for which strides, and what new pages cost.

- *Ways*: cpp/copies.cpp copies frames into slots in turn, in several ways, and has another core read each one.
  The figures differ with where the system puts the two threads, so look at several runs.
- *Pace*: cpp/paced_copies.cpp does so 60 times a second, as a camera would, with everything cold in between.
- *Strides*: send() beside numpy.copyto() into as many warm buffers, for views of one picture.
- *First frames*: send() of the first three frames of a new channel.

What was decided by them is at the head of include/framebus/copy/copy.hpp and in docs/performance.md.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import framebus
from benchmarks.rounds import in_turn
from benchmarks.send import warm_buffers

ROOT = Path(__file__).parents[1]
SIZES = {
    "640x480x3": 921_600,
    "720p": 2_764_800,
    "1080p": 6_220_800,
    "1080p, 4 bytes a pixel": 8_294_400,
    "1440p": 11_059_200,
    "4K": 24_883_200,
}
SIZES_AT_60_HZ = {"256 KiB": 1 << 18, **{label: SIZES[label] for label in ("640x480x3", "720p", "1080p", "4K")}}
PACED_ROUNDS = 5
SLOTS_AND_SOURCES = ((3, 1), (3, 4), (8, 1))
ROUNDS = 15
CALLS = 5
NEW_CHANNELS = 15

Array = NDArray[Any]

VIEWS: dict[str, Callable[[Array], Array]] = {
    "whole": lambda a: a,
    "crop": lambda a: a[20:-20, 20:-20],
    "upside down": lambda a: a[::-1],
    "mirrored": lambda a: a[:, ::-1],
    "BGR as RGB": lambda a: a[..., ::-1],
    "one channel": lambda a: a[..., 0],
    "every second pixel": lambda a: a[::2, ::2],
    "turned": lambda a: a.transpose(1, 0, 2),
    "planes": lambda a: a.transpose(2, 0, 1),
    "from planes": lambda a: np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0),
    "BGRA as BGR": lambda a: np.dstack([a, a[..., :1]])[..., :3],
    "BGRA as RGB": lambda a: np.dstack([a, a[..., :1]])[..., 2::-1],
    "one value": lambda a: np.broadcast_to(a[:1, :1, :1], a.shape),
}


def picture(height: int, width: int) -> Array:
    return np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)


def compare_ways() -> None:
    print("\ncopy into shared memory + sum by a thread on another core, µs, medians")
    from tests.support.compiler import compile_cpp

    with tempfile.TemporaryDirectory() as folder:
        program = compile_cpp(ROOT / "benchmarks/cpp/copies.cpp", Path(folder) / "copies")
        for label, size in SIZES.items():
            for slots, sources in SLOTS_AND_SOURCES:
                command = [program, str(size), str(slots), str(sources), str(ROUNDS)]
                lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
                print(f"{label}, {slots} slots, {sources} sources")
                for name, copy, read in (line.replace(":", "").rsplit(" ", 2) for line in lines):
                    print(f"  {name:22s} {float(copy):8.0f} + {float(read):6.0f} = {float(copy) + float(read):8.0f}")


def compare_ways_at_60_hz() -> None:
    print("\ncopy into shared memory at 60 Hz: until all readers saw the first element, all bytes; µs, medians")
    from tests.support.compiler import compile_cpp

    with tempfile.TemporaryDirectory() as folder:
        program = compile_cpp(ROOT / "benchmarks/cpp/paced_copies.cpp", Path(folder) / "paced_copies")
        for label, size in SIZES_AT_60_HZ.items():
            for readers in (1, 3):
                for source in ("cold", "written"):
                    command = [program, str(size), str(readers), source, str(PACED_ROUNDS)]
                    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
                    ways = [line.replace(":", "").rsplit(" ", 2) for line in lines]
                    figures = "".join(f"  {name} {float(seen):6.0f} {float(all_):6.0f}" for name, seen, all_ in ways)
                    print(f"{label:12s} {readers} readers, source {source:7s}{figures}")


def microseconds_per_call(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - start) / CALLS * 1e6


def compare_views() -> None:
    print("\nsend() of views of a 1080p picture and numpy.copyto() into as many warm buffers, µs, medians")
    name = f"bench.copies.{os.getpid()}"
    with framebus.Publisher(name) as publisher:
        for label, view_of in VIEWS.items():
            view = view_of(picture(1080, 1920))
            buffers = warm_buffers(2, view)

            def copy(view: Array = view, buffers: list[Array] = buffers) -> None:
                np.copyto(buffers[0], view)
                buffers.reverse()

            spreads = in_turn(
                {
                    "send": lambda view=view: microseconds_per_call(lambda: publisher.send(view)),
                    "copyto": lambda copy=copy: microseconds_per_call(copy),
                },
                ROUNDS,
            )
            send, copyto = spreads["send"].median, spreads["copyto"].median
            print(f"  {label:20s} send {send:8.0f}  copyto {copyto:8.0f}  ratio {send / copyto:.2f}")


def show_first_frames() -> None:
    print("\nsend() of the first frames of a channel, µs, medians")
    for label, (height, width) in {"1080p": (1080, 1920), "4K": (2160, 3840)}.items():
        image = picture(height, width)
        taken: list[list[float]] = [[], [], [], []]
        for number in range(NEW_CHANNELS):
            with framebus.Publisher(f"bench.copies.{os.getpid()}.{number}") as publisher:
                for times in taken:
                    start = time.perf_counter()
                    publisher.send(image)
                    times.append((time.perf_counter() - start) * 1e6)
        print(f"  {label:6s}" + "".join(f"  frame {i + 1}: {median(t):7.0f}" for i, t in enumerate(taken)))


def main() -> None:
    compare_ways()
    compare_ways_at_60_hz()
    compare_views()
    show_first_frames()
