# SPDX-License-Identifier: Apache-2.0
"""The programs at the two ends of one measurement. What they do is the same for every peer.

The sender sends WARM frames until it is told that every receiver has seen one, then those that count, half by half,
then END again and again until everybody has it, all at the same pace. A receiver that has seen END reports, and goes on
receiving until it is told to stop, so that nobody waits for it. What was imported or made for the first time is over
when counting begins.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.compare.sending import Pacer, Work, repeat, send_half
from benchmarks.compare.task import ALL_FROM, Contender, SentReport, Task
from benchmarks.compare.watching import END, WARM, Watch
from benchmarks.peers import peer as peers
from benchmarks.peers.peer import Channel, Receiver, Sender
from benchmarks.program import Failed, failure_of

PAUSE_S = 0.004  # between those, where frames that count have no pace
# WARM frames at least: a receiver that learns the pace knows it then, and all memory that is used in turn is mapped.
LEARNT = {"latency": 25, "fanout": 8, "throughput": 0}
QUIET_S = 0.25  # a receiver looks that often whether it is told to stop


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
    work = Work(sender, task)
    pacer = Pacer(1 / task.rate_hz if task.rate_hz else PAUSE_S)
    repeat(work, WARM, pacer, pipe.poll, at_least=LEARNT[task.kind])
    expect(pipe, "go")
    halves = [send_half(work, first, task, pacer) for first in (0, ALL_FROM)[: task.halves]]
    pipe.send(SentReport(halves, buffers_of(sender, task)))
    repeat(work, END, pacer, pipe.poll)
    expect(pipe, "stop")
    pipe.send("stopped")
    expect(pipe, "close")
    sender.close()
    pipe.send("closed")


def run_receiver(
    contender: Contender, task: Task, channel: Channel, shared: Any, number: int, pipe: Connection
) -> None:
    module = peers.load(contender.module)
    pipe.send("imported")
    expect(pipe, "open")
    receiver: Receiver = module.open_receiver(channel, shared, number)
    watch = Watch(task, pipe.send)
    pipe.send("open")
    while not pipe.poll():
        receiver.each(watch.look, QUIET_S / 5 if watch.done else QUIET_S)
    expect(pipe, "close")
    receiver.close()
    pipe.send("closed")
