# SPDX-License-Identifier: Apache-2.0
"""One connection to a message bus, served by a thread of its own.

Threads: run() is for the program's threads, all other methods are for the thread of the bus. `handler` is called there
with every method call and signal that comes in. Descriptors that come with a message are closed when the handler
returns; a handler that keeps the memory behind them maps it before.

Messages go out in order. The library takes a full socket for a broken one, so a message waits in `_outbox` until there
is room. `is_congested` says so, and a caller that can leave out messages then does.

A forked child closes what it inherited, so that it never keeps a dead parent alive on the bus, and may not use it. The
connection ends when it is closed or the bus goes; then run() raises EndpointError.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import select
import threading
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

from framebus._util import fds, lifetime
from framebus.errors import EndpointError, ForkedChild

PATIENCE_S = 10.0  # for the bus itself: one that takes longer hangs
DAEMON = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"
_VARIABLE = "DBUS_SESSION_BUS_ADDRESS"

T = TypeVar("T")


class CallFailed(Exception):
    """The answer to a call was an error: its D-Bus name and its text."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name
        self.text = text


class Bus:
    """A connection; made and closed by the program's threads.

    Attributes:
        before_close: what runs before it is closed, also where the program exits without closing it.
    """

    before_close: Callable[[], Coroutine[Any, Any, None]] | None = None

    def __init__(
        self,
        address: str | None,
        handler: Callable[[Message], bool],
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        """Connects to a bus. Raises EndpointError.

        Args:
            address: of the bus, None for that of the session.
            handler: called with each method call and signal; returns whether that was all there is to do about it.
            on_lost: called when the connection has ended, for any reason.
        """
        self._address = _address(address)
        self._handler = handler
        self._on_lost = on_lost
        self._pid = os.getpid()
        self._lost: str | None = None
        self._submitting = threading.RLock()
        self._closing = False
        self._leaving = False  # the thread has been told
        self._bus: Any = None
        self._calls: dict[int, tuple[asyncio.Future[Any], Callable[[Message], Any]]] = {}
        self._outbox: deque[Message] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._when_drained: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="framebus dde", daemon=True)
        self._thread.start()
        try:
            self.run(self._connect)
        except BaseException:
            self.close()
            raise
        _open.add(self)
        lifetime.forget_in_children(self)

    # For the program's threads

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Has the thread of the bus do it, and waits; whatever interrupts the wait cancels it."""
        with self._submitting:
            self.check()
            future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise self._gone() from None
        finally:
            future.cancel()

    def soon(self, work: Callable[[], None]) -> None:
        """Has the thread of the bus do it, and does not wait."""
        with self._submitting:
            self.check()
            self._loop.call_soon_threadsafe(work)

    def check(self) -> None:
        """Raises EndpointError if the bus is gone, ForkedChild in a forked child."""
        if os.getpid() != self._pid:
            raise ForkedChild(f"this was opened by process {self._pid} and can't be used by a child; open one here")
        if self._lost is not None or self._closing:
            raise self._gone()

    def forget(self) -> None:
        """In a forked child: closes its copy of the connection, which is the parent's."""
        if self in _open:
            # Not close(): others refer to the number, and it must not be given to something else.
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), self._number, inheritable=False)

    def close(self) -> None:
        """Says farewell, if the bus is there, and ends the thread. May be repeated.

        In the thread of the bus, where the garbage collector may come by, that happens right after.
        """
        if os.getpid() != self._pid:
            return
        with self._submitting:  # what was submitted before is cancelled, and nothing is after
            if not self._closing:
                self._closing = True
                asyncio.run_coroutine_threadsafe(self._leave(), self._loop)
                self._leaving = True
        # Not where the garbage collector closes this in the midst of that submission: the thread would never end.
        if self._leaving and threading.current_thread() is not self._thread:
            self._thread.join()
        _open.discard(self)

    # For the thread of the bus

    @property
    def unique_name(self) -> str:
        """The name that the bus has given to this connection."""
        return self._bus.unique_name or ""

    @property
    def is_congested(self) -> bool:
        """Whether what is sent now has to wait."""
        return bool(self._outbox)

    def when_drained(self, then: Callable[[], None]) -> None:
        """Calls `then` once nothing waits any more."""
        self._when_drained.append(then)

    def post(self, message: Message) -> None:
        """Sends a message; its descriptors are taken over, and closed when it has gone out, or can't any more."""
        if self._lost is not None:
            close_descriptors(message)
            return
        message.serial = message.serial or self._bus.next_serial()
        if self._outbox:
            self._outbox.append(message)
            return
        sent = self._hand_over(message) if self._is_ready() else None
        if sent is not None and sent.done():
            close_descriptors(message)
            return
        self._outbox.append(message)
        self._draining = self._loop.create_task(self._drain(sent))

    def begin(self, message: Message, read: Callable[[Message], T]) -> asyncio.Future[T]:
        """Calls a method; returns the future of what `read` makes of the answer.

        The future raises CallFailed where the answer is an error, what `read` raises, and EndpointError if the bus
        goes.
        """
        message.serial = self._bus.next_serial()
        future: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(_see)
        if self._lost is not None:
            future.set_exception(self._gone())
            close_descriptors(message)
            return future
        self._calls[message.serial] = (future, read)
        self.post(message)
        return future

    async def ask(self, member: str, *arguments: object, signature: str = "s") -> Any:
        """Calls a method of the bus itself; returns the first value of the answer. Raises CallFailed."""
        message = Message(DAEMON, DAEMON_PATH, DAEMON, member, signature=signature, body=list(arguments))
        answer = self.begin(message, lambda answer: answer.body[0] if answer.body else None)
        return await asyncio.wait_for(answer, PATIENCE_S)

    async def owner_of(self, name: str) -> str | None:
        """Returns the unique name of the owner of a name, None if there is none."""
        try:
            return str(await self.ask("GetNameOwner", name))
        except CallFailed:
            return None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does something beside."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    # Inside

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(task.exception(), EndpointError):
            return  # the bus is gone, which all others are told
        if not task.cancelled():
            task.result()  # a fault of ours: asyncio shows where

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _connect(self) -> None:
        try:
            self._bus = MessageBus(bus_address=self._address, negotiate_unix_fd=True)
            await asyncio.wait_for(self._bus.connect(), PATIENCE_S)
        except asyncio.TimeoutError:
            raise EndpointError(f"the bus {self._address} did not answer within {PATIENCE_S:g} s") from None
        except (OSError, EOFError, AuthError, InvalidAddressError) as error:
            raise EndpointError(
                f"no message bus at {self._address}: {str(error) or type(error).__name__}; {_HOW_TO_FIND}"
            ) from error
        self._number: int = self._bus._sock.fileno()  # the library has no other way to ask for it
        self._has_room = select.poll()
        self._has_room.register(self._number, select.POLLOUT)
        self._bus.add_message_handler(self._on_message)
        self.spawn(self._watch_connection())

    async def _watch_connection(self) -> None:
        reason = "it closed the connection"
        try:
            await self._bus.wait_for_disconnect()
        except (OSError, EOFError) as error:
            reason = str(error) or reason
        finally:
            self._lost = reason
            if self._draining is not None:
                self._draining.cancel()
            while self._outbox:
                close_descriptors(self._outbox.popleft())
            for future, _ in self._calls.values():
                if not future.done():
                    future.set_exception(self._gone())
            self._calls.clear()
            self._on_lost()

    def _gone(self) -> EndpointError:
        return EndpointError(
            f"the bus {self._address} is gone: {self._lost or 'it was closed here'}; open the source or sink again"
        )

    def _on_message(self, message: Message) -> bool:
        received = list(message.unix_fds)
        message.unix_fds.clear()
        for descriptor in received:
            message.unix_fds.append(fds.lift(descriptor))
            os.set_inheritable(message.unix_fds[-1], False)
        try:
            if message.message_type in (MessageType.METHOD_RETURN, MessageType.ERROR):
                return self._on_answer(message)
            return self._handler(message)
        finally:
            close_descriptors(message)

    def _on_answer(self, message: Message) -> bool:
        future, read = self._calls.pop(message.reply_serial, (None, None))
        if future is None or read is None or future.done():
            return future is not None
        if message.message_type is MessageType.ERROR:
            text = message.body[0] if message.body and isinstance(message.body[0], str) else ""
            future.set_exception(CallFailed(message.error_name or "", text))
            return True
        try:
            future.set_result(read(message))
        except Exception as error:  # the caller that waits for the answer gets it
            future.set_exception(error)
        return True

    def _is_ready(self) -> bool:
        """Whether a message can be handed to the library: there is room, or the bus is gone anyhow."""
        return bool(self._has_room.poll(0))

    def _hand_over(self, message: Message) -> asyncio.Future[None]:
        """Returns the future of the message's having gone out. If the bus is gone, _watch_connection() tells."""
        if self._has_room.poll(0) == [(self._number, select.POLLOUT)]:
            try:
                sent: asyncio.Future[None] = self._bus.send(message)
            except OSError:
                pass  # it went at this moment
            else:
                sent.add_done_callback(_see)
                return sent
        nowhere: asyncio.Future[None] = self._loop.create_future()
        nowhere.set_result(None)
        return nowhere

    async def _drain(self, sent: asyncio.Future[None] | None) -> None:
        """Sends what waits, whenever there is room; `sent` is the future of the first, if that is on its way."""
        while self._outbox:
            if sent is None:
                await self._room()
                sent = self._hand_over(self._outbox[0])
            await asyncio.wait({sent})
            sent = None
            close_descriptors(self._outbox.popleft())
        then, self._when_drained = self._when_drained, []
        for call in then:
            call()

    async def _room(self) -> None:
        if self._is_ready():
            return
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._number, lambda: None if ready.done() else ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_writer(self._number)

    async def _leave(self) -> None:
        try:
            if self.before_close is not None and self._lost is None:
                await asyncio.wait_for(self.before_close(), PATIENCE_S)
        except (CallFailed, EndpointError, OSError, asyncio.TimeoutError):
            pass  # the bus is gone or hangs
        finally:
            if self._bus is not None:
                self._bus.disconnect()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            self._loop.stop()


def close_descriptors(message: Message) -> None:
    """Closes the descriptors of a message."""
    for descriptor in message.unix_fds:
        os.close(descriptor)
    message.unix_fds.clear()


def _see(future: asyncio.Future[Any]) -> None:
    """Retrieves the exception, or asyncio would complain that it was never retrieved."""
    if future.done() and not future.cancelled():
        future.exception()


def _address(given: str | None) -> str:
    """Where the bus is: what was given, or as all programs find the bus of the session."""
    if given or os.environ.get(_VARIABLE):
        return given or os.environ[_VARIABLE]
    usual = f"{os.environ.get('XDG_RUNTIME_DIR', '')}/bus"
    if os.path.exists(usual):
        return f"unix:path={usual}"
    raise EndpointError(f"dde: there is no message bus of a session here: {_VARIABLE} is not set; {_HOW_TO_FIND}")


_HOW_TO_FIND = (
    f"set {_VARIABLE}, pass ?bus=ADDRESS (such as unix:path=/run/user/1000/bus), or run this under dbus-run-session"
)

_open: weakref.WeakSet[Bus] = weakref.WeakSet()


@lifetime.at_exit
def _close_all() -> None:
    for bus in list(_open):
        bus.close()
