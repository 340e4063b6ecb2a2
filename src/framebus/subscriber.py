# SPDX-License-Identifier: Apache-2.0
"""Program B: Subscriber."""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from framebus import _core
from framebus.frame import Frame, frame_of
from framebus.statistics import Statistics

if TYPE_CHECKING:
    import asyncio

Wait = Literal["adaptive", "park", "spin", "predictive"]
_WAIT = ("adaptive", "park", "spin", "predictive")

_open: weakref.WeakSet[Subscriber] = weakref.WeakSet()


class Subscriber:
    """The receiving end of a channel. There can be 64 of them.

        with framebus.Subscriber("camera0") as sub:
            frame = sub.recv(timeout=1.0)
            print(frame.array.mean())

    Threads may share a Subscriber; each frame goes to one of them. A forked child may not use its parent's.
    """

    def __init__(
        self,
        name: str,
        *,
        every: bool = False,
        hold: int = 2,
        history: int = 0,
        connect_timeout: float = 0.0,
        wait: Wait = "adaptive",
        reconnect: bool = True,
    ) -> None:
        """Joins a running channel.

        Args:
            name: the channel.
            every: False: recv() gives the newest frame and skips what lies between. True: every frame in order.
            hold: frames this program may hold at once, 1 to 64. A frame is held while the Frame or any array made
                from it exists, so `frame = sub.recv()` in a loop needs 2.
            history: begin that many frames back, 0 to 1024, as far as the channel still has them. With 0 a subscriber
                begins with the newest frame there is, with every=True with the first one published from now on.
            connect_timeout: seconds to wait for a program that publishes the channel.
            wait: "adaptive" spins for some microseconds while that pays, then sleeps; "park" sleeps; "spin" burns a
                core for the lowest latency; "predictive" sleeps until shortly before the next frame is due, then spins.
            reconnect: go on with the next publisher when this one closes or dies.

        Raises:
            ChannelNotFound: nobody publishes it; the message names the channels that run.
            InvalidName: not a channel name.
            ValueError: hold, history, connect_timeout or wait out of range.
            LayoutMismatch, CorruptChannel, PermissionDenied: the channel is there but can't be used.
        """
        if wait not in _WAIT:
            raise ValueError(f"wait must be one of {', '.join(map(repr, _WAIT))}, got {wait!r}")
        _check_range("hold", hold, 1, 64)
        _check_range("history", history, 0, 1024)
        self._options: dict[str, Any] = {
            "every": every,
            "hold": hold,
            "history": history,
            "connect_timeout": connect_timeout,
            "wait": wait,
            "reconnect": reconnect,
        }
        self._name = name
        self._core = _core.Subscriber(name, every, hold, history, connect_timeout, wait, reconnect, False)
        _open.add(self)

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._core.is_closed()

    def recv(self, timeout: float | None = None) -> Frame:
        """Returns the next frame and waits for it, other Python threads running, at most `timeout` seconds.

        Raises:
            Timeout: nothing new came in time.
            TooManyHeld: this program already holds `hold` frames.
            ChannelClosed: the publisher closed the channel (with reconnect=True: and no other came in time), or this
                Subscriber was closed.
            PublisherDied: it died, and reconnect=False.
            CorruptChannel: what is in shared memory is no frame; the next call goes on after it.
            ValueError: a negative timeout.
        """
        return frame_of(self._core.recv(timeout))

    def try_recv(self) -> Frame | None:
        """Returns the next frame, or None when there is nothing new. Never waits. Raises as recv() does."""
        view = self._core.try_recv()
        return None if view is None else frame_of(view)

    def fileno(self) -> int:
        """A descriptor that becomes readable when there may be something new; then call try_recv() until it is None.

        For select, selectors, asyncio and the like. It belongs to this Subscriber and must not be read or closed.
        """
        return self._core.fileno()

    def statistics(self) -> Statistics:
        """Returns counts and figures; also after close()."""
        return Statistics(**self._core.statistics())

    def close(self) -> None:
        """Leaves the channel. Frames and arrays that are kept stay valid. May be repeated."""
        self._core.close()

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the publisher closes the channel; waits for each."""
        return self

    def __next__(self) -> Frame:
        view = self._core.next()
        if view is None:
            raise StopIteration
        return frame_of(view)

    def __aiter__(self) -> AsyncIterator[Frame]:
        """Frames until the publisher closes the channel; other tasks run meanwhile."""
        return self

    async def __anext__(self) -> Frame:
        import asyncio

        while True:
            ended = self._core.is_ended()
            view = self._core.try_recv()
            if view is not None:
                return frame_of(view)
            if ended:
                raise StopAsyncIteration
            await _readable(asyncio.get_running_loop(), self._core.fileno())

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Subscriber {self._name!r}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._name, self._options)


async def _readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    future: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    loop.add_reader(fd, wake)
    try:
        await future
    finally:
        loop.remove_reader(fd)


def close_all() -> None:
    """Closes what the program left open; called at exit, so that the last one out removes the files."""
    for subscriber in list(_open):
        subscriber.close()


def _reopen(name: str, options: dict[str, Any]) -> Subscriber:
    return Subscriber(name, **options)


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int from {least} to {most}, got {value!r} ({type(value).__name__})")
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least} to {most}, got {value}")
