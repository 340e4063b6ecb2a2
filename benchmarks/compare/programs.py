# SPDX-License-Identifier: Apache-2.0
"""The programs at the two ends of one measurement. What they do is the same for every peer.

The sender sends frames numbered below zero until it is told that every receiver has seen one, then those that count,
then END again and again until everybody has it, all at the same pace. A receiver that has seen END reports, and goes on
receiving until it is told to stop, so that nobody waits for it. What was imported or made for the first time is over
when counting begins.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, cast

from benchmarks.compare.task import Contender, SeenReport, SentReport, Task
from benchmarks.peers import peer as peers
from benchmarks.peers.peer import MARK, STAMP, Channel, Image, Lender, Receiver, Sender
from benchmarks.program import Failed, failure_of

END = (1 << 62) - 1
WARM = -1
PAUSE_S = 0.004  # between those, where frames that count have no pace
LEARNT = 25  # frames at least, so that a receiver that learns the pace knows it
QUIET_S = 0.25  # a receiver looks that often whether it is told to stop
AGES_KEPT = 20_000
CALLS_KEPT = 20_000

HandOver = Callable[[int, int], None]  # of number and time; sends one frame


def guarded(work: Callable[..., None]) -> Callable[..., None]:
    """Makes what `work` raises the answer to whatever is asked next."""

    def run(*arguments: Any) -> None:
        pipe: Connection = arguments[-1]
        try:
            work(*arguments)
        except Exception as error:
            with contextlib.suppress(BrokenPipeError):  # nobody is there any more who could be told
                pipe.send(failure_of(error))

    return run


def expect(pipe: Connection, command: str) -> None:
    told = pipe.recv()[0]
    if told != command:
        raise Failed(f"was told {told} where {command} was due")


def sender_main(contender: Contender, task: Task, channel: Channel, shared: Any, pipe: Connection) -> None:
    guarded(run_sender)(contender, task, channel, shared, pipe)


def receiver_main(
    contender: Contender, task: Task, channel: Channel, shared: Any, number: int, pipe: Connection
) -> None:
    guarded(run_receiver)(contender, task, channel, shared, number, pipe)


def buffers_of(sender: Sender, task: Task) -> int:
    """How many frames' worth of memory it uses in turn, where it can tell."""
    used = getattr(sender, "memory_bytes", None)
    return round(used() / math.prod(task.shape)) if used is not None else 0


def run_sender(contender: Contender, task: Task, channel: Channel, shared: Any, pipe: Connection) -> None:
    module = peers.load(contender.module)
    pipe.send("imported")
    expect(pipe, "open")
    sender = module.open_sender(channel, shared)
    pipe.send("open")
    expect(pipe, "warm")
    hand_over = handing_over(sender, task)
    pacer = Pacer(1 / task.rate_hz if task.rate_hz else PAUSE_S)
    repeat(hand_over, WARM, pipe, pacer, at_least=LEARNT if task.kind == "latency" else 0)
    expect(pipe, "go")
    report = send_all(hand_over, task, pacer)
    report.buffers = buffers_of(sender, task)
    pipe.send(report)
    repeat(hand_over, END, pipe, pacer)
    expect(pipe, "stop")
    pipe.send("stopped")
    expect(pipe, "close")
    sender.close()
    pipe.send("closed")


def handing_over(sender: Sender, task: Task) -> HandOver:
    """A function of number and time that sends one frame."""
    if task.in_place:
        if not hasattr(sender, "send_in_place"):
            raise peers.Unable("has no loans")
        return cast(Lender, sender).send_in_place
    image = peers.filled(task.shape)
    stamp, send = STAMP.pack_into, sender.send

    def hand_over(number: int, time_ns: int) -> None:
        stamp(image, 0, number, time_ns)
        send(image)

    return hand_over


class Pacer:
    """Absolute deadlines, one period apart; one that was missed moves those behind it."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._due = time.monotonic() + period

    def wait(self) -> None:
        """Sleeps until the next deadline."""
        pause = self._due - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        self._due = max(self._due + self._period, time.monotonic())


def repeat(hand_over: HandOver, number: int, pipe: Connection, pacer: Pacer, at_least: int = 0) -> None:
    """Sends frames that do not count until there is a command, at the pace of those that do."""
    sent = 0
    while sent < at_least or not pipe.poll():
        pacer.wait()
        hand_over(number, time.monotonic_ns())
        sent += 1


def send_all(hand_over: HandOver, task: Task, pacer: Pacer) -> SentReport:
    """Sends the frames that count."""
    cpu = time.process_time()
    calls = send_paced(hand_over, task, pacer) if task.rate_hz else send_unpaced(hand_over, task)
    return SentReport(len(calls), time.process_time() - cpu, [call / 1e3 for call in calls[:CALLS_KEPT]])


def send_paced(hand_over: HandOver, task: Task, pacer: Pacer) -> list[int]:
    """Each frame at its own time. Returns how long each call took."""
    now_ns = time.monotonic_ns
    calls: list[int] = []
    end = time.monotonic() + task.seconds
    while len(calls) < task.frames and time.monotonic() < end:
        pacer.wait()
        before = now_ns()
        hand_over(len(calls), before)
        calls.append(now_ns() - before)
    return calls


def send_unpaced(hand_over: HandOver, task: Task) -> list[int]:
    """As fast as it goes, with one look at the clock for each frame."""
    now_ns = time.monotonic_ns
    before = now_ns()
    end = before + int(task.seconds * 1e9)
    calls: list[int] = []
    number = 0
    while number < task.frames and before < end:
        hand_over(number, before)
        number += 1
        after = now_ns()
        calls.append(after - before)
        before = after
    return calls


class Watch:
    """Looks at frames: the first and the last element, then the clock, then the number."""

    def __init__(self, task: Task, pipe: Connection) -> None:
        self._shape = task.shape
        self._pipe = pipe
        self._ages: list[int] = []
        self._next = 0
        self._warm = self._begun = False
        self._cpu = self._wall = 0.0
        self._report = SeenReport()
        self.look = self._count if task.kind == "throughput" else self._time
        self.done = False

    def _count(self, image: Image) -> bool:
        """Reads both elements and the number, and nothing else."""
        image.item(0)
        last = image.item(-1)
        number, _ = STAMP.unpack_from(image)
        if (number != self._next or last != MARK or not self._begun) and not self._unusual(image, number, last):
            return self.done
        self._next = number + 1
        self._report.frames += 1
        return False

    def _time(self, image: Image) -> bool:
        image.item(0)
        last = image.item(-1)
        now = time.monotonic_ns()
        number, sent = STAMP.unpack_from(image)
        if (number != self._next or last != MARK or not self._begun) and not self._unusual(image, number, last):
            return self.done
        self._next = number + 1
        if number < AGES_KEPT:
            self._ages.append(now - sent)
        self._report.frames += 1
        return False

    def _unusual(self, image: Image, number: int, last: int) -> bool:
        """Deals with whatever is not simply the next frame; says whether it is a frame that counts."""
        if number == WARM:
            if not self._warm:
                self._warm = True
                same = image.shape == self._shape and last == MARK
                self._pipe.send("warm" if same else Failed(f"gives an array of {image.shape}, last element {last}"))
            return False
        if number == END:
            if not self.done:
                self._finish()
            return False
        self._report.broken += last != MARK
        self._report.lost += max(0, number - self._next)
        self._report.disorder += number < self._next
        if not self._begun:
            self._begun = True
            self._cpu, self._wall = time.process_time(), time.monotonic()
        return True

    def _finish(self) -> None:
        self.done = True
        report = self._report
        report.cpu_s, report.wall_s = time.process_time() - self._cpu, time.monotonic() - self._wall
        report.ages_us = [age / 1e3 for age in self._ages]
        self._pipe.send(report)


def run_receiver(
    contender: Contender, task: Task, channel: Channel, shared: Any, number: int, pipe: Connection
) -> None:
    module = peers.load(contender.module)
    pipe.send("imported")
    expect(pipe, "open")
    receiver: Receiver = module.open_receiver(channel, shared, number)
    watch = Watch(task, pipe)
    pipe.send("open")
    while not pipe.poll():
        receiver.each(watch.look, QUIET_S / 5 if watch.done else QUIET_S)
    expect(pipe, "close")
    receiver.close()
    pipe.send("closed")
