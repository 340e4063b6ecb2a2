# SPDX-License-Identifier: Apache-2.0
"""Poke, the service: a source into which other programs put frames.

Every message is checked when it comes. One that is not a frame is refused with an error to its sender, and counted.
`depth` frames wait for recv(); the next one of each program is parked, and its Poke answered when there is room. So
what is kept is bounded, and every sender is slowed down to the pace of the receiver.

Programs that sent Initiate end the source when the last of them goes: with ChannelClosed if it sent Terminate, else
with PublisherDied. Other programs may poke too, and do not end it.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from dbus_fast import Message

from framebus.endpoint import BaseSource, Deadline, EndpointStatistics, wire
from framebus.endpoint.kinds.dde import frame_message, interface as names
from framebus.endpoint.kinds.dde.caller import NAME_OWNER_CHANGED, is_from_bus, owner_rule
from framebus.endpoint.kinds.dde.service import Refusal, Service
from framebus.errors import ChannelClosed, EndpointError, PublisherDied
from framebus.frames.frame import Frame

MAX_PARKED = 64
MAX_CALLERS = 1024
_NO_MEMORY = "org.freedesktop.DBus.Error.NoMemory"
_DONE: tuple[str, list[object]] = ("", [])


class _PokeServer:
    """The service. All that both threads use is used under `changed`."""

    def __init__(self, service: str, address: str | None, depth: int, max_bytes: int) -> None:
        self._depth = depth
        self._max_bytes = max_bytes
        self.changed = threading.Condition()
        self.frames: deque[Frame] = deque()
        self.parked: dict[str, tuple[Message, Frame]] = {}
        self.callers: set[str] = set()
        self.end: ChannelClosed | PublisherDied | None = None
        self.refused = 0
        methods = {
            "Poke": self._poke,
            "Withdraw": self._withdraw,
            "Initiate": self._initiate,
            "Terminate": self._terminate,
        }
        self.service = Service(service, names.POKES, methods, address, on_signal=self._on_signal, on_lost=self._wake)
        self.service.bus.before_close = self._announce_close

    def take(self, deadline: Deadline) -> Frame | None:
        """Returns the next frame, None if there is none in time; for the program's threads. Raises as recv() does."""
        with self.changed:
            while not self.frames:
                self.service.bus.check()
                if self.end is not None and not self.callers and not self.parked:
                    raise self.end
                if deadline.is_over:
                    return None
                self.changed.wait(deadline.left())
            frame = self.frames.popleft()
        self.service.bus.soon(self._make_room)
        return frame

    def close(self) -> None:
        """Releases the name."""
        self.service.bus.close()
        self._wake()
        with self.changed:
            self.frames.clear()
            self.parked.clear()

    # In the thread of the bus

    def _poke(self, call: Message) -> tuple[str, list[object]] | None:
        sender = call.sender or ""
        if sender in self.parked or len(self.parked) == MAX_PARKED:
            raise Refusal(names.BUSY, "too many wait already; poke again when the last Poke is answered")
        try:
            frame = frame_message.unpack(call, call.body[0], call.body[1], self._max_bytes)
        except wire.Malformed as error:
            self.refused += 1
            raise Refusal(names.MALFORMED, f"this is not a frame: {error}") from None
        except OSError as error:
            raise Refusal(_NO_MEMORY, f"the frame can't be mapped: {error}") from None
        with self.changed:
            if len(self.frames) >= self._depth or self.parked:
                self.parked[sender] = (call, frame)
                return None
            self.frames.append(frame)
            self.changed.notify()
        return _DONE

    def _make_room(self) -> None:
        """Takes in what is parked, as far as there is room by now."""
        with self.changed:
            while self.parked and len(self.frames) < self._depth:
                call, frame = self.parked.pop(next(iter(self.parked)))
                self.frames.append(frame)
                self.changed.notify()
                self.service.answer(call)

    def _withdraw(self, call: Message) -> tuple[str, list[object]]:
        with self.changed:
            parked = self.parked.pop(call.sender or "", None)
        if parked is not None:
            self.service.refuse(parked[0], names.WITHDRAWN, "it was withdrawn before there was room")
        return _DONE

    def _initiate(self, call: Message) -> tuple[str, list[object]]:
        sender = call.sender or ""
        if len(self.callers) == MAX_CALLERS:
            raise Refusal(names.BUSY, "too many programs have initiated already")
        with self.changed:
            self.callers.add(sender)
            self.end = None
        self.service.bus.spawn(self._watch(sender))
        return _DONE

    async def _watch(self, sender: str) -> None:
        """Listens to what becomes of a program, which may be gone already."""
        await self.service.bus.ask("AddMatch", owner_rule(sender))
        if await self.service.bus.owner_of(sender) is None:
            self._leave(sender, PublisherDied(self._how_died(sender)))

    def _terminate(self, call: Message) -> tuple[str, list[object]]:
        self._leave(
            call.sender or "",
            ChannelClosed(
                f"all programs that poked service {self.service.service!r} have closed it, and all that they sent has "
                "been received"
            ),
        )
        return _DONE

    def _on_signal(self, message: Message) -> None:
        if is_from_bus(message, NAME_OWNER_CHANGED) and not message.body[2]:
            self._leave(message.body[0], PublisherDied(self._how_died(message.body[0])))

    def _how_died(self, sender: str) -> str:
        return f"the last program that poked service {self.service.service!r} ({sender}) has ended without closing it"

    def _leave(self, sender: str, end: ChannelClosed | PublisherDied) -> None:
        if sender not in self.callers:
            return
        with self.changed:
            self.callers.discard(sender)
            self.end = end
            self.changed.notify_all()
        self.service.bus.spawn(self._unwatch(sender))

    async def _unwatch(self, sender: str) -> None:
        await self.service.bus.ask("RemoveMatch", owner_rule(sender))

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()

    async def _announce_close(self) -> None:
        self.service.signal("Closed")
        with self.changed:
            parked = list(self.parked.values())
        for call, _ in parked:
            self.service.refuse(call, names.CLOSED, "no program receives any more")
        await self.service.release_name()


class PokeSource(BaseSource):
    """Receives what is poked."""

    def __init__(self, service: str, address: str | None, depth: int, max_bytes: int) -> None:
        """Takes the name. Raises InvalidName, ChannelInUse, EndpointError."""
        super().__init__(f"dde:{service}")
        self._server = _PokeServer(service, address, depth, max_bytes)

    def statistics(self) -> EndpointStatistics:
        """Returns what this source has done; also after close()."""
        return replace(super().statistics(), refused=self._server.refused)

    def _receive(self, deadline: Deadline) -> Frame:
        try:
            frame = self._server.take(deadline)
        except EndpointError:
            self._check_open()
            raise
        if frame is None:
            raise deadline.fail(f"no program poked a frame into {self.url!r}")
        return frame

    def _cancel(self) -> None:
        self._server.close()
