# SPDX-License-Identifier: Apache-2.0
"""Frames in an event loop: the waits behind `await sub.recv_async()` and `async for frame in sub`.

Under asyncio each event loop in which a subscriber is awaited has one reader of its descriptor, which stays registered
from frame to frame. It goes when frames come that nobody awaits, when the last task that waits is cancelled or out of
time, and when the subscriber is closed or forgotten; the loop does not keep the subscriber alive.

What wakes a task is never a frame, only the word that there may be one, and that word goes to all who wait. So a task
that is cancelled loses no frame. The word is taken off the descriptor when it is passed on, since the loop would
report it once more before the task gets to run. From then on it is in the hands of those tasks: one that is cancelled
before it has looked puts it back, for the other loops and threads that share the subscriber.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from framebus import _core
from framebus.end import End

Subscriber = End[_core.Subscriber]
View = _core.FrameView
Look = Callable[[], View | None]


class Tasks:
    """The tasks that wait for one subscriber, in whatever event loops."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._native = subscriber._native
        self._subscriber = weakref.ref(subscriber)
        self._readers: dict[asyncio.AbstractEventLoop, Reader] = {}

    def receive(self, look: Look, timeout: float | None) -> Coroutine[Any, Any, View]:
        """Waits until `look` gives something, and gives that.

        Raises what `look` raises, and what recv() raises when `timeout` seconds are over.
        """
        return self._in_trio(look, timeout) if _is_trio() else self._in_asyncio(look, timeout)

    async def breathe(self) -> None:
        """Lets other tasks run once; where frames come faster than they are handled, nothing else would."""
        if _is_trio():
            import trio

            await trio.lowlevel.checkpoint()
            return
        try:
            await asyncio.sleep(0)
        except BaseException:
            reader = self._readers.get(asyncio.get_running_loop())
            if reader is not None:
                reader.leave()
            raise

    def close(self) -> None:
        """Forgets all loops; those that go on do the rest themselves, see Reader."""
        self._readers.clear()

    async def _in_trio(self, look: Look, timeout: float | None) -> View:
        import trio

        fd = os.dup(self._native.fileno())  # trio lets only one task wait for a descriptor
        try:
            with trio.move_on_after(math.inf if timeout is None else timeout):
                while True:
                    await trio.lowlevel.wait_readable(fd)
                    view = look()
                    if view is not None:
                        return view
        finally:
            os.close(fd)
        return self._last_look(look, timeout)

    async def _in_asyncio(self, look: Look, timeout: float | None) -> View:
        loop = asyncio.get_running_loop()
        reader = self._readers.get(loop) or self._reader_of(loop)
        end = None if timeout is None else loop.time() + timeout
        while True:
            waiter = reader.enter()
            timer = None if end is None else loop.call_at(end, _wake, waiter)
            try:
                await waiter
            except BaseException:
                reader.leave(waiter)
                raise
            finally:
                if timer is not None:
                    timer.cancel()
            view = look()
            if view is not None:
                return view
            if end is not None and loop.time() >= end:
                reader.leave(waiter)
                return self._last_look(look, timeout)

    def _last_look(self, look: Look, timeout: float | None) -> View:
        view = look()
        if view is None:
            assert timeout is not None
            _core.fail_timeout(self._native, timeout)
        return view

    def _reader_of(self, loop: asyncio.AbstractEventLoop) -> Reader:
        for other in list(self._readers):
            if other.is_closed():
                self._readers.pop(other, None)
        fd = os.dup(self._native.fileno())
        reader = self._readers[loop] = Reader(self._subscriber, loop, fd)
        return reader


class Reader:
    """What one event loop has of a subscriber: a copy of its descriptor, and the tasks that wait for it.

    The copy is the reader's own: its number is nobody else's until the loop has let go of it. It becomes readable when
    the subscriber is closed, and stays so; then the tasks are told, and with nobody left the loop is told to let go.
    """

    def __init__(self, subscriber: weakref.ref[Subscriber], loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self._subscriber = subscriber
        self._loop = loop
        self._fd = fd
        self._waiters: list[asyncio.Future[None]] = []
        self._registered = False

    def enter(self) -> asyncio.Future[None]:
        """Returns what to await."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        if not self._registered:
            self._loop.add_reader(self._fd, self._tell)
            self._registered = True
        return waiter

    def leave(self, waiter: asyncio.Future[None] | None = None) -> None:
        """For a task that will not look after all; `waiter` is what it awaited."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        elif waiter is not None and (subscriber := self._subscriber()) is not None:
            _core.ring(subscriber._native)  # it may have been told, and nobody else
        if not self._waiters:
            self._unregister()

    def _tell(self) -> None:
        """The descriptor is readable."""
        waiters = self._waiters
        subscriber = self._subscriber()
        if not waiters or subscriber is None:
            self._unregister()
            return
        _core.hush(subscriber._native)
        self._waiters = []
        for waiter in waiters:
            _wake(waiter)

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            if not self._loop.is_closed():
                self._loop.remove_reader(self._fd)

    def __del__(self) -> None:
        os.close(self._fd)  # a loop in which this is registered keeps it


def _is_trio() -> bool:
    """Whether this task is one of trio; otherwise it is taken for one of asyncio."""
    sniffio = sys.modules.get("sniffio")  # trio imports it
    return sniffio is not None and sniffio.current_async_library() == "trio"


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
