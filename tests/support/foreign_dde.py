# SPDX-License-Identifier: Apache-2.0
"""Programs of another author on a message bus, written with jeepney: only the names of `dde:` are framebus's."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import Any

from jeepney import (
    DBusAddress,
    HeaderFields,
    MatchRule,
    Message,
    MessageType,
    message_bus as daemon,
    new_error,
    new_method_call,
    new_method_return,
)
from jeepney.io.blocking import DBusConnection, open_dbus_connection

PATH = "/org/framebus/Frames"
FRAMES = "org.framebus.Frames1"
POKES = "org.framebus.Pokes1"
ALL_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def memory_with(data: bytes, seals: int = ALL_SEALS) -> int:
    """Returns a memfd with these bytes and seals."""
    memory = os.memfd_create("foreign", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memory, data)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return memory


def text_of(data: bytes) -> str:
    """Returns what of these bytes can be a text of D-Bus."""
    return data.decode(errors="replace").replace("\0", "0")


class ForeignCaller:
    """A program that calls a service of framebus."""

    def __init__(self, address: str, service: str, interface: str) -> None:
        self.connection: DBusConnection = open_dbus_connection(address, enable_fds=True)
        self.last_error = ""  # what the last error said
        self.service = DBusAddress(PATH, f"org.framebus.dde.{service}", interface)

    def call(self, member: str, signature: str | None = None, body: tuple[Any, ...] = ()) -> tuple[Any, ...] | str:
        """Calls a method; returns what it returns, or the name of the error."""
        call = new_method_call(self.service, member, signature, body)
        answer = self.connection.send_and_get_reply(call, timeout=30)
        self.last_error = answer.body[0] if answer.header.message_type is MessageType.error else ""
        return result_of(answer)

    def begin(self, member: str, signature: str | None = None, body: tuple[Any, ...] = ()) -> int:
        """Calls a method without waiting; returns the number of the call."""
        number = next(self.connection.outgoing_serial)
        self.connection.send(new_method_call(self.service, member, signature, body), serial=number)
        return number

    def answer(self, number: int) -> tuple[Any, ...] | str:
        """Waits for the answer to a call; answers to others are dropped."""
        while True:
            message = self.connection.receive(timeout=30)
            if message.header.fields.get(HeaderFields.reply_serial) == number:
                return result_of(message)

    def close(self) -> None:
        self.connection.close()


def result_of(answer: Message) -> tuple[Any, ...] | str:
    """Returns what a call has returned, or the name of the error."""
    if answer.header.message_type is MessageType.error:
        return str(answer.header.fields[HeaderFields.error_name])
    return tuple(answer.body)


class ForeignPoker(ForeignCaller):
    """Pokes whatever it is given: as a description of sealed memory, and as the memory itself."""

    def __init__(self, address: str, service: str) -> None:
        super().__init__(address, service, POKES)

    def __call__(self, data: bytes) -> None:
        for content, description in ((bytes(64), text_of(data)), (data, GOOD_DESCRIPTION)):
            self.poke(memory_with(content), description)

    def poke(self, memory: int, description: str) -> tuple[Any, ...] | str:
        """Pokes once; returns the answer."""
        try:
            return self.call("Poke", "hs", (memory, description))
        finally:
            os.close(memory)


# Of an image of 64 bytes.
GOOD_DESCRIPTION = (
    '{"seq":1,"timestamp_ns":2,"wall_time_ns":3,"pixel_format":"Mono8","meta":{"a":1},'
    '"arrays":[{"name":"image","dtype":"|u1","shape":[8,8]}]}'
)


class ForeignListener(ForeignCaller):
    """Listens to the signal Changed."""

    def __init__(self, address: str, service: str) -> None:
        super().__init__(address, service, FRAMES)
        rule = MatchRule(type="signal", interface=FRAMES, member="Changed", sender=self.service.bus_name)
        self.connection.send_and_get_reply(daemon.AddMatch(rule), timeout=30)

    def wait_for(self, number: int) -> None:
        """Returns when a frame of that number is there."""
        while True:
            message = self.connection.receive(timeout=30)
            if message.header.fields.get(HeaderFields.member) == "Changed" and message.body[0] >= number:
                return

    def __enter__(self) -> ForeignListener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ForeignService:
    """A program that offers frames of its own making: it answers every Advise with what it was last given."""

    def __init__(self, address: str, service: str) -> None:
        self.connection: DBusConnection = open_dbus_connection(address, enable_fds=True)
        answer = self.connection.send_and_get_reply(daemon.RequestName(f"org.framebus.dde.{service}", 4), timeout=30)
        assert answer.body == (1,)
        self.lock = threading.Lock()
        self.number = 0
        self.given: list[tuple[bytes, str]] = []
        self.waiting: Message | None = None
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def __call__(self, data: bytes) -> None:
        with self.lock:
            self.given += [(bytes(64), text_of(data)), (data, GOOD_DESCRIPTION)]
            self.answer()

    def answer(self) -> None:
        """Answers who waits with the next that was given."""
        if self.waiting is None or not self.given:
            return
        content, description = self.given.pop(0)
        self.number += 1
        memory = memory_with(content)
        call, self.waiting = self.waiting, None
        self.connection.send(new_method_return(call, "ths", (self.number, memory, description)))
        os.close(memory)

    def serve(self) -> None:
        """Takes calls until the connection is closed."""
        while True:
            try:
                call = self.connection.receive()
            except (OSError, EOFError):
                return
            if call.header.message_type is not MessageType.method_call:
                continue
            with self.lock:
                if call.header.fields[HeaderFields.member] == "Advise":
                    self.waiting = call
                    self.answer()
                else:
                    self.connection.send(new_error(call, "org.example.Error"))

    def close(self) -> None:
        self.connection.sock.shutdown(2)
        self.thread.join()
        self.connection.close()
