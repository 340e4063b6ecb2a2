# SPDX-License-Identifier: Apache-2.0
"""The server for DDE request and advise: a sink that serves its newest frame to client programs.

send() copies a frame into a memfd. The bus thread takes the newest memfd, answers the calls that wait for a frame, and
then broadcasts the signal Changed, so that all other clients know of it. send() and the bus thread never block. They
keep one frame and at most MAX_WAITING calls, one for each program.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from dbus_fast import Message

from framebus.endpoint import BaseSink, Deadline, OutgoingFrame, memfd
from framebus.endpoint.kinds.dde import frame_message, interface as names
from framebus.endpoint.kinds.dde.service import Refusal, Service
from framebus.errors import EndpointError

MAX_WAITING = 256


@dataclass(frozen=True)
class _StoredFrame:
    """A frame that was sent; its holder owns the descriptor."""

    number: int
    memory: int
    description: str

    @property
    def body(self) -> list[object]:
        """What goes into a message, beside a descriptor."""
        return [self.number, 0, self.description]


class _AdviseServer:
    """The service. It does not refer to the sink, so that the sink can be collected."""

    def __init__(self, service: str, address: str | None) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._next: _StoredFrame | None = None  # on its way to the thread of the bus
        self._newest: _StoredFrame | None = None
        self._announced = 0
        self._waiting: dict[str, Message] = {}
        methods = {"Request": self._request, "Advise": self._advise}
        self.service = Service(service, names.FRAMES, methods, address, on_lost=self._drop)
        self.service.bus.before_close = self._announce_close

    def give(self, memory: int, description: str) -> None:
        """Takes over a frame; for the program's threads. Raises EndpointError."""
        with self._lock:
            self._number += 1
            replaced, self._next = self._next, _StoredFrame(self._number, memory, description)
        if replaced is not None:
            os.close(replaced.memory)
        try:
            self.service.bus.soon(self._publish)
        except EndpointError:
            with self._lock:  # the newest may just be on its way out as the last one
                unsent, self._next = self._next, None
            if unsent is not None:
                os.close(unsent.memory)
            raise

    def _drop(self) -> None:
        """Closes all memory, once no program can ask for it any more."""
        with self._lock:
            for stored in (self._next, self._newest):
                if stored is not None:
                    os.close(stored.memory)
            self._next = self._newest = None

    # In the thread of the bus

    def _publish(self) -> None:
        with self._lock:
            stored, self._next = self._next, None
            if stored is None:
                return
            replaced, self._newest = self._newest, stored
        if replaced is not None:
            os.close(replaced.memory)
        waiting, self._waiting = self._waiting, {}
        for call in waiting.values():
            self._answer(call, stored)
        self._announce()

    def _announce(self) -> None:
        """Says that there is a newer frame; while the bus takes nothing, not for each of them."""
        if self._newest is None or self._newest.number == self._announced:
            return
        if self.service.bus.is_congested:
            self.service.bus.when_drained(self._announce)
            return
        self._announced = self._newest.number
        self.service.signal("Changed", "t", [self._announced])

    def _request(self, call: Message) -> None:
        if self._newest is None:
            raise Refusal(names.NO_FRAME, f"nothing has been sent to service {self.service.service!r} yet")
        self._answer(call, self._newest)

    def _advise(self, call: Message) -> None:
        if self._newest is not None and self._newest.number > call.body[0]:
            self._answer(call, self._newest)
            return
        sender = call.sender or ""
        older = self._waiting.pop(sender, None)
        if older is None and len(self._waiting) == MAX_WAITING:
            older = self._waiting.pop(next(iter(self._waiting)))
        if older is not None:
            self.service.refuse(older, names.SUPERSEDED, "another program, or call, waits in its place; call again")
        self._waiting[sender] = call

    def _answer(self, call: Message, stored: _StoredFrame) -> None:
        self.service.answer(call, names.FRAME_REPLY, stored.body, memfd.reopen(stored.memory))

    async def _announce_close(self) -> None:
        self._publish()
        number = 0
        if self._newest is not None:
            number = self._newest.number
            self.service.signal("Last", names.FRAME_REPLY, self._newest.body, memfd.reopen(self._newest.memory))
        self.service.signal("Closed", "t", [number])
        for call in self._waiting.values():
            self.service.refuse(call, names.CLOSED, "no more frames will come")
        await self.service.release_name()


class FrameSink(BaseSink):
    """Sends to every program that asks."""

    capabilities = names.CAPABILITIES

    def __init__(self, service: str, address: str | None) -> None:
        """Takes the name. Raises InvalidName, ChannelInUse, EndpointError."""
        super().__init__(f"dde:{service}")
        self._server = _AdviseServer(service, address)

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002  # there is nothing to wait for
        self._server.service.bus.check()
        try:
            memory, description = frame_message.pack(frame)
        except OSError as error:
            raise EndpointError(f"no memory for a frame to {self.url!r}: {error}") from error
        try:
            self._server.give(memory, description)
        except EndpointError:
            self._check_open()
            raise

    def _cancel(self) -> None:
        self._server.service.bus.close()
