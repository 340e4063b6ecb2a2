# SPDX-License-Identifier: Apache-2.0
"""What a sender does for each frame, the same for every peer.

At a pace and by send(), the array is written in full before each frame, as a camera or a program that computes images
does it. Then the clock is read, number and time are put in front, and the frame is sent. Writing the array counts
neither as latency nor as CPU. As fast as it goes, only number, time and last element are written, so that what is
measured is the peer. By loan, these three are written into borrowed memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import cast

from benchmarks.compare.task import SentHalf, Task
from benchmarks.peers import peer as peers
from benchmarks.peers.peer import STAMP, Lender, Sender, filled, shade, write_ends

WARM_UP_S = 250e-6


class Work:
    """One sender's frames.

    Attributes:
        write: makes the array ready for the frame of a number. Not measured.
        hand_over: sends that frame, stamped with number and time. Measured.
        warm_up: what the sender calls shortly before a frame is due, None for nothing. Its CPU counts.
    """

    def __init__(self, sender: Sender, task: Task) -> None:
        self.warm_up: Callable[[], None] | None = getattr(sender, "warm_up", None)
        self.write: Callable[[int], None] = self._leave
        self.hand_over: Callable[[int, int], None] = self._send_again
        if task.in_place:
            if not hasattr(sender, "send_in_place"):
                raise peers.Unable("has no loans")
            self.hand_over = cast(Lender, sender).send_in_place
            return
        self._image = filled(task.shape)
        self._send = sender.send
        if task.written:
            self.write, self.hand_over = self._fill, self._send_written

    def _leave(self, number: int) -> None:
        """Nothing."""

    def _fill(self, number: int) -> None:
        self._image.fill(shade(number))

    def _send_written(self, number: int, time_ns: int) -> None:
        STAMP.pack_into(self._image, 0, number, time_ns)
        self._send(self._image)

    def _send_again(self, number: int, time_ns: int) -> None:
        write_ends(self._image, number, time_ns)
        self._send(self._image)


class Pacer:
    """Absolute deadlines, one period apart; one that was missed moves those behind it."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._due = time.monotonic() + period

    def wait(self, warm_up: Callable[[], None] | None = None) -> None:
        """Sleeps until the next deadline, and calls `warm_up` WARM_UP_S before it."""
        if warm_up is not None:
            self._sleep_until(self._due - WARM_UP_S)
            warm_up()
        self._sleep_until(self._due)
        self._due = max(self._due + self._period, time.monotonic())

    @staticmethod
    def _sleep_until(moment: float) -> None:
        pause = moment - time.monotonic()
        if pause > 0:
            time.sleep(pause)


def repeat(work: Work, number: int, pacer: Pacer, done: Callable[[], bool], at_least: int = 0) -> None:
    """Sends frames that do not count until `done`, at the pace of those that do."""
    sent = 0
    while sent < at_least or not done():
        pacer.wait(work.warm_up)
        work.write(number)
        work.hand_over(number, time.monotonic_ns())
        sent += 1


def send_half(work: Work, first: int, task: Task, pacer: Pacer) -> SentHalf:
    """Sends the frames of one half, which are numbered from `first` on."""
    cpu = time.process_time()
    calls, writing = send_paced(work, first, task, pacer) if task.rate_hz else (send_unpaced(work, first, task), 0.0)
    return SentHalf([call / 1e3 for call in calls], time.process_time() - cpu - writing)


def send_paced(work: Work, first: int, task: Task, pacer: Pacer) -> tuple[list[int], float]:
    """Each frame at its own time. Returns how long each call took in ns, and the CPU seconds of writing the array."""
    now_ns, used = time.monotonic_ns, time.thread_time
    write, hand_over = work.write, work.hand_over
    calls: list[int] = []
    writing = 0.0
    end = time.monotonic() + task.seconds
    while len(calls) < task.frames and time.monotonic() < end:
        pacer.wait(work.warm_up)
        number = first + len(calls)
        begin = used()
        write(number)
        writing += used() - begin
        before = now_ns()
        hand_over(number, before)
        calls.append(now_ns() - before)
    return calls, writing


def send_unpaced(work: Work, first: int, task: Task) -> list[int]:
    """As fast as it goes, with one look at the clock for each frame."""
    now_ns, hand_over = time.monotonic_ns, work.hand_over
    before = now_ns()
    end = before + int(task.seconds * 1e9)
    calls: list[int] = []
    while len(calls) < task.frames and before < end:
        hand_over(first + len(calls), before)
        after = now_ns()
        calls.append(after - before)
        before = after
    return calls
