# SPDX-License-Identifier: Apache-2.0
"""The demo: starts player and worker, watches both channels, and sums up.

Whatever happens, when run() returns or raises, both programs have ended and their channels are gone. The channels are
named after this process, so that several demos can run at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import framebus
from framebus.demo import signals
from framebus.demo.child import Child
from framebus.demo.summary import Summary
from framebus.demo.table import Row
from framebus.demo.watch import HOLD, Watch

PATIENCE_S = 15.0  # for a program to make its channel, and for the next result to come
END_PATIENCE_S = 3.0  # for a program to end when its input has


class DemoFailed(framebus.Error):
    """A program died or complained, or no frame came through."""


@dataclass(frozen=True)
class Programs:
    """Player, worker and what watches them."""

    player: Child
    worker: Child
    watch: Watch

    @property
    def children(self) -> tuple[Child, Child]:
        """Both programs; the player comes first, since its failure is often the cause of the worker's."""
        return self.player, self.worker

    def rows(self) -> list[Row]:
        """Returns what there is to see at this moment: program, channel, program, channel."""
        player, worker, watch = self.player, self.worker, self.watch
        played = player.report.sent if player.report else None
        fetched = worker.report.fetched if worker.report else None
        processed = worker.report.sent if worker.report else None
        latency = watch.latency_s(0.5), watch.latency_s(0.99)
        return [
            Row.of("player", played, memory=player.memory),
            Row.of("   channel to worker", fetched),
            Row.of("worker", processed, latency=latency, memory=worker.memory),
            Row.of("   channel to here", watch.results.statistics()),
        ]

    def summary(self, source: str, interrupted: bool) -> Summary:
        """Returns what came of it; to be called when both programs have ended."""
        played, worked = self.player.report, self.worker.report
        if played is None or worked is None or worked.fetched is None:
            raise DemoFailed("a program ended without a report; please run it alone to see what is wrong")
        return Summary(
            source=source,
            interrupted=interrupted,
            played=played.sent,
            fetched=worked.fetched,
            processed=worked.sent,
            arrived=self.watch.results.statistics(),
            latency_p50_s=self.watch.latency_s(0.5),
            latency_p99_s=self.watch.latency_s(0.99),
            pair=self.watch.pair,
        )


def run(source: str, seconds: float, show: Callable[[list[Row]], None], interval_s: float) -> Summary:
    """Plays `seconds` of `source` through both programs and calls `show` every `interval_s` seconds.

    Ctrl-C ends it early, and the summary then covers what was played; a second Ctrl-C is a KeyboardInterrupt.
    Raises DemoFailed, with the last words of the program that failed.
    """
    clip, edges = f"demo-{os.getpid()}-clip", f"demo-{os.getpid()}-edges"
    play = (clip, "--source", source, "--seconds", str(seconds), "--audience", "2")
    with ExitStack() as channels, ExitStack() as started:
        channels.callback(_sweep, clip, edges)
        with signals.held_back():
            player = Child("the player", "framebus.demo.play", *play)
            started.callback(player.end, END_PATIENCE_S)
            worker = Child("the worker", "framebus.demo.process", clip, edges)
            started.callback(worker.end, END_PATIENCE_S)
        started.callback(player.hang_up)
        results = channels.enter_context(_join(edges, player, worker, every=True))
        frames = channels.enter_context(_join(clip, player, worker, every=False))
        watch = Watch(frames, results)
        channels.callback(watch.close)
        programs = Programs(player, worker, watch)
        interrupted = _follow(programs, show, interval_s)
        if watch.latest_seq == 0 and not interrupted:
            raise DemoFailed("both programs ended well, but no frame came through")
        return programs.summary(source, interrupted)


def _join(channel: str, *children: Child, every: bool) -> framebus.Subscriber:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return framebus.Subscriber(channel, every=every, hold=HOLD, connect_timeout=0.1, reconnect=False)
        except framebus.ChannelNotFound as error:
            if any(child.status is not None for child in children):
                _check_end(children)
                raise DemoFailed(children[0].what_happened()) from error
            if time.monotonic() > deadline:
                raise DemoFailed(f"channel {channel!r} did not appear within {PATIENCE_S:g} s") from error


def _sweep(*names: str) -> None:
    """Removes what a killed program has left: the last participant that leaves removes a channel's files."""
    for name in names:
        with suppress(framebus.Error):
            framebus.Subscriber(name).close()


def _follow(programs: Programs, show: Callable[[list[Row]], None], interval_s: float) -> bool:
    """Watches until both programs have ended; returns whether that came by Ctrl-C."""
    watch = programs.watch
    interrupted = False
    seen, seen_at = 0, time.monotonic()
    try:
        while not watch.wait(interval_s):
            _check(programs.children)
            show(programs.rows())
            if watch.latest_seq != seen:
                seen, seen_at = watch.latest_seq, time.monotonic()
            elif time.monotonic() - seen_at > PATIENCE_S:
                raise DemoFailed(f"no result came for {PATIENCE_S:g} s, the last was {seen}")
    except KeyboardInterrupt:
        interrupted = True
        programs.player.hang_up()
        watch.wait(END_PATIENCE_S)
    _check_end(programs.children)
    if watch.failure is not None:
        raise DemoFailed(f"watching failed: {watch.failure}") from watch.failure
    show(programs.rows())
    return interrupted


def _check(children: Sequence[Child]) -> None:
    """Raises DemoFailed for the first program that has failed."""
    for child in children:
        if child.status:
            child.wait(END_PATIENCE_S)
            raise DemoFailed(child.what_happened())


def _check_end(children: Sequence[Child]) -> None:
    """Waits for the programs to end; raises DemoFailed if one fails or does not end."""
    for child in reversed(children):  # the worker ends when the player has
        child.wait(END_PATIENCE_S)
        _check(children)
    running = [child.what_happened() for child in children if child.status is None]
    if running:
        raise DemoFailed("\n".join(running))
