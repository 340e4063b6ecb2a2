# SPDX-License-Identifier: Apache-2.0
"""Frames in an event loop: the waits behind `await sub.recv_async()` and `async for frame in sub`.

Under asyncio each event loop in which a subscriber is awaited has one reader of its descriptor, which stays registered
from frame to frame. It goes when frames come that nobody awaits, when the last task that waits is cancelled or out of
time, and when the subscriber is closed or forgotten; the loop does not keep the subscriber alive.

What wakes a task is never a frame, only the word that there may be one, and that word goes to all who wait in one loop.
So a task that is cancelled loses no frame and keeps none from the others. The descriptor is readable until somebody
looks.

A task that waits for an asyncio.Future runs one round of the loop after the future is done, and by then the loop has
asked the system once more and found the descriptor still readable. So our tasks await a Wakeup, which has the part of a
future that tasks use (what asyncio.isfuture() asks for, callbacks, result, cancel) and runs its task at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import math
import operator
import os
import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from framebus import _core
from framebus.end import End

Subscriber = End[_core.Subscriber]
View = _core.FrameBase
Look = Callable[[], View | None]


class Tasks:
    """The tasks that wait for one subscriber, in whatever event loops."""

    def __init__(self, subscriber: Subscriber) -> None:
        self._native = subscriber._native
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
        turn = next(reader.turns)
        while True:
            wakeup = reader.enter(turn)
            timer = None if end is None else loop.call_at(end, wakeup.wake)
            try:
                await wakeup
            except BaseException:
                reader.leave(wakeup)
                raise
            finally:
                if timer is not None:
                    timer.cancel()
            view = look()
            if view is not None:
                return view
            if end is not None and loop.time() >= end:
                reader.leave(wakeup)
                return self._last_look(look, timeout)
            reader.forget(wakeup)  # a timer may come a little early

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
        reader = self._readers[loop] = Reader(loop, fd)
        return reader


class Reader:
    """What one event loop has of a subscriber: a copy of its descriptor, and the tasks that wait for it.

    The copy is the reader's own: its number is nobody else's until the loop has let go of it. It becomes readable when
    the subscriber is closed, and stays so; then the tasks are told, and with nobody left the loop is told to let go.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self._loop = loop
        self._fd = fd
        self._waiting: list[Wakeup] = []
        self._registered = False
        self.turns = itertools.count()

    def enter(self, turn: int) -> Wakeup:
        """Returns what to await, once. Those with a lower turn look first; who found nothing keeps his."""
        wakeup = Wakeup(self._loop, turn)
        self._waiting.append(wakeup)
        if not self._registered:
            self._loop.add_reader(self._fd, self._tell)
            self._registered = True
        return wakeup

    def leave(self, wakeup: Wakeup | None = None) -> None:
        """For a task that will not look after all; `wakeup` is what it awaited."""
        self.forget(wakeup)
        if not self._waiting:
            self._unregister()

    def forget(self, wakeup: Wakeup | None) -> None:
        """Does not wake it any more."""
        if wakeup in self._waiting:
            self._waiting.remove(wakeup)

    def _tell(self) -> None:
        """The descriptor is readable."""
        waiting = self._waiting
        if not waiting:
            self._unregister()
            return
        self._waiting = []
        if len(waiting) > 1:
            waiting.sort(key=_TURN, reverse=True)
        try:
            while waiting:
                waiting.pop().wake()
        finally:  # what is none of the task's business, such as KeyboardInterrupt, has come out of it
            self._waiting += waiting

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            if not self._loop.is_closed():
                self._loop.remove_reader(self._fd)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # at exit the module may be gone
        close(self._fd)  # a loop in which this is registered keeps it


def _is_trio() -> bool:
    """Whether this task is one of trio; otherwise it is taken for one of asyncio."""
    sniffio = sys.modules.get("sniffio")  # trio imports it
    return sniffio is not None and sniffio.current_async_library() == "trio"


class Wakeup:
    """What one task awaits, once: a future of which only tasks know."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_cancelled", "_context", "_done", "_loop", "turn")

    def __init__(self, loop: asyncio.AbstractEventLoop, turn: int) -> None:
        self.turn = turn
        self._asyncio_future_blocking = False
        self._loop = loop
        self._callback: Callable[[Wakeup], object] | None = None
        self._context: contextvars.Context | None = None
        self._done = False
        self._cancelled: tuple[object, ...] | None = None

    def __await__(self) -> Generator[Wakeup, None, None]:
        if not self._done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def wake(self) -> None:
        """Runs the task now; called by the loop, not by another task."""
        if not self._done:
            self._done = True
            callback, self._callback = self._callback, None  # which refers to us by way of the task
            if callback is not None and self._context is not None:
                self._context.run(callback, self)

    # What tasks call.

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Wakeup], object], *, context: contextvars.Context) -> None:
        """The task waits."""
        self._callback, self._context = callback, context

    def cancel(self, msg: object = None) -> bool:
        """The task is to be cancelled; it runs in the next round of the loop, as with every future."""
        if self._done:
            return False
        self._done = True
        self._cancelled = () if msg is None else (msg,)
        callback, self._callback = self._callback, None
        if callback is not None:
            self._loop.call_soon(callback, self, context=self._context)
        return True

    def result(self) -> None:
        """Nothing, or asyncio.CancelledError."""
        if self._cancelled is not None:
            raise asyncio.CancelledError(*self._cancelled)


_TURN = operator.attrgetter("turn")
