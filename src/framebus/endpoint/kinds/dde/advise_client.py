# SPDX-License-Identifier: Apache-2.0
"""Request and advise, the client: a source that asks a service for its newest frame.

It has at most one Advise with the service, which is answered as soon as there is a frame that was not received yet. An
answer that comes after recv() has given up is kept; the next recv() asks once more whether there is a newer one by now.
So nothing is sent to a source that does not receive, and nothing piles up for one that is stopped.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from dbus_fast import Message

from framebus.endpoint import BaseSource, Deadline, wire
from framebus.endpoint.kinds.dde import frame_message, interface as names
from framebus.endpoint.kinds.dde.bus import CallFailed
from framebus.endpoint.kinds.dde.caller import Caller
from framebus.errors import EndpointError
from framebus.frames.frame import Frame


@dataclass(frozen=True)
class _Arrival:
    """What came: a frame, or None for what is none, and its number at the program that sent it."""

    sender: str
    number: int
    frame: Frame | None


class _AdviseClient:
    """The source's part in the thread of the bus; fetch() is called by one program's thread at a time."""

    def __init__(self, service: str, address: str | None, max_bytes: int, connect_timeout: float) -> None:
        self._max_bytes = max_bytes
        self._received = ("", 0)  # owner and number of the last frame that was taken
        self._asked: asyncio.Future[_Arrival] | None = None
        self._asked_whom: str | None = None
        self._last: _Arrival | None = None  # of an owner that has closed
        self.dropped = 0
        self.caller = Caller(
            service,
            names.FRAMES,
            address,
            connect_timeout,
            signals=("Last",),
            on_signal=self._on_last,
            on_owner=self._on_owner,
        )

    async def fetch(self, deadline: Deadline) -> _Arrival | None:
        """Returns the newest frame that was not taken yet, None if there is none in time. Raises as recv() does."""
        found = await self._answered_meanwhile(deadline)
        while found is None:
            if self.caller.owner is None and await self.caller.look() is None:
                found, self._last = self._last, None
                if found is None or not self._is_new(found):
                    raise self.caller.how_it_ended()
                break
            if not await self._wait(deadline):
                return None
            found = await self._answer()
        self._count_gap(found)
        self._received = (found.sender, found.number)
        return found

    async def _wait(self, deadline: Deadline) -> bool:
        """Asks, unless that is done already, and waits for the answer; returns whether it has come."""
        asked = self._asked or self._ask()
        await asyncio.wait({asked}, timeout=deadline.left())
        return asked.done()

    def _ask(self) -> asyncio.Future[_Arrival]:
        after = self._received[1] if self._received[0] == self.caller.owner else 0
        self._asked_whom = self.caller.owner
        self._asked = self.caller.begin("Advise", self._read, "t", [after])
        return self._asked

    async def _answer(self) -> _Arrival | None:
        """Takes the answer; None if it has no new frame."""
        asked, self._asked = self._asked, None
        if asked is None:  # a signal handler that interrupted recv() has received it
            return None
        try:
            found = asked.result()
        except CallFailed as failure:
            if failure.name != names.SUPERSEDED:
                await self.caller.check_failure(failure, self._asked_whom)
            return None
        if not self._is_new(found):
            raise EndpointError(
                f"the program behind service {self.caller.service!r} answered with frame {found.number}, and was asked "
                f"for one after {self._received[1]}"
            )
        return found

    async def _answered_meanwhile(self, deadline: Deadline) -> _Arrival | None:
        """Returns the answer that came between two calls, or a newer frame."""
        if self._asked is None or not self._asked.done():
            return None
        found = await self._answer()
        if found is None or self.caller.owner is None:
            return found
        if deadline.is_over:  # no time to ask; but the next call shall find something
            self._received = (found.sender, found.number)
            self._ask()
            return found
        newer = self.caller.begin("Request", self._read)
        await asyncio.wait({newer}, timeout=deadline.left())
        if newer.done() and newer.exception() is None and newer.result().sender == found.sender:
            return newer.result()
        return found

    def _is_new(self, found: _Arrival) -> bool:
        sender, number = self._received
        return found.sender != sender or found.number > number

    def _count_gap(self, found: _Arrival) -> None:
        sender, number = self._received
        if sender == found.sender:
            self.dropped += max(0, found.number - number - 1)

    def _read(self, message: Message) -> _Arrival:
        if message.signature != names.FRAME_REPLY:
            raise EndpointError(
                f"the program behind service {self.caller.service!r} answered with {message.signature!r}, expected "
                f"{names.FRAME_REPLY!r}"
            )
        number, index, description = message.body
        try:
            frame = frame_message.unpack(message, index, description, self._max_bytes)
        except wire.Malformed:
            return _Arrival(message.sender or "", number, None)
        except OSError as error:
            raise EndpointError(f"a frame of service {self.caller.service!r} can't be mapped: {error}") from error
        return _Arrival(message.sender or "", number, frame)

    def _on_last(self, message: Message) -> None:
        if message.member == "Last" and message.signature == names.FRAME_REPLY:
            self._last = self._read(message)

    def _on_owner(self, caller: Caller) -> None:
        if caller.owner is not None:
            self._last = None


class FrameSource(BaseSource):
    """Receives the newest frame of a service."""

    def __init__(self, service: str, address: str | None, max_bytes: int, connect_timeout: float) -> None:
        """Finds the service. Raises InvalidName, ChannelNotFound, EndpointError."""
        super().__init__(f"dde:{service}")
        self._client = _AdviseClient(service, address, max_bytes, connect_timeout)

    def _receive(self, deadline: Deadline) -> Frame:
        try:
            return self._next(deadline)
        except EndpointError:
            self._check_open()
            raise

    def _next(self, deadline: Deadline) -> Frame:
        while True:
            found = self._client.caller.bus.run(lambda: self._client.fetch(deadline))
            if found is None:
                raise deadline.fail(f"no new frame came from {self.url!r}")
            dropped, self._client.dropped = self._client.dropped, 0
            self._count(dropped=dropped, refused=int(found.frame is None))
            if found.frame is not None:
                return found.frame

    def _cancel(self) -> None:
        self._client.caller.bus.close()
