# SPDX-License-Identifier: Apache-2.0
"""One measurement: starts the programs, lets them work, sums up what they report, and leaves nothing behind.

Whatever goes wrong in a program is a Problem with its reason: an import that fails, a frame of the wrong shape,
silence. A measurement in which nothing may be lost and something was is a Problem too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from multiprocessing.connection import wait
from typing import Any

from benchmarks.compare.programs import receiver_main, sender_main
from benchmarks.compare.task import Contender, SeenHalf, SeenReport, SentReport, Taken, Task, quantile
from benchmarks.peers import peer as peers
from benchmarks.peers.peer import Channel, Peer, Unable
from benchmarks.program import START_S, Failed, Handle, Hang, failure_of

_count = 0


class Problem(Exception):
    """Why there is no figure."""


class Party(Handle):
    """One of the programs; whatever goes wrong in it is a Problem that says in which."""

    watchdog_s = 10.0

    def __init__(self, title: str, *arguments: Any) -> None:
        self.title = title
        super().__init__(*arguments)

    def answer(self, seconds: float | None = None) -> Any:
        try:
            return super().answer(seconds)
        except Hang:
            raise self.hangs() from None
        except Failed as failure:
            raise Problem(f"{self.title}: {_text(failure)}") from None

    def tell(self, command: str, argument: Any = None) -> None:
        try:
            super().tell(command, argument)
        except Failed:
            self.answer()  # what it said before it ended
            raise Problem(f"{self.title} ended by itself") from None

    def hangs(self) -> Problem:
        return Problem(f"{self.title} did not go on within {self.watchdog_s:.0f} s")


def measure(contender: Contender, task: Task) -> Taken:
    """Does the task once. Raises Problem."""
    with tempfile.TemporaryDirectory(prefix="fb") as folder:
        channel = Channel(_unique(), folder, task.shape, task.receivers, task.lossless, contender.options)
        try:
            module = peers.load(contender.module)
            shared = module.prepare(channel)
        except (ImportError, Unable, OSError) as error:
            raise Problem(_text(error)) from None
        try:
            sent, seen = _work(contender, task, channel, shared)
        finally:
            _remove(module, channel, shared)
    return _summed_up(task, sent, seen)


def _unique() -> str:
    global _count
    _count += 1
    return f"fbench{os.getpid()}x{_count}"


def _text(error: BaseException) -> str:
    if isinstance(error, Failed):
        return str(error).removeprefix("Unable: ")
    return str(error) if isinstance(error, Unable) else str(failure_of(error))


def _remove(module: Peer, channel: Channel, shared: Any) -> None:
    with contextlib.suppress(OSError):  # it was there a moment ago
        module.remove(channel, shared)


def _work(contender: Contender, task: Task, channel: Channel, shared: Any) -> tuple[SentReport, list[SeenReport]]:
    parties: list[Party] = []
    try:
        parties.append(Party("the sender", sender_main, contender, task, channel, shared))
        for number in range(task.receivers):
            receiver = Party("a receiver", receiver_main, contender, task, channel, shared, number)
            parties.append(receiver)
        for party in parties:
            party.answer(START_S)
        for party in parties:
            party.ask("open")
        sender, *receivers = parties
        sender.tell("warm")
        for party in receivers:
            party.answer()
        sender.tell("go")
        sent = _sent(parties, task.seconds * task.halves + Party.watchdog_s)
        seen = [party.answer() for party in receivers]
        _dismiss(parties)
        return sent, seen
    finally:
        for party in parties:
            with contextlib.suppress(OSError):
                party.kill()


def _sent(parties: list[Party], seconds: float) -> SentReport:
    """The sender's report; a receiver that fails meanwhile is heard too."""
    sender = parties[0]
    while True:
        ready = wait([party.pipe for party in parties], seconds)
        if not ready:
            raise sender.hangs()
        for party in parties:
            if party.pipe in ready:
                report = party.answer()  # a receiver has nothing to say yet but what is wrong
                assert isinstance(report, SentReport)
                return report


def _dismiss(parties: list[Party]) -> None:
    """Ends all in order; whoever does not want to is killed by the caller."""
    with contextlib.suppress(Problem):
        sender, *receivers = parties
        sender.ask("stop")
        for party in receivers:  # each looks a few times a second whether it is told to
            party.tell("close")
        for party in receivers:
            party.answer()
        sender.ask("close")
        for party in parties:
            party.end()


def _summed_up(task: Task, sent: SentReport, seen: list[SeenReport]) -> Taken:
    frames = min(report.frames for report in seen)
    lost = sum(sent.frames - report.frames for report in seen)
    if any(report.disorder or report.broken for report in seen):
        raise Problem(f"{sum(r.disorder for r in seen)} frames out of order, {sum(r.broken for r in seen)} broken")
    if lost and task.lossless:
        raise Problem(f"lost {lost} of {sent.frames} frames, where nothing may be lost")
    if not frames:
        raise Problem(f"none of {sent.frames} frames arrived")
    ages, all_ages = ([age for report in seen for age in _half(report, place).ages_us] for place in (0, 1))
    return Taken(
        p50_us=quantile(ages, 0.5) if ages else None,
        p99_us=quantile(ages, 0.99) if ages else None,
        all_p50_us=quantile(all_ages, 0.5) if all_ages else None,
        all_p99_us=quantile(all_ages, 0.99) if all_ages else None,
        frames=frames,
        sent=sent.frames,
        lost=lost,
        rate_hz=min((report.frames - 1) / max(report.wall_s, 1e-9) for report in seen),
        cpu_us=_cpu_us(sent, seen, 0),
        all_cpu_us=_cpu_us(sent, seen, 1) if task.halves > 1 else None,
        sender_cpu_s=sum(half.cpu_s for half in sent.halves),
        receiver_cpu_s=sum(half.cpu_s for report in seen for half in report.halves),
        receiver_share=seen[0].halves[0].cpu_s / max(seen[0].halves[0].wall_s, 1e-9),
        call_us=quantile(sent.halves[0].calls_us, 0.5),
        buffers=sent.buffers,
        ages_us=ages,
        all_ages_us=all_ages,
    )


def _half(report: SeenReport, place: int) -> SeenHalf:
    """One half of a receiver's report; an empty one where there was none."""
    return report.halves[place] if place < len(report.halves) else SeenHalf()


def _cpu_us(sent: SentReport, seen: list[SeenReport], place: int) -> float:
    """CPU of all programs for one frame of a half."""
    used = sent.halves[place].cpu_s + sum(report.halves[place].cpu_s for report in seen)
    return used / sent.halves[place].frames * 1e6
