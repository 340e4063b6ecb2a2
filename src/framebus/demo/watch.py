# SPDX-License-Identifier: Apache-2.0
"""What a third program sees of the two: it is a subscriber of both channels, like any other.

Of the results it fetches every one. Of the input it holds, without copying, the frame of which it expects the result
next; so it has input and result of the same frame whenever it is asked. Taking frames has a thread of its own; the
caller may look at any time.
"""

from __future__ import annotations

import threading
from collections import deque

import framebus

WINDOW = 512  # frames of which latency is reported, as in Statistics
HOLD = 4  # the pair to show, the next candidate, the one just fetched, and one to spare


class Watch:
    """Follows both channels until the results end."""

    def __init__(self, source: framebus.Subscriber, results: framebus.Subscriber) -> None:
        """Both want reconnect=False and hold=HOLD, `results` also every=True. They are closed with the watch."""
        self.source = source
        self.results = results
        self.pair: tuple[framebus.Frame, framebus.Frame] | None = None
        self.failure: Exception | None = None
        self.latest_seq = 0
        self._candidate: framebus.Frame | None = None
        self._latencies: deque[float] = deque(maxlen=WINDOW)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Waits until the results have ended, `seconds` at most; says whether they have."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def latency_s(self, share: float) -> float:
        """Returns how long `share` of the results took at most, from publication of the input to that of the result."""
        ordered = sorted(self._latencies.copy())
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def close(self) -> None:
        """Leaves both channels and forgets the pair; a caller that has it keeps it. May be repeated."""
        self.results.close()
        self.source.close()
        self._thread.join()
        self.pair = self._candidate = None

    def _follow(self) -> None:
        try:
            while True:
                self._take(self.results.recv())
        except (framebus.ChannelClosed, framebus.PublisherDied):
            pass  # that was the end; what became of the programs, the demo asks them
        except Exception as error:  # the demo raises it
            self.failure = error

    def _take(self, result: framebus.Frame) -> None:
        made_from = result.meta["source"]
        self.latest_seq = result.seq
        self._latencies.append((result.timestamp_ns - made_from["timestamp_ns"]) / 1e9)
        self._match(result, made_from["seq"])
        if self._candidate is None:
            self._candidate = self._newest_input()
            self._match(result, made_from["seq"])

    def _match(self, result: framebus.Frame, seq: int) -> None:
        if self._candidate is None or seq < self._candidate.seq:
            return
        if seq == self._candidate.seq:
            self.pair = self._candidate, result
        self._candidate = None

    def _newest_input(self) -> framebus.Frame | None:
        try:
            return self.source.try_recv()
        except (framebus.ChannelClosed, framebus.PublisherDied):
            return None
