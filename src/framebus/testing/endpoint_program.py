# SPDX-License-Identifier: Apache-2.0
"""The program that Receiver and Sender start: opens a source or a sink by its URL and executes commands.

Its answers are facts; the test decides what they should be. A call that waits says "waiting" (see Ticker).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

import framebus
from framebus.endpoint import BaseSink
from framebus.testing import specimen
from framebus.testing.talk import Ticker, described, options, say, serve

Answer = dict[str, Any]
Opened = TypeVar("Opened", framebus.Source, framebus.Sink)


class _End(Generic[Opened]):
    """What a Receiver and a Sender can ask for."""

    def __init__(self, opener: Callable[..., Opened]) -> None:
        self.ticker = Ticker()
        self._opener: Callable[..., Opened] = opener
        self._opened: Opened | None = None

    def open(self, url: str, given: dict[str, Any]) -> None:
        """Opens the source or sink, in place of the one that is open."""
        self._opened = None
        self._opened = self._opener(url, **given)

    def close(self) -> None:
        """Closes it; the next calls meet a closed one."""
        self._open().close()

    def statistics(self) -> Answer:
        """What it counts."""
        found = cast(Any, self._open()).statistics()
        names = ("frames", "bytes", "dropped", "refused")
        return {name: getattr(found, name) for name in names if hasattr(found, name)}

    def peak_bytes(self) -> int:
        """The most memory that this program has had."""
        # Not getrusage(), whose peak is inherited from the program that started this one.
        with open("/proc/self/status", encoding="utf-8", errors="replace") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))

    def _open(self) -> Opened:
        assert self._opened is not None, "open() first"
        return self._opened


class SourceProgram(_End[framebus.Source]):
    """What a Receiver can ask for."""

    def recv(self, timeout: float | None) -> Answer:
        """Receives one frame and tells all about it."""
        with self.ticker.around():
            frame = self._open().recv(timeout)
        with frame:
            return specimen.frame_facts(frame)

    def collect(self, count: int | None, timeout: float | None, pause: float, report_every: int) -> Answer:
        """Receives until `count` frames have come or something is raised; checks every byte of what came."""
        numbers: list[int | None] = []
        seqs: list[int] = []
        not_whole: list[int | None] = []
        ended: Answer | None = None
        while count is None or len(numbers) < count:
            try:
                with self.ticker.around():
                    frame = self._open().recv(timeout)
            except framebus.Error as error:
                ended = described(error)
                break
            with frame:
                number = specimen.number_of(frame.array)
                if number is not None and number < specimen.FIRST:
                    continue
                numbers.append(number)
                seqs.append(frame.seq)
                if not specimen.is_whole(frame.array):
                    not_whole.append(number)
            if len(numbers) == 1 or len(numbers) % report_every == 0:
                say("progress", count=len(numbers))
            if pause:
                time.sleep(pause)
        return {"numbers": numbers, "seqs": seqs, "not_whole": not_whole, "ended": ended}

    def drain(self, timeout: float) -> Answer:
        """Receives everything there is, frames of foreign senders too; counts them, and says how it ended."""
        frames = 0
        while True:
            try:
                with self.ticker.around():
                    frame = self._open().recv(timeout)
            except framebus.Error as error:
                return {"frames": frames, "ended": described(error)}
            with frame:
                for array in frame.arrays.values():
                    array.tobytes()
            frames += 1

    def iterate(self) -> int:
        """Iterates to the end; returns how many frames there were."""
        return sum(1 for _ in self._open())


class SinkProgram(_End[framebus.Sink]):
    """What a Sender can ask for."""

    def send(self, number: int, arrays: Sequence[specimen.ArraySpec], given: dict[str, Any]) -> int:
        """Sends one frame; a single array goes as it is, several as a dict."""
        made = specimen.arrays_of(number, arrays)
        only = next(iter(made.values())) if len(made) == 1 and "image" in made else made
        with self.ticker.around():
            return cast(BaseSink, self._open()).send(only, **given)

    def flood(
        self,
        numbers: Sequence[int],
        dtype: str,
        shapes: Sequence[Sequence[int]],
        timeout: float | None,
        pause: float,
        report_every: int,
    ) -> Answer:
        """Sends images of these numbers, of the shapes in turn, until something is raised."""
        sent: list[int] = []
        for number in range(*numbers):
            image = specimen.make(number, dtype, shapes[number % len(shapes)])
            try:
                with self.ticker.around():
                    self._open().send(image, timeout=timeout)
            except framebus.Error as error:
                return {"sent": sent, "ended": described(error)}
            sent.append(number)
            if len(sent) == 1 or len(sent) % report_every == 0:
                say("progress", count=len(sent))
            if pause:
                time.sleep(pause)
        return {"sent": sent, "ended": None}


def main() -> None:
    """Serves one source or sink until the program that started it hangs up."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it for what runs in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    program = SourceProgram(framebus.source) if options()["role"] == "source" else SinkProgram(framebus.sink)
    say("ready", pid=os.getpid())
    serve(**{name: getattr(program, name) for name in dir(program) if not name.startswith("_") and name.islower()})


if __name__ == "__main__":
    main()
