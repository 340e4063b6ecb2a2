# SPDX-License-Identifier: Apache-2.0
"""A subscriber under torture: `python -m tests.torture.subscribe JSON`.

It fetches frames in one of five ways from one or more threads, checks every byte, keeps some of them and checks those
again before it lets go, also after it has left the channel, and reports what the channel's statistics say.
"""

from __future__ import annotations

import faulthandler
import json
import random
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tests.torture import journal as records, payload
from tests.torture.journal import Journal, Page, Paths

import framebus


@dataclass
class Kept:
    """A frame that is kept: by arrays of bytes, each from `start` on, and maybe as a Frame too."""

    ticket: int
    seq: int
    views: list[tuple[int, int, payload.Bytes]]
    frame: framebus.Frame | None


class Fetcher:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        paths = Paths(Path(options["folder"]), options["number"])
        self.page = Page(paths.page)
        self.page.now("starting")
        self.journal = Journal(paths)
        self.payload = payload.Payload(Path(options["bytes"]))
        self.failures: list[BaseException] = []
        self.reasons: list[str] = []
        self.kept: list[deque[Kept]] = [deque() for _ in range(options["threads"])]

    def attach(self) -> framebus.Subscriber | None:
        """Joins the channel as soon as there is one; None if asked to end before."""
        names = ("every", "hold", "history", "connect_timeout", "wait", "reconnect")
        while not self.page.ending:
            self.page.now("attaching")
            self.journal.write(records.BEGIN)
            try:
                subscriber = framebus.Subscriber(self.options["channel"], **{n: self.options[n] for n in names})
            except framebus.ChannelNotFound:
                time.sleep(0.01)
                continue
            self.journal.write(records.OPENED, records.inode_of(self.options["channel"]))
            return subscriber
        return None

    def run(self) -> None:
        subscriber = self.attach()
        if subscriber is None:
            self.journal.report(reason="never attached")
            return
        helpers = [
            threading.Thread(target=self.guarded, args=(subscriber, t)) for t in range(1, self.options["threads"])
        ]
        for helper in helpers:
            helper.start()
        self.guarded(subscriber, 0)
        for helper in helpers:
            helper.join()
        if self.failures:
            raise self.failures[0]
        self.leave(subscriber)

    def leave(self, subscriber: framebus.Subscriber) -> None:
        self.page.now("counting")
        before = time.monotonic_ns()
        statistics = subscriber.statistics()
        after = time.monotonic_ns()
        kept = sum(map(len, self.kept))
        assert statistics.held == kept, f"statistics say {statistics.held} frames are held, but it is {kept}"
        self.page.now("closing")
        subscriber.close()
        self.page.now("checking kept frames")
        for thread in range(len(self.kept)):
            while self.kept[thread]:
                self.let_go(thread)
        held = subscriber.statistics().held
        assert held == 0, f"statistics say {held} frames are held after the last one was dropped"
        self.page.now("ending")
        reason = next(iter(self.reasons), "asked")
        self.journal.report(reason=reason, statistics=asdict(statistics), before_ns=before, after_ns=after)

    def guarded(self, subscriber: framebus.Subscriber, thread: int) -> None:
        try:
            self.fetch_frames(subscriber, thread)
        except framebus.ChannelClosed:
            self.end_all("closed")
        except framebus.PublisherDied:
            self.end_all("died")
        except BaseException as failure:
            self.failures.append(failure)
            self.page.ask_to_end()
        if thread:
            self.page.now("nothing", thread)

    def end_all(self, reason: str) -> None:
        self.reasons.append(reason)
        self.page.ask_to_end()

    def fetch_frames(self, subscriber: framebus.Subscriber, thread: int) -> None:
        rng = random.Random(f"{self.options['seed']}/{thread}")
        budget = self.options["hold"] // self.options["threads"]
        for frame in self.frames(subscriber, rng, thread):
            if frame is not None:
                self.page.now("checking", thread, len(self.kept[thread]) + 1)
                self.check_and_keep(frame, rng, thread)
                del frame
                if len(self.kept[thread]) == self.options["hold"]:
                    self.expect_refusal(subscriber)
                while len(self.kept[thread]) >= budget or (self.kept[thread] and rng.random() < 0.2):
                    self.let_go(thread)
                time.sleep(rng.random() * self.options["slowness_s"])
            if self.page.ending:
                return

    def check_and_keep(self, frame: framebus.Frame, rng: random.Random, thread: int) -> None:
        ticket = frame.meta["ticket"]
        layout = payload.layout_in(frame.meta)
        found = {name: (array.shape, array.dtype) for name, array in frame.arrays.items()}
        wanted = {name: (shape, np.dtype(dtype)) for name, (shape, dtype) in layout.items()}
        assert found == wanted, f"frame {frame.seq}, ticket {ticket}: the arrays are {found}, sent were {wanted}"
        views = [(i, 0, payload.flat(array)) for i, array in enumerate(frame.arrays.values())]
        kept = Kept(ticket, frame.seq, views, frame)
        self.check(kept)
        self.journal.write(records.GOT, frame.seq, ticket, thread)
        if rng.random() < self.options["keeps"]:
            if rng.random() < 0.5:  # only slices that were derived, not the frame
                kept.frame = None
                kept.views = [(i, (start := rng.randrange(view.size + 1)), view[start:]) for i, _, view in views]
            self.kept[thread].append(kept)

    def check(self, kept: Kept) -> None:
        for index, start, view in kept.views:
            wrong = self.payload.first_wrong(kept.ticket, index, view, start)
            assert wrong is None, (
                f"frame {kept.seq}, ticket {kept.ticket}, array {index}: byte {wrong} of {start + view.size} is wrong"
            )

    def let_go(self, thread: int) -> None:
        self.check(self.kept[thread].popleft())

    def expect_refusal(self, subscriber: framebus.Subscriber) -> None:
        try:
            subscriber.try_recv()
        except framebus.TooManyHeld:
            return
        raise AssertionError(f"with all of hold={self.options['hold']} used up, try_recv() did not raise TooManyHeld")

    def frames(
        self, subscriber: framebus.Subscriber, rng: random.Random, thread: int
    ) -> Iterator[framebus.Frame | None]:
        """Yields frames, and None where there was nothing yet, in the way that the options say."""
        style = self.options["style"]
        if style == "iterate":
            self.page.now("iterating", thread, len(self.kept[thread]))
            for frame in subscriber:
                yield frame
                del frame
                self.page.now("iterating", thread, len(self.kept[thread]))
            self.end_all("ended")
        elif style == "async":
            yield from self.frames_by_asyncio(subscriber, thread)
        else:
            fetch = {"recv": self.by_recv, "try_recv": self.by_try_recv, "select": self.by_select}[style]
            while True:
                self.page.now("receiving", thread, len(self.kept[thread]))
                yield fetch(subscriber, rng)

    def frames_by_asyncio(self, subscriber: framebus.Subscriber, thread: int) -> Iterator[framebus.Frame]:
        import asyncio  # takes a while, and the other styles do without

        loop = asyncio.new_event_loop()
        try:
            while True:
                self.page.now("iterating", thread, len(self.kept[thread]))
                try:
                    yield loop.run_until_complete(subscriber.__anext__())
                except StopAsyncIteration:
                    self.end_all("ended")
                    return
        finally:
            loop.close()

    def by_recv(self, subscriber: framebus.Subscriber, rng: random.Random) -> framebus.Frame | None:
        try:
            return subscriber.recv(timeout=rng.choice((0, 0.01, 0.1, 1.0)))
        except framebus.Timeout:
            return None
        except framebus.ChannelClosed:
            if not self.options["reconnect"]:
                raise
            time.sleep(0.001)
            return None

    def by_try_recv(self, subscriber: framebus.Subscriber, rng: random.Random) -> framebus.Frame | None:
        frame = subscriber.try_recv()
        if frame is None:
            time.sleep(rng.random() * 0.002)
        return frame

    def by_select(self, subscriber: framebus.Subscriber, rng: random.Random) -> framebus.Frame | None:
        readable, _, _ = select.select([subscriber.fileno()], [], [], rng.choice((0.01, 0.1, 1.0)))
        return subscriber.try_recv() if readable else None


def main() -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    Fetcher(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()
