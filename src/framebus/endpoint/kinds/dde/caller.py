# SPDX-License-Identifier: Apache-2.0
"""The client side of a service: which program owns its name, and how the last owner left.

An owner that closes sends the signal Closed and then releases the name. One that loses the name without the signal has
died. The bus keeps the messages of one program, and its own about names, in order. So after ask() has been answered,
everything that happened before is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from dbus_fast import Message, MessageFlag, MessageType

from framebus.endpoint import Deadline
from framebus.endpoint.kinds.dde import interface as names
from framebus.endpoint.kinds.dde.bus import DAEMON, DAEMON_PATH, Bus, CallFailed
from framebus.errors import ChannelClosed, ChannelNotFound, EndpointError, Error, PublisherDied

T = TypeVar("T")
_NOT_THERE = frozenset(f"org.freedesktop.DBus.Error.Unknown{what}" for what in ("Method", "Object", "Interface"))
NAME_OWNER_CHANGED = "NameOwnerChanged"


def is_from_bus(message: Message, member: str) -> bool:
    """Whether a signal is one of the bus itself, which can't be forged."""
    return message.sender == DAEMON and message.path == DAEMON_PATH and message.member == member


def owner_rule(name: str) -> str:
    """What to listen to, to hear of the owners of a name."""
    return f"type='signal',sender='{DAEMON}',member='{NAME_OWNER_CHANGED}',arg0='{name}'"


class Caller:
    """Follows a service, until close()."""

    def __init__(
        self,
        service: str,
        interface: str,
        address: str | None,
        connect_timeout: float,
        *,
        signals: tuple[str, ...] = (),
        on_signal: Callable[[Message], None] = lambda _: None,
        on_owner: Callable[[Caller], None] = lambda _: None,
    ) -> None:
        """Waits for the service. Raises InvalidName, ChannelNotFound, EndpointError.

        Args:
            service: its name.
            interface: the one to call.
            address: of the bus.
            connect_timeout: seconds to wait for the service.
            signals: of the interface, to listen to beside Closed.
            on_signal: called in the thread of the bus with each of them.
            on_owner: called there when another program has become the owner, or none is.
        """
        deadline = Deadline(connect_timeout)
        self.service = service
        self.name = names.bus_name(service)
        self.owner: str | None = None
        self._interface = interface
        self._signals = signals
        self._on_signal = on_signal
        self._on_owner = on_owner
        self._closed = False  # the last owner has said so
        self._left: str | None = None  # has said so, and may still have the name
        self._came = asyncio.Event()
        self.bus = Bus(address, self._handle)
        try:
            self.bus.run(lambda: self._join(deadline))
        except BaseException:
            self.bus.close()
            raise

    def begin(
        self,
        member: str,
        read: Callable[[Message], T],
        signature: str = "",
        body: list[object] | None = None,
        *memory: int,
    ) -> asyncio.Future[T]:
        """Calls a method of the owner, see Bus.begin(); the descriptors are taken over."""
        return self.bus.begin(self._message(member, signature, body, memory), read)

    def tell(self, member: str) -> None:
        """Calls a method of the owner that has no answer."""
        message = self._message(member, "", None, ())
        message.flags = MessageFlag.NO_REPLY_EXPECTED
        self.bus.post(message)

    async def look(self) -> str | None:
        """Returns the owner after asking the bus, which tells everything else first."""
        self._set_owner(await self.bus.owner_of(self.name))
        return self.owner

    async def check_failure(self, failure: CallFailed, asked: str | None) -> None:
        """Returns where a call to `asked` failed since that is gone. Raises EndpointError for all other reasons."""
        if failure.name in _NOT_THERE:
            raise EndpointError(
                f"service {self.service!r} is of the other kind: one sends frames to programs that ask, or receives "
                "those that are poked; open source and sink with ?mode=poke, or both without"
            ) from None
        if await self.look() == asked:
            raise EndpointError(f"the program behind service {self.service!r} refused: {failure}") from None

    def how_it_ended(self) -> Error:
        """Returns the error that says how the last owner left."""
        if self._closed:
            return ChannelClosed(f"service {self.service!r} has been closed by its program")
        return PublisherDied(f"the program behind service {self.service!r} exited without closing it")

    async def _join(self, deadline: Deadline) -> None:
        await self.bus.ask("AddMatch", owner_rule(self.name))
        for member in ("Closed", *self._signals):
            await self.bus.ask(
                "AddMatch",
                f"type='signal',sender='{self.name}',path='{names.PATH}',interface='{self._interface}',"
                f"member='{member}'",
            )
        if await self.look() is not None:
            return
        try:
            await asyncio.wait_for(self._came.wait(), deadline.left())
        except asyncio.TimeoutError:
            raise ChannelNotFound(await self._who_is_there()) from None

    async def _who_is_there(self) -> str:
        there = [name for name in await self.bus.ask("ListNames", signature="") if name.startswith(names.PREFIX)]
        return (
            f"no program offers the service {self.service!r} ({self.name}) on this bus; there "
            f"{'are ' + ', '.join(sorted(there)) if there else 'is none of framebus'}. Start the program at the other "
            "end first, or pass connect_timeout="
        )

    def _message(self, member: str, signature: str, body: list[object] | None, memory: tuple[int, ...]) -> Message:
        return Message(
            self.owner,
            names.PATH,
            self._interface,
            member,
            flags=MessageFlag.NO_AUTOSTART,
            signature=signature,
            body=body or [],
            unix_fds=list(memory),
        )

    def _handle(self, message: Message) -> bool:
        if message.message_type is not MessageType.SIGNAL:
            return False
        if is_from_bus(message, NAME_OWNER_CHANGED) and message.body[0] == self.name:
            self._set_owner(message.body[2] or None)
        elif message.sender == self.owner and message.path == names.PATH and message.interface == self._interface:
            if message.member == "Closed":
                self._closed, self._left = True, self.owner
                self._set_owner(None)
            else:
                self._on_signal(message)
        return True

    def _set_owner(self, owner: str | None) -> None:
        if owner == self.owner or (owner is not None and owner == self._left):
            return
        self.owner = owner
        if owner is not None:
            self._closed = False
            self._came.set()
        self._on_owner(self)
