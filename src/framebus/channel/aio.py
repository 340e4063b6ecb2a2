# SPDX-License-Identifier: Apache-2.0
"""Frames in an event loop: the waits behind `await sub.recv_async()` and `async for frame in sub`.

For each subscriber, each asyncio loop has one descriptor with a callback (loop.add_reader()), which stays registered
from frame to frame. It is removed when it was called twice with no task waiting, when the last waiting task is
cancelled or out of time, and when the subscriber is closed or collected. The loop does not keep the subscriber alive.

A task is woken to fetch a frame, never with a frame, and all tasks that wait in one loop are woken. So a cancelled
task loses no frame, for itself or for other tasks. A task that found no frame clears the descriptor and fetches once
more before it waits. If it finds a frame now, it wakes the others.

A task that awaits an asyncio.Future resumes one round of the loop late. By then the loop has polled again, found the
descriptor still readable, and called the callback for nothing. So the tasks here await a _core.Wakeup, which has the
part of a future that tasks use and resumes its task at once.

This module is imported with the package, and asyncio only inside a task of asyncio, where it is imported already. An
import that another thread has begun when the program forks is never finished in the child, and a second import of the
same module waits for it without end. Importing asyncio with the package would make `import framebus` much slower.
"""

from __future__ import annotations

import itertools
import math
import operator
import os
import sys
import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from framebus import _core
from framebus._util import fds
from framebus.frames.frame import Frame

if TYPE_CHECKING:
    import asyncio

Subscriber = _core.SubscriberBase[Frame]
Look = Callable[[], Frame | None]


class FrameWaiters:
    """The tasks that wait for one subscriber, in whatever event loops."""

    def __init__(self) -> None:
        self._readers: dict[asyncio.AbstractEventLoop, Reader] = {}
        self.consecutive = 0  # frames that were there without waiting

    def look_first(self, look: Look) -> Frame | None:
        """Looks without waiting, and counts."""
        view = look()
        self.consecutive = 0 if view is None else self.consecutive + 1
        return view

    def receive(self, subscriber: Subscriber, look: Look, timeout: float | None) -> Coroutine[Any, Any, Frame]:
        """Waits until `look` returns a frame, and returns it.

        Raises what `look` raises, and what recv() raises when `timeout` seconds are over.
        """
        within = self._in_trio if _is_trio() else self._in_asyncio
        return within(subscriber, look, timeout)

    async def checkpoint(self) -> None:
        """Lets other tasks run once; where frames come faster than they are handled, nothing else would."""
        self.consecutive = 0
        if _is_trio():
            import trio

            await trio.lowlevel.checkpoint()
            return
        import asyncio

        try:
            await asyncio.sleep(0)
        except BaseException:
            reader = self._readers.get(asyncio.get_running_loop())
            if reader is not None:
                reader.leave()
            raise

    def close(self) -> None:
        """Forgets all loops; the Reader of a loop that goes on unregisters itself."""
        self._readers.clear()

    async def _in_trio(self, subscriber: Subscriber, look: Look, timeout: float | None) -> Frame:
        import trio

        fd = fds.dup(subscriber.fileno())  # trio lets only one task wait for a descriptor
        try:
            with trio.move_on_after(math.inf if timeout is None else timeout):
                while True:
                    await trio.lowlevel.wait_readable(fd)
                    view = look()
                    if view is not None:
                        return view
        finally:
            os.close(fd)
        return _last_look(subscriber, look, timeout)

    async def _in_asyncio(self, subscriber: Subscriber, look: Look, timeout: float | None) -> Frame:
        import asyncio

        loop = asyncio.get_running_loop()
        reader = self._readers.get(loop) or self._reader_of(loop, subscriber)
        end = math.inf if timeout is None else time.monotonic() + timeout
        turn = next(reader.turns)
        while True:
            wakeup = reader.enter(turn, end)
            try:
                view = look()  # what was there before the reader listened does not wake us
                if view is not None:
                    reader.leave(wakeup, stays=True)
                    return view
                await wakeup
            except BaseException:
                reader.leave(wakeup)
                raise
            view = look()
            if view is not None:
                return view
            if time.monotonic() >= end:
                reader.leave(wakeup)
                return _last_look(subscriber, look, timeout)

    def _reader_of(self, loop: asyncio.AbstractEventLoop, subscriber: Subscriber) -> Reader:
        for other in list(self._readers):
            if other.is_closed():
                self._readers.pop(other, None)
        reader = self._readers[loop] = Reader(loop, _core.Listener(subscriber))
        return reader


class Reader:
    """What one event loop has of a subscriber: a listener, and the tasks that wait for it.

    The listener's descriptor is not reused until the loop has unregistered it. It becomes readable when the subscriber
    is closed, and stays so. Then the tasks are woken, and when none is left the descriptor is unregistered.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: _core.Listener) -> None:
        self._loop = loop
        self._listener = listener
        self._waiting: list[_core.Wakeup] = []  # the same list for good; the loop has it, too
        self._registered = False
        self._idle = False  # the descriptor became readable while no task waited
        self.turns = itertools.count()

    def enter(self, turn: int, end: float) -> _core.Wakeup:
        """Returns what to await, once, after another look; it wakes when time.monotonic() is `end`, or earlier.

        Those with a lower turn are woken first.
        """
        wakeup = _core.Wakeup(self._loop, turn, end)
        if not self._registered:
            self._loop.add_reader(self._listener.fileno(), _core.wake_one, self._waiting, self._tell)
            self._registered = True
        self._waiting.append(wakeup)
        self._idle = False
        self._listener.arm(end if len(self._waiting) == 1 else min(wakeup.end for wakeup in self._waiting))
        return wakeup

    def leave(self, wakeup: _core.Wakeup | None = None, *, stays: bool = False) -> None:
        """For a task that does not wait after all; `wakeup` is what it awaits. `stays`: it is likely to wait again.

        enter() has cleared the descriptor for all tasks, so the others are woken to look.
        """
        if wakeup in self._waiting:
            self._waiting.remove(wakeup)
        if self._waiting:
            self._tell_soon()
        elif not stays:
            self._unregister()

    def _tell(self) -> None:
        """The descriptor is readable, and none or several wait."""
        waiting = sorted(self._waiting, key=_TURN, reverse=True)
        self._waiting.clear()
        if not waiting:
            if self._idle or not self._listener.disarm():
                self._unregister()
            self._idle = True
        try:
            while waiting:
                waiting.pop().wake()
        finally:  # what is none of the task's business, such as KeyboardInterrupt, has come out of it
            if waiting:
                self._waiting += waiting
                self._tell_soon()

    def _tell_soon(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon(self._tell)

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self._listener.disarm()
            fd = self._listener.fileno()
            if fd >= 0 and not self._loop.is_closed():  # in a forked child there is none
                self._loop.remove_reader(fd)


def _last_look(subscriber: Subscriber, look: Look, timeout: float | None) -> Frame:
    frame = look()
    if frame is None:
        assert timeout is not None
        _core.fail_timeout(subscriber, timeout)
    return frame


def _is_trio() -> bool:
    """Whether this task is one of trio; otherwise it is taken for one of asyncio."""
    sniffio = sys.modules.get("sniffio")  # trio imports it
    return sniffio is not None and sniffio.current_async_library() == "trio"


_TURN = operator.attrgetter("turn")
