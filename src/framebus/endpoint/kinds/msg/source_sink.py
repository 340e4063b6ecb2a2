# SPDX-License-Identifier: Apache-2.0
"""Source and sink of a message queue: frames to parts and back, and which senders are still attached.

A wait is cut into pieces of LOOK_S; after each one the receiver looks which places are free, since a queue does not
tell when a sender dies. It draws conclusions only from a queue that was still empty after it looked, so that everything
that a sender had sent is received first.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from itertools import chain

from framebus.endpoint import BaseSink, BaseSource, Capabilities, Deadline, OutgoingFrame, wire
from framebus.endpoint.kinds.msg import parts
from framebus.endpoint.kinds.msg.queue import Queue
from framebus.errors import ChannelClosed, ChannelFull, ChannelFullTimeout, PublisherDied
from framebus.frames.frame import Frame

LOOK_S = 0.1
STALL_S = 0.2
LINGER_S = 1.0


class MsgSource(BaseSource):
    """The receiver of a queue."""

    def __init__(self, name: str, max_bytes: int, depth: int | None, part_bytes: int | None) -> None:
        """Joins the queue, or makes it. Raises EndpointError where it has a receiver already."""
        super().__init__(f"msg:{name}")
        self._assembler = parts.Assembler(max_bytes)
        self._here: set[int] = set()  # senders that have not said goodbye
        self._leaving: set[int] = set()  # those that have, while they still have their place
        self._last_exit: type[ChannelClosed | PublisherDied] | None = None  # how the last one left
        self._queue = Queue(name, receives=True, depth=depth, part_bytes=part_bytes)

    def _receive(self, deadline: Deadline) -> Frame:
        look = False
        while True:
            self._check_open()
            senders = self._queue.senders() if look or deadline.is_over else None
            part = self._queue.get()
            if part is not None:
                frame = self._take(part, deadline)
                if frame is not None:
                    return frame
                look = self._last_exit is not None
                continue
            if senders is not None:
                self._notice(senders)
                if deadline.is_over:
                    raise deadline.fail(f"no frame came through {self.url!r}")
            look = not self._queue.wait(deadline.left_ms(LOOK_S)) or deadline.is_over

    def _take(self, part: bytes, deadline: Deadline) -> Frame | None:
        """Takes one part; returns the frame that it completes. Raises Timeout after garbage that came too late."""
        try:
            lost = self._assembler.lost
            message = self._assembler.add(part)
            place = parts.place_of(part)
            self._here.add(place)
            self._leaving.discard(place)
            self._last_exit = None
            self._count(dropped=self._assembler.lost - lost)
            if message is None:
                return None
            if message.head.kind == wire.END:
                self._left(place, ChannelClosed)
                self._leaving.add(place)
                return None
            body = wire.HEAD.size + message.head.description_bytes
            return wire.describe(message.data[wire.HEAD.size : body].data, message.head).frame(message.data[body:])
        except wire.Malformed:
            self._count(refused=1)
            if deadline.is_over:
                raise deadline.fail(f"no frame came through {self.url!r}") from None
            return None

    def _notice(self, senders: set[int]) -> None:
        """Compares the senders with those of the last look, while the queue is empty. Raises when none is left.

        One that died may have done so at any time since the last look: if another one closed meanwhile, it closed last.
        """
        self._leaving &= senders
        here = senders - self._leaving
        for place in self._here - here:
            self._left(place, self._last_exit or PublisherDied)
        self._here = here
        if here:
            self._last_exit = None
        if self._last_exit is None:
            return
        if self._last_exit is ChannelClosed:
            raise ChannelClosed(f"all senders of {self.url!r} have closed it; what they sent has been received")
        raise PublisherDied(f"the last sender of {self.url!r} has ended without closing it")

    def _left(self, place: int, how: type[ChannelClosed | PublisherDied]) -> None:
        lost = self._assembler.lost
        self._assembler.forget(place)
        self._count(dropped=self._assembler.lost - lost)
        self._here.discard(place)
        self._last_exit = how

    def _close(self) -> None:
        self._queue.leave()


class MsgSink(BaseSink):
    """A sender to a queue."""

    capabilities = Capabilities(reconnects=True)

    def __init__(self, name: str, on_full: str, priority: int, depth: int | None, part_bytes: int | None) -> None:
        """Joins the queue, or makes it. Raises EndpointError where it has too many senders already."""
        super().__init__(f"msg:{name}")
        self._on_full = on_full
        self._priority = priority
        self._stream = secrets.randbits(64)
        self._number = 0  # of the last frame, sent or dropped
        self._queue = Queue(name, receives=False, depth=depth, part_bytes=part_bytes)

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        head, arrays = wire.encode(frame)
        size = len(head) + sum(len(piece) for piece in wire.pieces(arrays))
        self._number += 1
        sent = False
        try:
            if self._on_full == "block" or self._may_begin(parts.count_of(size, self._queue.part_bytes)):
                message = self._split(chain([head], wire.pieces(arrays)), size)
                sent = all(self._put(part, deadline) for part in message)
        finally:
            self._count(dropped=0 if sent else 1)
        if not sent and self._on_full != "drop":
            raise self._full(deadline)

    def _split(self, pieces: Iterable[bytes | memoryview], size: int) -> Iterator[bytes]:
        return parts.split(
            pieces,
            size,
            place=self._queue.place,
            stream=self._stream,
            number=self._number,
            part_bytes=self._queue.part_bytes,
        )

    def _may_begin(self, count: int) -> bool:
        """Whether a frame of that many parts would go through without waiting, as far as can be known."""
        if count <= self._queue.depth:
            return self._queue.depth - self._queue.waiting() >= count
        return self._queue.waiting() == 0 and self._queue.is_read()

    def _put(self, part: bytes, deadline: Deadline) -> bool:
        """Puts one part into the queue; returns False if the rest of its frame is to be given up."""
        stalled = Deadline(None if self._on_full == "block" else STALL_S)
        while not self._queue.put(part, self._priority):
            if deadline.is_over or stalled.is_over:
                return False
            self._queue.wait(min(deadline.left_ms(LOOK_S), stalled.left_ms(LOOK_S)))
            self._check_open()
        return True

    def _full(self, deadline: Deadline) -> ChannelFull:
        reader = "its receiver is behind" if self._queue.is_read() else "no program receives from it"
        kind: type[ChannelFull] = ChannelFull
        within = ""
        if self._on_full == "block" and deadline.timeout is not None:
            kind, within = ChannelFullTimeout, f" within {deadline.timeout:g} s"
        return kind(
            f"no room for a frame in {self.url!r}{within}: it has {self._queue.waiting()} messages of at most "
            f"{self._queue.depth}, and {reader}"
        )

    def _close(self) -> None:
        end = wire.end()
        linger = Deadline(LINGER_S)
        self._number += 1
        (message,) = self._split([end], len(end))
        while not self._queue.put(message, self._priority) and self._queue.is_read() and not linger.is_over:
            self._queue.wait(linger.left_ms(LOOK_S))
        self._queue.leave()
