# SPDX-License-Identifier: Apache-2.0
"""Poke, the client: a sink that puts frames into a service and waits until there is room for each.

A frame that found no room in time is withdrawn, and the answer says whether it was taken, so that a frame that was not
sent is never received. Only a service that is stopped leaves that open: GRACE_S after the deadline send() gives up,
and the frame may be taken when the service goes on.
"""

from __future__ import annotations

import asyncio
import os

from framebus._util import fds
from framebus.endpoint import BaseSink, Deadline, OutgoingFrame
from framebus.endpoint.kinds.dde import frame_message, interface as names
from framebus.endpoint.kinds.dde.bus import CallFailed
from framebus.endpoint.kinds.dde.caller import Caller
from framebus.errors import ChannelClosed, EndpointError

GRACE_S = 0.2


class _PokeClient:
    """The sink's part in the thread of the bus; poke() is called by one program's thread at a time."""

    def __init__(self, service: str, address: str | None, connect_timeout: float) -> None:
        self._poked: asyncio.Future[None] | None = None  # not answered yet
        self.caller = Caller(service, names.POKES, address, connect_timeout, on_owner=self._on_owner)
        self.caller.bus.before_close = self._announce_close

    @property
    def is_open_what_became_of_it(self) -> bool:
        """Whether the last frame may be taken yet."""
        return self._poked is not None

    async def poke(self, memory: int, description: str, deadline: Deadline) -> bool:
        """Pokes; returns whether the service has taken the frame. Raises as send() does."""
        if self._poked is not None:  # the service was stopped
            await asyncio.wait({self._poked}, timeout=deadline.left())
            if not self._poked.done():
                return False
            self._poked = None
        while True:
            if self.caller.owner is None and await self.caller.look() is None:
                raise ChannelClosed(f"{self.caller.how_it_ended()}; no program receives what is poked there")
            taken = await self._poke(fds.dup(memory), description, deadline)
            if taken is not None:
                return taken

    async def _poke(self, memory: int, description: str, deadline: Deadline) -> bool | None:
        """Pokes once; returns whether it was taken, None if the service went meanwhile."""
        asked = self.caller.owner
        poked = self._poked = self.caller.begin("Poke", lambda _: None, names.FRAME_ARGUMENTS, [0, description], memory)
        try:
            await asyncio.wait({poked}, timeout=deadline.left())
        finally:
            if not poked.done():
                self.caller.tell("Withdraw")
        await asyncio.wait({poked}, timeout=GRACE_S)
        if not poked.done():
            return False
        self._poked = None
        try:
            poked.result()
        except CallFailed as failure:
            if failure.name == names.WITHDRAWN:
                return False
            if failure.name == names.MALFORMED:
                raise EndpointError(f"service {self.caller.service!r} refused the frame: {failure.text}") from None
            await self.caller.check_failure(failure, asked)
            return None
        return True

    async def _announce_close(self) -> None:
        """Says that no more will come; before that, a frame whose send() was interrupted is withdrawn."""
        if self._poked is not None:
            await asyncio.wait({self._poked}, timeout=GRACE_S)
        if self.caller.owner is not None:
            self.caller.tell("Terminate")
            await self.caller.look()  # it has reached the bus then

    @staticmethod
    def _on_owner(caller: Caller) -> None:
        if caller.owner is not None:
            caller.tell("Initiate")


class PokeSink(BaseSink):
    """Pokes a service."""

    capabilities = names.CAPABILITIES

    def __init__(self, service: str, address: str | None, connect_timeout: float) -> None:
        """Finds the service. Raises InvalidName, ChannelNotFound, EndpointError."""
        super().__init__(f"dde:{service}")
        self._client = _PokeClient(service, address, connect_timeout)

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        try:
            if not self._poke(frame, deadline):
                if self._client.is_open_what_became_of_it:
                    self._last_seq = frame.seq  # it may come yet, so the next frame gets another number
                raise deadline.fail(f"there was no room in {self.url!r}")
        except EndpointError:
            self._check_open()
            raise

    def _poke(self, frame: OutgoingFrame, deadline: Deadline) -> bool:
        try:
            memory, description = frame_message.pack(frame)
        except OSError as error:
            raise EndpointError(f"no memory for a frame to {self.url!r}: {error}") from error
        try:
            return self._client.caller.bus.run(lambda: self._client.poke(memory, description, deadline))
        finally:
            os.close(memory)

    def _cancel(self) -> None:
        self._client.caller.bus.close()
