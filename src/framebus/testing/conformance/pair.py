# SPDX-License-Identifier: Apache-2.0
"""Link, two URLs that belong together, and Pair, the two programs that open them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebus
from framebus.endpoint import Capabilities, url as urls
from framebus.testing import specimen
from framebus.testing.peers import Receiver, Sender
from framebus.testing.process import WATCHDOG_S, Refused

Facts = dict[str, Any]
STANDARD_IMAGES = (("|u1", (48, 64, 3)), ("|u1", (48, 64)), ("|u1", (48, 64, 4)), ("<u2", (48, 64)))
FILL_BYTES = 256 << 20  # unread: a mechanism that takes this much without an error has no bound
FILL_FRAMES = 5000
BULKY_IMAGES = ((1080, 1280, 3), (480, 640, 3))


@dataclass(frozen=True)
class Link:
    """The URLs of a source and a sink that belong together and that no other program uses.

    Attributes:
        source: URL of the source.
        sink: URL of the sink.
        source_fds: descriptors that the receiving program inherits. The suite closes its own once they are handed over,
            so that the end of a pipe is noticed.
        sink_fds: the same for the sending program.
        env: environment variables for both programs.
        cleanup: called when both programs are gone.
        sink_first: the sink must be there before the source; else the other way round.
        changes: capabilities that options in these URLs change, by name: {"delivery": "every"}.
    """

    source: str
    sink: str
    source_fds: tuple[int, ...] = ()
    sink_fds: tuple[int, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cleanup: Callable[[], None] | None = None
    sink_first: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sending:
    """One frame to be sent."""

    number: int
    arrays: Sequence[specimen.ArraySpec]
    given: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> list[list[Any]]:
        """What the receiver's arrays must be."""
        return specimen.facts(specimen.arrays_of(self.number, self.arrays))


class Pair:
    """Source and sink of one link, each in a program of its own."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.info = info_of(link.sink)
        self.able: Capabilities = replace(self.info.capabilities, **link.changes)
        assert self.able.delivery != "either", 'say which in Link(changes={"delivery": "every"})'
        self._open_fds = {*link.source_fds, *link.sink_fds}
        self._programs = ExitStack()
        self._greetings = 0
        self.source: Receiver
        self.sink: Sender

    @property
    def silence_s(self) -> float:
        """How long to wait for more where something would be missing if that was too short; else it need not be."""
        return 3.0 if self.every or self.able.notices_close else 1.0

    @property
    def every(self) -> bool:
        """Whether no frame may be missing."""
        return self.able.delivery == "every"

    def start_source(self, **options: object) -> Receiver:
        """Starts a receiving program, which becomes `source`."""
        fds = self.link.source_fds
        self.source = self._programs.enter_context(
            Receiver(self.link.source, pass_fds=fds, env=self.link.env, **options)  # type: ignore[arg-type]
        )
        self._let_go(fds)
        return self.source

    def start_sink(self, **options: object) -> Sender:
        """Starts a sending program, which becomes `sink`."""
        fds = self.link.sink_fds
        self.sink = self._programs.enter_context(
            Sender(self.link.sink, pass_fds=fds, env=self.link.env, **options)  # type: ignore[arg-type]
        )
        self._let_go(fds)
        return self.sink

    def start(self, **sink_options: object) -> Pair:
        """Starts both programs; returns when they have found each other."""
        self.start_source(hold=True)
        self.start_sink(hold=True, **sink_options)
        for program in (self.sink, self.source) if self.link.sink_first else (self.source, self.sink):
            program.begin()
        self.greet()
        return self

    def greet(self) -> None:
        """Where frames may be skipped: sends until one has arrived, and takes out all of them."""
        if self.every:
            return
        deadline = time.monotonic() + WATCHDOG_S
        found = None
        while found is None:
            assert time.monotonic() < deadline, "nothing that was sent arrived"
            self._greetings = self._greetings % (specimen.FIRST - 1) + 1
            self.sink.send(self._greetings, self.greeting)
            found = self._recv(0.2)
        self.take_out()

    greeting: Sequence[specimen.ArraySpec] = ()

    def take_out(self) -> None:
        """Receives until nothing comes."""
        while self._recv(0.05) is not None:
            pass

    def _recv(self, timeout: float) -> Facts | None:
        try:
            return self.source.recv(timeout)
        except Refused as refused:
            if refused.error != "Timeout":
                raise
            return None

    def exchange(self, frames: Sequence[Sending], **options: object) -> list[Facts | Refused]:
        """Sends frames one by one; returns what arrived of each, or with what it was refused."""
        if self.able.stored:
            self.start_sink(**options)
            said = [self._send(frame) for frame in frames]
            self.sink.close()
            if all(isinstance(answer, Refused) for answer in said):
                return [answer for answer in said if isinstance(answer, Refused)]
            self.start_source()
            return [answer if isinstance(answer, Refused) else self.source.recv(WATCHDOG_S / 2) for answer in said]
        self.start(**options)
        return [self._exchange_one(frame) for frame in frames]

    def store(self, count: int, arrays: Sequence[specimen.ArraySpec], **options: object) -> list[int]:
        """Where frames are stored: sends that many and closes the sink; returns their numbers."""
        ((_, dtype, shape, _),) = arrays
        sent: list[int] = self.start_sink(**options).flood(specimen.FIRST, count, dtype=dtype, shapes=[shape])["sent"]
        assert len(sent) == count
        self.sink.close()
        return sent

    def _send(self, frame: Sending) -> Refused | int:
        try:
            return self.sink.send(frame.number, frame.arrays, timeout=WATCHDOG_S / 2, **frame.given)
        except Refused as refused:
            return refused

    def _exchange_one(self, frame: Sending) -> Facts | Refused:
        deadline = time.monotonic() + WATCHDOG_S
        while True:
            self.source.tell("recv", timeout=WATCHDOG_S / 2 if self.every else 1.0)
            said = self._send(frame)
            if isinstance(said, Refused):
                # The receiver's call still waits: it gets a frame that is ignored, another one each time.
                self._greetings = self._greetings % (specimen.FIRST - 1) + 1
                self.sink.send(self._greetings, self.greeting)
                with suppress(Refused):
                    self.source.answer()
                return said
            try:
                found: Facts = self.source.answer()
            except Refused as refused:
                if self.every or refused.error != "Timeout" or time.monotonic() > deadline:
                    raise
                continue
            if not self.every:
                self.take_out()
            return {**found, "sent_seq": said}

    def _let_go(self, fds: Sequence[int]) -> None:
        for fd in self._open_fds.intersection(fds):
            os.close(fd)
        self._open_fds.difference_update(fds)

    def close(self) -> None:
        """Pair both programs and undoes the link."""
        try:
            self._programs.close()  # the sender first: it waits until what it has sent is taken
        finally:
            self._let_go(tuple(self._open_fds))
            if self.link.cleanup is not None:
                self.link.cleanup()


def info_of(url: str) -> framebus.EndpointInfo:
    """Returns what is known about the endpoint of a URL."""
    scheme = urls.parse(url).scheme
    info = next((info for info in framebus.endpoints() if info.scheme == scheme), None)
    assert info is not None, f"no endpoint for {scheme}: is registered"
    assert info.problem is None, info.problem
    return info


class Base:
    """What the parts of the suite share, and what a class that applies it says."""

    resynchronises = True
    pixel_format: str | None = None

    def link(self, tmp_path: Path) -> Link:
        """Returns a fresh link. `tmp_path` is a folder of its own."""
        raise NotImplementedError(f"{type(self).__name__} must define link(self, tmp_path)")

    def carries(self, dtype: str, shape: Sequence[int]) -> bool:  # noqa: ARG002 - for subclasses
        """Says whether the link takes such an image; to be defined if Capabilities.accepts is missing or too wide."""
        return True

    def takes(self, pair: Pair, dtype: str, shape: Sequence[int]) -> bool:
        """Says whether both Capabilities.accepts and carries() say yes."""
        accepts = pair.able.accepts
        return (accepts is None or accepts(dtype, shape)) and self.carries(dtype, shape)

    @pytest.fixture
    def pair(self, tmp_path: Path) -> Iterator[Pair]:
        """A link whose programs are started by the test, and gone after it."""
        pair = self.pair_of(self.link(tmp_path))
        try:
            yield pair
        finally:
            pair.close()

    def pair_of(self, link: Link) -> Pair:
        """Returns the pair of a link; the caller closes it."""
        pair = Pair(link)
        defined = type(self).carries is not Base.carries or pair.able.accepts is not None
        assert defined or pair.able.dtypes == "any", f"it takes {pair.able.dtypes}: define carries(self, dtype, shape)"
        pair.greeting = self.standard(pair)
        return pair

    def standard(self, pair: Pair) -> list[specimen.ArraySpec]:
        """Returns a small image that the mechanism carries."""
        for dtype, shape in STANDARD_IMAGES:
            if self.fits(pair, dtype, shape):
                return [("image", dtype, shape, "C")]
        raise AssertionError(f"carries() must say yes to one of {STANDARD_IMAGES}")

    def bulky(self, pair: Pair) -> tuple[str, Sequence[int]]:
        """Returns dtype and shape of the largest image for tests that fill a mechanism up."""
        for bulky in BULKY_IMAGES:
            if self.fits(pair, "|u1", bulky):
                return "|u1", bulky
        _, dtype, shape, _ = self.standard(pair)[0]
        return dtype, shape

    def filling(self, pair: Pair) -> tuple[str, Sequence[int], int]:
        """Returns dtype, shape and number of frames that fill any mechanism up."""
        dtype, shape = self.bulky(pair)
        size = specimen.make(0, dtype, shape).nbytes
        return dtype, shape, min(FILL_FRAMES, FILL_BYTES // size)

    def check_without_a_receiver(self, pair: Pair, ended: Facts | None) -> None:
        """If no receiver can reconnect, sending ends with ChannelClosed; else it may go on, or find no room."""
        if pair.able.receivers == "many" or pair.able.reconnects:
            assert ended is None or {"ChannelClosed", "Timeout"} & set(ended["kinds"]), ended
        else:
            assert ended is not None, "the sender goes on although no program can receive"
            assert ended["error"] == "ChannelClosed", ended

    def fits(self, pair: Pair, dtype: str, shape: Sequence[int]) -> bool:
        """Says whether an image of this kind and size can be sent."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return self.takes(pair, dtype, shape) and (pair.able.max_bytes is None or size <= pair.able.max_bytes)


def check_numbers(pair: Pair, report: Facts, sent: Sequence[int]) -> None:
    """Checks what a receiver has collected against what was sent."""
    assert report["not_whole"] == [], "frames whose bytes are not those that were sent"
    numbers = report["numbers"]
    assert numbers == sorted(set(numbers)), "frames out of order, or twice"
    assert report["seqs"] == sorted(set(report["seqs"])), "sequence numbers out of order, or twice"
    assert set(numbers) <= set(sent), "frames that were not sent"
    if pair.every:
        assert numbers == list(sent), "frames are missing"
    else:
        assert numbers, "not one frame arrived"
