# SPDX-License-Identifier: Apache-2.0
"""Holds the first frame while the subscriber's program starts.

Promise: a launched program that asks for any history begins with the frame at which it was started, however many frames
the publisher has sent by then. A pin is an observer of the channel that appears in no count and holds this frame. A
subscriber with history=1 or more that attaches meanwhile begins with it (see Fetcher in
include/framebus/core/fetcher.hpp). One slot is held. With every=True so are all frames after it, as far as the
publisher's on_full lets a lagging subscriber keep them.
"""

from __future__ import annotations

from framebus import _core
from framebus._util import names


class FirstFramePin:
    """An observer of a channel that holds one frame."""

    def __init__(self, name: str, every: bool, connect_timeout: float = 0.0) -> None:
        """Attaches to the channel. Raises what Subscriber() raises."""
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
        """Waits for a frame and holds it. Raises Timeout."""
        self._frame = self._channel.recv(timeout)

    def release(self) -> None:
        """Releases the frame and detaches. May be repeated."""
        self._frame = None
        self._channel.close()
