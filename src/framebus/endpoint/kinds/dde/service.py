# SPDX-License-Identifier: Apache-2.0
"""A service on the bus: owns its name, answers introspection, passes every call of its interface to one function.

A function that does not answer at once calls answer() or refuse() later. A call with arguments of other types, or of
something that does not exist, gets an error of D-Bus and has no other effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from dbus_fast import Message, MessageFlag, MessageType, NameFlag, RequestNameReply

from framebus.endpoint.kinds.dde import interface as names
from framebus.endpoint.kinds.dde.bus import Bus
from framebus.errors import ChannelInUse, EndpointError

# Answers a call: the signature and values to return, or None where the answer comes later.
Method = Callable[[Message], tuple[str, list[object]] | None]


class Refusal(Exception):
    """A call that is answered with an error: its D-Bus name, and a sentence."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class Service:
    """Owns the name of a service, until close()."""

    def __init__(
        self,
        service: str,
        interface: str,
        methods: Mapping[str, Method],
        address: str | None,
        *,
        on_signal: Callable[[Message], None] = lambda _: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes the name. Raises InvalidName, ChannelInUse, EndpointError."""
        self.service = service
        self.name = names.bus_name(service)
        self._interface = interface
        self._methods = methods
        self._signatures = names.methods(interface)
        self._on_signal = on_signal
        self.bus = Bus(address, self._handle, on_lost)
        try:
            self.bus.run(self._take_name)
        except BaseException:
            self.bus.close()
            raise

    def answer(self, call: Message, signature: str = "", body: list[object] | None = None, *memory: int) -> None:
        """Answers a call; the descriptors are taken over."""
        self.bus.post(Message.new_method_return(call, signature, body or [], list(memory)))

    def refuse(self, call: Message, name: str, text: str) -> None:
        """Answers a call with an error."""
        self.bus.post(Message.new_error(call, name, text))

    def signal(self, member: str, signature: str = "", body: list[object] | None = None, *memory: int) -> None:
        """Signals all listeners; the descriptors are taken over."""
        self.bus.post(
            Message.new_signal(names.PATH, self._interface, member, signature, body or [], unix_fds=list(memory))
        )

    async def release_name(self) -> None:
        """Releases the name; what was sent before has reached the bus then."""
        await self.bus.ask("ReleaseName", self.name)

    async def _take_name(self) -> None:
        answer = await self.bus.ask("RequestName", self.name, NameFlag.DO_NOT_QUEUE.value, signature="su")
        if answer == RequestNameReply.PRIMARY_OWNER.value:
            return
        if answer != RequestNameReply.EXISTS.value:
            raise EndpointError(f"the bus does not grant the name {self.name}: it answers {answer}")
        raise ChannelInUse(
            f"service {self.service!r} is there already: {await self._owner()} has the name {self.name}; close that "
            "one, or choose another name"
        )

    async def _owner(self) -> str:
        pid = await self.bus.ask("GetConnectionUnixProcessID", self.name)
        try:
            return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
        except OSError:
            return f"process {pid}"

    def _handle(self, message: Message) -> bool:
        if message.message_type is MessageType.SIGNAL:
            self._on_signal(message)
            return True
        xml = names.introspection(self._interface, message.path or "")
        if message.member == "Introspect" and message.interface == _INTROSPECTABLE and xml is not None:
            self.answer(message, "s", [xml])
            return True
        if message.path != names.PATH or message.interface not in (self._interface, None):
            return False
        expected = self._signatures.get(message.member or "")
        if expected is None:
            return False
        try:
            if message.signature != expected:
                raise Refusal(_INVALID_ARGUMENTS, f"expected arguments of the types {expected!r}")
            answer = self._methods[message.member or ""](message)
        except Refusal as refusal:
            if not message.flags & MessageFlag.NO_REPLY_EXPECTED:
                self.refuse(message, refusal.name, str(refusal))
            return True
        if answer is not None and not message.flags & MessageFlag.NO_REPLY_EXPECTED:
            self.answer(message, *answer)
        return True


_INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
_INVALID_ARGUMENTS = "org.freedesktop.DBus.Error.InvalidArgs"
