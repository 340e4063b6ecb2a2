# SPDX-License-Identifier: Apache-2.0
"""What a program leaves behind, also when it is killed: records in a file, and a page that says what it does now.

Promises: a record that was written stays, whatever happens to its writer; threads may write at the same time. The
page is a hint of the moment, but for `ending`, by which the driver asks the program to end.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BEGIN, OPENED, INTENT, SENT, REFUSED, DROPPED, GOT = range(1, 8)

# kind: one of the above. a, b: OPENED: inode of the control block; INTENT, REFUSED, DROPPED: 0 and the ticket;
# SENT, GOT: sequence number and ticket. time: CLOCK_MONOTONIC, ns.
RECORD = np.dtype([("kind", "<u4"), ("thread", "<u4"), ("a", "<u8"), ("b", "<u8"), ("time", "<i8")])
_PACKED = struct.Struct("<IIQQq")

ACTIVITIES = (
    "nothing", "starting", "waiting for the name", "opening", "pausing", "sending", "filling a loan", "attaching",
    "receiving", "iterating", "checking", "checking kept frames", "counting", "closing", "ending",
)  # fmt: skip
THREADS = 4
_PAGE = 4096
_LINE = struct.Struct("<qII")  # when, activity, frames held


class Paths:
    """The files of program `number` in the folder of a round."""

    def __init__(self, folder: Path, number: int) -> None:
        self.journal = folder / f"{number}.journal"
        self.page = folder / f"{number}.page"
        self.report = folder / f"{number}.report"
        self.errors = folder / f"{number}.errors"


class Page:
    """One page, shared by a program and the driver."""

    def __init__(self, path: Path, *, make: bool = False) -> None:
        if make:
            path.write_bytes(bytes(_PAGE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _PAGE)

    @property
    def ending(self) -> bool:
        return self._map[0] != 0

    def ask_to_end(self) -> None:
        self._map[0] = 1

    def now(self, activity: str, thread: int = 0, held: int = 0) -> None:
        """Says what a thread begins to do."""
        line = (time.monotonic_ns(), ACTIVITIES.index(activity), held)
        _LINE.pack_into(self._map, 64 * (1 + thread), *line)

    def threads(self) -> list[tuple[int, str, int]]:
        """Since when, what, and how many frames held, of each thread that does something."""
        lines = (_LINE.unpack_from(self._map, 64 * (1 + thread)) for thread in range(THREADS))
        return [(when, ACTIVITIES[activity], held) for when, activity, held in lines if activity != 0]


class Journal:
    """The records of one program."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._file = os.open(paths.journal, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, kind: int, a: int = 0, b: int = 0, thread: int = 0) -> None:
        os.write(self._file, _PACKED.pack(kind, thread, a, b, time.monotonic_ns()))

    def report(self, **facts: object) -> None:
        """The last words of a program that ends in order."""
        scratch = self._paths.report.with_suffix(".new")
        scratch.write_text(json.dumps(facts))
        scratch.rename(self._paths.report)


def read(path: Path) -> NDArray[Any]:
    """The records of a program, or none if it never came to write any."""
    return np.fromfile(path, RECORD) if path.exists() else np.zeros(0, RECORD)


def inode_of(channel: str) -> int:
    """Tells apart the control blocks that had the same name; for one who is part of the channel."""
    return os.stat(f"/dev/shm/framebus.{channel}").st_ino
