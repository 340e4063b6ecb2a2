# SPDX-License-Identifier: Apache-2.0
"""Receiver.each() for peers that call back in a thread of their own: the frame is looked at there, without a detour."""

from __future__ import annotations

import threading

from benchmarks.peers.peer import Image, Look


class CalledBack:
    def __init__(self) -> None:
        self._look: Look | None = None
        self._came = False
        self._done = threading.Event()

    def show(self, image: Image) -> None:
        """What the callback does."""
        self._came = True
        if self._look is not None and self._look(image):
            self._done.set()

    def each(self, look: Look, timeout: float) -> None:
        self._done.clear()
        self._look = look
        while not self._done.wait(timeout) and self._came:
            self._came = False
