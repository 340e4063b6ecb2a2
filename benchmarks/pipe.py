# SPDX-License-Identifier: Apache-2.0
"""pipe: beside bare os.write and readinto of the same bytes, each to a program of its own through a pipe of one size.

The bare program reads into one array over and over, and the bare write has no deadline and loops inside the kernel:
nothing could do less. The pipe: source makes a new frame of each. Both programs run all the time; the writer sends some
frames to the one, waits until the last has been read, then to the other, so that a busy machine hits both alike. The
CPU time is that of both programs, writer and reader, for one frame.
"""

from __future__ import annotations

import fcntl
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import framebus
from benchmarks.rounds import in_turn

SHAPES = {"640x480": (480, 640, 3), "1080p": (1080, 1920, 3), "4K": (2160, 3840, 3)}
FRAMES = {"640x480": 60, "1080p": 15, "4K": 5}
ROUNDS = 60
PIPE_BYTES = 1 << 20

# Read COUNT frames, say so by a byte, and so on; at the end say how much CPU time that took.
BARE = """
import io, os, sys, time
import numpy as np
size, count = int(sys.argv[1]), int(sys.argv[2])
file, buffer = io.FileIO(int(sys.argv[3])), memoryview(np.empty(size, np.uint8))
def read_one():
    got = 0
    while got < size:
        n = file.readinto(buffer[got:])
        if not n:
            return False
        got += n
    return True
"""
FRAMEBUS = """
import os, sys, time
import framebus
count = int(sys.argv[2])
source = framebus.source(f"pipe:fd/{sys.argv[3]}")
def read_one():
    try:
        source.recv()
    except framebus.ChannelClosed:
        return False
    return True
"""
LOOP = """
read = 0
used = time.process_time()
while read_one():
    read += 1
    if read % count == 0:
        os.write(1, b".")
print((time.process_time() - used) / read, flush=True)
"""


@dataclass
class Contender:
    """A reading program, and what sends it one frame."""

    program: subprocess.Popen[bytes]
    send: Callable[[], object]
    close: Callable[[], object]
    cpu_s: list[float] = field(default_factory=list)

    def frames(self, count: int) -> float:
        """Sends frames and waits until all have been read; returns microseconds for one."""
        assert self.program.stdout is not None
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            self.send()
        assert os.read(self.program.stdout.fileno(), 1) == b"."
        self.cpu_s.append((time.process_time() - cpu) / count)
        return (time.perf_counter() - start) / count * 1e6

    def end(self) -> float:
        """Ends the program; returns microseconds of CPU time for one frame, of both programs."""
        assert self.program.stdout is not None
        self.close()
        reader = float(self.program.stdout.read())
        self.program.wait()
        return (statistics.median(self.cpu_s) + reader) * 1e6


def start(code: str, size: int, count: int, opened: ExitStack) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a reading program; returns it and where to write."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    command = [sys.executable, "-c", code + LOOP, str(size), str(count), str(reading)]
    program = subprocess.Popen(command, pass_fds=[reading], stdout=subprocess.PIPE)
    opened.enter_context(program)
    opened.callback(program.kill)
    os.close(reading)
    return program, writing


def bare(image: NDArray[np.uint8], count: int, opened: ExitStack) -> Contender:
    program, writing = start(BARE, image.nbytes, count, opened)
    data = memoryview(image).cast("B")

    def send() -> None:
        written = 0
        while written < len(data):
            written += os.write(writing, data[written:])

    return Contender(program, send, lambda: os.close(writing))


def through_framebus(image: NDArray[np.uint8], count: int, opened: ExitStack) -> Contender:
    program, writing = start(FRAMEBUS, image.nbytes, count, opened)
    sink = framebus.sink(f"pipe:fd/{writing}?buffer={PIPE_BYTES}")
    return Contender(program, lambda: sink.send(image, pixel_format="BGR8"), sink.close)


def main() -> None:
    print(f"\npipe: and bare os.write/readinto between two programs, a pipe of {PIPE_BYTES >> 10} KiB, µs for a frame,")
    print("median (least to most)")
    for label, shape in SHAPES.items():
        image = np.random.default_rng(1).integers(0, 255, shape, dtype=np.uint8)
        count = FRAMES[label]
        with ExitStack() as opened:
            both = {"bare": bare(image, count, opened), "pipe:": through_framebus(image, count, opened)}
            spreads = in_turn({name: lambda c=one: c.frames(count) for name, one in both.items()}, ROUNDS)  # noqa: B023
            cpu = {name: one.end() for name, one in both.items()}
        ratio = spreads["pipe:"].median / spreads["bare"].median
        print(f"{label}: ratio {ratio:.3f}, of CPU time {cpu['pipe:'] / cpu['bare']:.3f}")
        for name, spread in spreads.items():
            print(f"  {name:6s} {spread}  {1e6 / spread.median:7.0f} frames/s, CPU {cpu[name]:7.0f}")


if __name__ == "__main__":
    main()
