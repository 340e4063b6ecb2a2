# SPDX-License-Identifier: Apache-2.0
"""A publisher under torture: `python -m tests.torture.publish JSON`.

It waits for the name if somebody else has it, sends frames from one or more threads until it is asked to end, writes
what it meant to send and what it sent into its journal, and closes.
"""

from __future__ import annotations

import faulthandler
import json
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.torture import journal as records, payload
from tests.torture.journal import Journal, Page, Paths

import framebus


class Dropped(Exception):
    """Raised inside a loan whose frame must never be seen."""


class Sender:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        paths = Paths(Path(options["folder"]), options["number"])
        self.page = Page(paths.page)
        self.page.now("starting")
        self.journal = Journal(paths)
        self.payload = payload.Payload(Path(options["bytes"]))
        self.failures: list[BaseException] = []

    def open(self) -> framebus.Publisher | None:
        """Becomes the publisher as soon as the name is free; None if asked to end before."""
        names = ("slots", "max_bytes", "on_full")
        while not self.page.ending or self.options["at_least"]:
            self.page.now("opening")
            self.journal.write(records.BEGIN)
            try:
                publisher = framebus.Publisher(self.options["channel"], **{n: self.options[n] for n in names})
            except framebus.ChannelInUse:
                self.page.now("waiting for the name")
                time.sleep(0.01)
                continue
            self.journal.write(records.OPENED, records.inode_of(self.options["channel"]))
            return publisher
        return None

    def run(self) -> None:
        publisher = self.open()
        if publisher is None:
            self.journal.report(reason="never opened")
            return
        helpers = [
            threading.Thread(target=self.guarded, args=(publisher, t)) for t in range(1, self.options["threads"])
        ]
        for helper in helpers:
            helper.start()
        self.guarded(publisher, 0)
        for helper in helpers:
            helper.join()
        if self.failures:
            raise self.failures[0]
        self.page.now("counting")
        statistics = publisher.statistics()
        self.page.now("closing")
        publisher.close()
        self.page.now("ending")
        counts = {"frames": statistics.frames, "bytes": statistics.bytes, "dropped": statistics.dropped}
        self.journal.report(reason="closed", statistics=counts)

    def guarded(self, publisher: framebus.Publisher, thread: int) -> None:
        try:
            self.send_frames(publisher, thread)
        except BaseException as failure:
            self.failures.append(failure)
            self.page.ask_to_end()
        if thread:
            self.page.now("nothing", thread)

    def send_frames(self, publisher: framebus.Publisher, thread: int) -> None:
        rng = random.Random(f"{self.options['seed']}/{thread}")
        count = 0
        while not self.page.ending or count < self.options["at_least"]:
            count += 1
            ticket = self.options["number"] << 32 | thread << 28 | count
            layout = payload.draw_layout(rng, rng.choice(self.options["kinds"]), count)
            self.journal.write(records.INTENT, 0, ticket, thread)
            seq = self.send_one(publisher, rng, ticket, layout, thread)
            if seq:
                self.journal.write(records.SENT, seq, ticket, thread)
            self.page.now("pausing", thread)
            pause = rng.random() * self.options["pace_s"]
            time.sleep(pause if seq else max(pause, 0.001))

    def send_one(
        self, publisher: framebus.Publisher, rng: random.Random, ticket: int, layout: payload.Layout, thread: int
    ) -> int:
        """Returns the sequence number, or 0 if nothing was sent."""
        meta = payload.metadata(ticket, layout)
        timeout = self.options["timeout_s"]
        try:
            if rng.random() < self.options["loans"]:
                return self.lend(publisher, rng, ticket, layout, thread)
            self.page.now("sending", thread)
            arrays = self.payload.arrays(ticket, layout)
            image: object = arrays["image"] if set(layout) == {"image"} else arrays
            return publisher.send(image, meta=meta, timeout=timeout)
        except framebus.ChannelFull:
            if self.options["on_full"] == "drop" or (self.options["on_full"] == "block" and timeout is None):
                raise
            self.journal.write(records.REFUSED, 0, ticket, thread)
        except Dropped:
            self.journal.write(records.DROPPED, 0, ticket, thread)
        return 0

    def lend(
        self, publisher: framebus.Publisher, rng: random.Random, ticket: int, layout: payload.Layout, thread: int
    ) -> int:
        self.page.now("sending", thread)
        spoil = rng.random() < 0.05
        wait_s = rng.choice((0.0, 0.0, 0.002))
        with publisher.loan(layout, timeout=self.options["timeout_s"]) as loan:
            self.page.now("filling a loan", thread)
            loan.meta = payload.metadata(ticket, layout)
            for i, array in enumerate(loan.arrays.values()):
                target = payload.flat(array)
                source = self.payload.window(ticket, i, target.size)
                half = target.size // 2
                target[:half] = source[:half]
                time.sleep(wait_s)
                if spoil:
                    raise Dropped
                target[half:] = source[half:]
            self.page.now("sending", thread)
        assert loan.seq is not None
        return loan.seq


def main() -> None:
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    Sender(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()
