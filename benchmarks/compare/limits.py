# SPDX-License-Identifier: Apache-2.0
"""What the machine can do, measured in the same rounds as the peers: all in the first, what has a target in each.

A futex hand-over in C++ (parked, spinning, sleeping until just before and then spinning), the C++ API with 64 bytes,
numpy.copyto into as many warm buffers in /dev/shm as the channel used, and a loan that is handed over in one process.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks import cpp, handover, send
from benchmarks.compare.plan import RATE_HZ, SMALL, WAITS, Cell
from benchmarks.compare.results import Row, spread_of, without_paths
from benchmarks.compare.task import SIZES, quantile
from benchmarks.peers import by_framebus

FUTEX_MODES = ("park", "spin", "timed")
IN_EVERY_ROUND = "park"
Key = tuple[str, str, str]  # kind, title, size


class Limits:
    """Takes limits once a round. spent_s: what the last round took."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._taken: dict[Key, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self._problems: dict[Key, str] = {}
        self._frames = max(10, int(seconds * RATE_HZ))
        self._programs: dict[str, Path] = {}
        self._why_not = ""
        self.spent_s = 0.0
        try:
            self._programs = cpp.build(["futex", "channel"], folder)
        except (OSError, subprocess.SubprocessError) as error:
            self._why_not = f"does not compile: {error}"

    def round(self, cells: Sequence[Cell], *, every: bool) -> None:
        """`cells` tell how many buffers the channel has used. Without `every`, only what has a target."""
        begin = time.monotonic()
        for mode in FUTEX_MODES if every else (IN_EVERY_ROUND,):
            self._native(("hand-over", f"C++ futex, {mode}", SMALL), "futex", mode)
        for wait in WAITS if every else (IN_EVERY_ROUND,):
            self._native(("C++ API", f"C++ framebus {wait}", SMALL), "channel", wait, f"fbench{os.getpid()}cpp{wait}")
        if every:
            for size in SIZES:
                for kind in ("latency", "throughput"):
                    self._copy(size, kind, buffers_used(cells, size, kind))
        for size, spread in handover.measure(rounds=1).items():
            self._taken["one process", "loan, commit, recv, .array, release", size]["us"].append(spread.median)
        self.spent_s = time.monotonic() - begin

    def rows(self) -> list[Row]:
        keys = dict.fromkeys([*self._taken, *self._problems])
        return [
            Row(
                kind, title, size,
                ours=kind in ("C++ API", "one process"),
                problem=self._problem((kind, title, size)),
                figures={name: spread_of(values) for name, values in self._taken[kind, title, size].items()},
                rounds=max(map(len, self._taken[kind, title, size].values()), default=0),
            )
            for kind, title, size in keys
        ]  # fmt: skip

    def _problem(self, key: Key) -> str | None:
        return without_paths(self._problems[key]) if key in self._problems else None

    def _native(self, key: Key, program: str, mode: str, *more: str) -> None:
        if not self._programs:
            self._problems[key] = self._why_not
        if key in self._problems:
            return
        seconds = 15.0 + 2 * self._frames / RATE_HZ
        try:
            found = cpp.run(self._programs[program], mode, self._frames, RATE_HZ, *more, seconds=seconds)
        except RuntimeError as error:
            self._problems[key] = str(error)
            for name in more:
                by_framebus.remove_channel(name)
            return
        ages = [age / 1e3 for age in found["ages_ns"]]
        figures = {"p50_us": quantile(ages, 0.5), "p99_us": quantile(ages, 0.99), "receiver_share": found["share"]}
        for name, value in figures.items():
            self._taken[key][name].append(value)

    def _copy(self, size: str, kind: str, count: int) -> None:
        image = np.full(SIZES[size], 1, np.uint8)
        taken = self._taken["copy", f"numpy.copyto, buffers of {kind}", size]
        copy: Callable[[], None] = send.copying(count, image)
        send.microseconds_per_call(copy)
        taken["us"].append(median(send.microseconds_per_call(copy) for _ in range(3)))
        taken["buffers"].append(count)


def buffers_used(cells: Sequence[Cell], size: str, kind: str) -> int:
    """The most that the channel used at that work; 3, as with one subscriber that keeps up, where it is not known."""
    used = [
        taken.buffers
        for cell in cells
        if cell.contender.ours and (cell.task.kind, cell.task.size, cell.task.in_place) == (kind, size, False)
        for taken in cell.taken
    ]
    # Of tiny frames several fit into one page.
    return max([1, *used]) if used and size != SMALL else 3
