# SPDX-License-Identifier: Apache-2.0
"""Keeps the first frame while program B starts.

Promise: a B that asks for history, however little, begins with the frame at which it was started, however many frames
program A has sent by then. A pin is an observer of the channel, in no count, that holds this frame; a subscriber
with history=1 or more that comes meanwhile begins with it (see Fetcher in include/framebus/core/fetcher.hpp). One slot
is kept; with every=True so are all frames after it, as far as the publisher's on_full lets a lagging subscriber keep
them.
"""

from __future__ import annotations

from framebus import _core
from framebus._util import names


class FirstFramePin:
    """One place in a channel, with the newest frame in it."""

    def __init__(self, name: str, every: bool, connect_timeout: float = 0.0) -> None:
        """Joins the channel. Raises what Subscriber() raises."""
        self._channel = _core.Subscriber(
            names.channel(name),
            every=every,
            hold=1,
            history=1,
            connect_timeout=connect_timeout,
            wait="park",
            max_spin=0.0,
            reconnect=True,
            observer=True,
            keeper=True,
        )
        self._frame: _core.FrameBase | None = None

    def keep(self, timeout: float | None) -> None:
        """Waits for a frame and keeps it. Raises Timeout."""
        self._frame = self._channel.recv(timeout)

    def release(self) -> None:
        """Gives the frame back and leaves the channel. May be repeated."""
        self._frame = None
        self._channel.close()
