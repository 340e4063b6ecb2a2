# SPDX-License-Identifier: Apache-2.0
"""Holds the first frame while the subscriber's program starts.

Promise: a launched program that subscribes with history=1 or more first gets the frame that triggered its start,
however many frames the publisher has sent by then. The pin is a reader that holds this frame and is left out of all
counts of subscribers. A subscriber with history=1 or more that attaches before the pin is closed begins with the pinned
frame (see Fetcher in include/framebus/core/fetcher.hpp). The pin holds one slot. With every=True it also holds all
later frames, as far as the publisher's on_full allows that for a slow subscriber.
"""

from __future__ import annotations

from framebus import _core
from framebus._util import names


class FirstFramePin:
    """An observer of a channel that holds one frame."""

    def __init__(self, name: str, every: bool, connect_timeout: float = 0.0) -> None:
        """Attaches to the channel. Raises what Subscriber() raises."""
        self._channel: _core.SubscriberBase[_core.FrameBase] = _core.SubscriberBase(
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
        """Waits for a frame and holds it. Raises Timeout."""
        self._frame = self._channel.recv(timeout)

    def release(self) -> None:
        """Releases the frame and detaches. May be repeated."""
        self._frame = None
        self._channel._leave()
