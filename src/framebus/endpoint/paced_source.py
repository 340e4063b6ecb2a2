# SPDX-License-Identifier: Apache-2.0
"""PacedSource: base of the sources that make their own frames, from a file or by computation, and return them in time.

Such a source has no sender: a frame is made when it is asked for, and waits until it is due. Its timestamps are that
moment, on both clocks. Those of the first frame are when it was ready; the others lie as far after it as their times
say, also where frames are returned as fast as they are asked for. No frame is left out: late frames follow directly
after each other.

Threads may share such a source; each frame goes to one of them. close() from another thread ends a wait at once, and
closes nothing that is in use.
"""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from typing import Any

from framebus.endpoint import Arrays, BaseSource, Deadline
from framebus.endpoint.pace import WARM_UP_S
from framebus.errors import ChannelClosed
from framebus.frames.frame import Frame


class PacedSource(BaseSource):
    """A source that makes frames: it writes _make(), and _let_go() where there is something to close."""

    def __init__(self, url: str, *, waits: bool) -> None:
        """`waits` says whether a frame is kept back until it is due."""
        super().__init__(url)
        self._waits = waits
        self._origin: tuple[int, int] | None = None  # both clocks at the first frame
        self._ready: Frame | None = None
        self._is_warm = False  # before_frame was called for `_ready`
        self._last_seq = 0

    @abstractmethod
    def _make(self) -> Frame:
        """Returns the next frame, made by _frame(). Raises ChannelClosed after the last one."""

    def _let_go(self) -> None:
        """Closes what is open; called once, while no frame is being made."""

    def _make_locks(self) -> None:
        super()._make_locks()
        self._stop = threading.Event()

    def _moment(self, time_s: float | None) -> tuple[int, int]:
        """Returns both timestamps of a frame due `time_s` seconds after the first one; of None, now."""
        now = time.monotonic_ns(), time.time_ns()
        if time_s is None:
            return now
        if self._origin is None:
            since = round(time_s * 1e9)
            self._origin = now[0] - since, now[1] - since
        return self._origin[0] + round(time_s * 1e9), self._origin[1] + round(time_s * 1e9)

    def _frame(
        self,
        arrays: Arrays,
        moment: tuple[int, int],
        meta: dict[str, Any] | None = None,
        pixel_format: str | None = None,
        origin: dict[str, Any] | None = None,
    ) -> Frame:
        """Returns the next frame of these; it is due when its timestamp says. `origin` is the source's bookkeeping."""
        self._last_seq += 1
        return Frame(
            arrays,
            seq=self._last_seq,
            timestamp_ns=moment[0],
            wall_time_ns=moment[1],
            meta=meta,
            origin=origin,
            pixel_format=pixel_format,
        )

    def _receive(self, deadline: Deadline) -> Frame:
        while True:
            if self._ready is None:
                self._ready, self._is_warm = self._make(), False
            frame = self._ready
            self._wait_for(frame, deadline)
            self._check_open()
            if self._ready is frame:  # before_frame may have received it
                self._ready = None
                return frame

    def _wait_for(self, frame: Frame, deadline: Deadline) -> None:
        while self._waits:
            early_s = (frame.timestamp_ns - time.monotonic_ns()) / 1e9
            if early_s <= 0:
                return
            left = deadline.left()
            if left == 0:
                raise deadline.fail(f"the next frame of {self.url!r} is due in {early_s:.3f} s, and not")
            pause_s = early_s
            before_frame = None if self._is_warm else self.before_frame
            if before_frame is not None and early_s > 2 * WARM_UP_S:
                pause_s -= WARM_UP_S
            elif before_frame is not None and early_s > WARM_UP_S / 2:
                self._is_warm = True
                before_frame()
                self._check_open()
                if self._ready is not frame:
                    return
                continue
            if self._stop.wait(min(pause_s, threading.TIMEOUT_MAX) if left is None else min(pause_s, left)):
                raise ChannelClosed(f"{self.url!r} was closed while the next frame was waited for")

    def _cancel(self) -> None:
        self._stop.set()

    def _close(self) -> None:
        self._ready = None
        self._let_go()
