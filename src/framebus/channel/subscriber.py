# SPDX-License-Identifier: Apache-2.0
"""Subscriber: receives the frames of a channel, and waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from framebus import _core
from framebus._util import names
from framebus._util.deadline import Deadline
from framebus.channel import aio
from framebus.channel.handle import Handle
from framebus.channel.options import DEFAULTS, SubscriberOptions, Wait
from framebus.frames.frame import Frame

_MAX_CONSECUTIVE = 16  # frames that one task may take before others run


class Subscriber(_core.SubscriberBase[Frame], Handle):
    """Receives the frames of a channel. A channel has 64 subscribers at most.

        with framebus.Subscriber("camera0") as sub:
            frame = sub.recv(timeout=1.0)
            print(frame.array.mean())

    Threads may share a Subscriber; each frame goes to one of them. A forked child may not use its parent's.
    """

    def __init__(
        self,
        name: str,
        *,
        every: bool = DEFAULTS.every,
        hold: int = DEFAULTS.hold,
        history: int = DEFAULTS.history,
        connect_timeout: float = DEFAULTS.connect_timeout,
        wait: Wait = DEFAULTS.wait,
        max_spin: float = DEFAULTS.max_spin,
        reconnect: bool = DEFAULTS.reconnect,
    ) -> None:
        """Joins a running channel.

        Args:
            name: the channel.
            every: False: recv() returns the newest frame and skips those before it. True: every frame in order.
            hold: frames this program may hold at once, 1 to 64. A frame is held while the Frame or any array made
                from it exists, so `frame = sub.recv()` in a loop needs 2.
            history: begin that many frames back, 0 to 1024, as far as the channel still has them. With 0 a subscriber
                begins with the newest frame there is, with every=True with the first one published from now on.
            connect_timeout: seconds to wait for a program that publishes the channel.
            wait: "adaptive" spins for some microseconds where that has paid recently and a core is idle, then sleeps;
                "park" sleeps; "spin" occupies a core for the lowest latency; "predictive" learns when the next frame is
                due, sleeps until shortly before that, then spins, and sleeps where frames come without a rhythm.
            max_spin: seconds that one wait may spin, 0 to 1, where wait is "adaptive" or "predictive"; these never
                spin for more than 20 microseconds and a quarter of the period between frames. What was spent is
                statistics().spun_s.
            reconnect: go on with the next publisher when this one closes or dies.

        Raises:
            ChannelNotFound: no program publishes it; the message names the channels that run.
            InvalidName: not a channel name.
            ValueError: hold, history, connect_timeout, wait or max_spin out of range.
            LayoutMismatch, CorruptChannel, PermissionDenied: the channel is there but can't be used.
        """
        names.channel(name)
        options = vars(SubscriberOptions(every, hold, history, connect_timeout, wait, max_spin, reconnect))
        _core.SubscriberBase.__init__(self, name, **options)
        Handle.__init__(self, name, options)
        self._waiters: aio.FrameWaiters | None = None

    async def recv_async(self, timeout: float | None = None) -> Frame:
        """Does what recv() does in an event loop of asyncio or trio: other tasks run meanwhile. Raises as recv() does.

        Cancelling it takes no frame. Of several tasks that wait, each frame goes to one.
        """
        if timeout is not None:
            Deadline(timeout)  # refuses what is not a timeout
        waiters = self._waiters or self._make_waiters()
        if waiters.consecutive >= _MAX_CONSECUTIVE:
            await waiters.checkpoint()  # before the look: who is cancelled here has not taken a frame
        look = super().try_recv
        frame = waiters.look_first(look)
        if frame is None:
            frame = await waiters.receive(self, look, timeout)
        return frame

    def close(self) -> None:
        """Leaves the channel. Frames and arrays that are kept stay valid. May be repeated."""
        self._leave()
        if self._waiters is not None:
            self._waiters.close()

    def __aiter__(self) -> AsyncIterator[Frame]:
        """Frames until the publisher closes the channel; other tasks run meanwhile."""
        return self

    async def __anext__(self) -> Frame:
        waiters = self._waiters or self._make_waiters()
        if waiters.consecutive >= _MAX_CONSECUTIVE:
            await waiters.checkpoint()  # as in recv_async()
        frame = waiters.look_first(self._try_next)
        if frame is None:
            frame = await waiters.receive(self, self._try_next, None)
        return frame

    def _make_waiters(self) -> aio.FrameWaiters:
        self._waiters = aio.FrameWaiters()
        return self._waiters
