# SPDX-License-Identifier: Apache-2.0
"""What a receiver does with each frame, the same for every peer: touches it, reads the clock, and checks what it saw.

In the first half it touches the first and the last element. In the second half it then reads every byte, before it
reads the clock. A frame with an element of another frame in it counts as broken.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.compare.task import ALL_FROM, SeenHalf, SeenReport, Task
from benchmarks.peers.peer import STAMP, Image, brightest, shade
from benchmarks.program import Failed

WARM = -1  # the number of frames before those that count
END = -2  # and after them


class Watch:
    """Looks at frames; tells "warm" when the first has come, and a SeenReport when those that count are over."""

    def __init__(self, task: Task, tell: Callable[[object], None]) -> None:
        self._task = task
        self._tell = tell
        self._next = 0
        self._place = -1  # of the half that has begun
        self._warm = False
        self._cpu = self._wall = 0.0
        self._ages: list[list[int]] = [[] for _ in range(task.halves)]
        self._report = SeenReport([SeenHalf() for _ in range(task.halves)])
        self.look = self._count if task.kind == "throughput" else self._time
        self.done = False

    def _count(self, image: Image) -> bool:
        """Reads both elements and the number, and nothing else."""
        image.item(0)
        last = image.item(-1)
        number, _ = STAMP.unpack_from(image)
        if (number != self._next or self._place < 0) and not self._unusual(image, number, last):
            return self.done
        self._next = number + 1
        self._report.halves[0].frames += 1
        self._report.broken += last != shade(number)
        return False

    def _time(self, image: Image) -> bool:
        image.item(0)
        last = image.item(-1)
        number, sent = STAMP.unpack_from(image)
        peak = last
        if number >= ALL_FROM:
            if self._place < 1:
                self._begin(1)  # before the bytes are read, since that is work of this half
            peak = brightest(image)
        now = time.monotonic_ns()
        if (number != self._next or self._place < 0) and not self._unusual(image, number, last):
            return self.done
        self._next = number + 1
        self._ages[self._place].append(now - sent)
        self._report.halves[self._place].frames += 1
        expected = shade(number)
        self._report.broken += last != expected or peak != expected
        return False

    def _unusual(self, image: Image, number: int, last: int) -> bool:
        """Deals with whatever is not simply the next frame; says whether it is a frame that counts."""
        if number == WARM:
            self._warm_up(image, last)
            return False
        if number == END:
            if not self.done:
                self._finish()
            return False
        if self._place < 0:
            self._begin(0)
        self._report.disorder += number < self._next
        return True

    def _warm_up(self, image: Image, last: int) -> None:
        """Reads what will be read later, so that all pages are mapped by then."""
        if self._task.halves > 1:
            brightest(image)
        if not self._warm:
            self._warm = True
            same = image.shape == self._task.shape and last == shade(WARM)
            self._tell("warm" if same else Failed(f"gives an array of {image.shape}, last element {last}"))

    def _begin(self, place: int) -> None:
        """A half begins, and the one before ends."""
        cpu, wall = time.process_time(), time.monotonic()
        if self._place >= 0:
            half = self._report.halves[self._place]
            half.cpu_s, half.wall_s = cpu - self._cpu, wall - self._wall
        self._cpu, self._wall = cpu, wall
        if place == 1:
            self._next = ALL_FROM
        self._place = place

    def _finish(self) -> None:
        self.done = True
        if self._place >= 0:
            self._begin(self._place)
        for half, ages in zip(self._report.halves, self._ages, strict=True):
            half.ages_us = [age / 1e3 for age in ages]
        self._tell(self._report)
