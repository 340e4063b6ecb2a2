# SPDX-License-Identifier: Apache-2.0
"""What Writer and Reader have in common: a place, a life, deadlines, and how they travel to another process.

Life: a call marks the place as in use; close() forbids further calls and leaves the place to the last call that is
still inside. So close() never waits, and nothing is taken away under a thread that uses it. An end that was forgotten
is closed when it is collected or the process ends. A forked child is refused what it inherited.

Waiting: in slices of at most 50 ms, on the monotonic clock. After each the signals are looked at (Ctrl-C), whether this
end was closed, and whether the names still lead to this place.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from framebus._util import lifetime
from framebus._util.closable import OpenObjects, Reopenable
from framebus._util.deadline import Deadline
from framebus.baseimage.layout import check_name
from framebus.baseimage.place import Place
from framebus.errors import ChannelClosed, ForkedChild

SLICE_S = 0.05
_SPINS = 20  # looks without a pause before a poll begins to sleep
_LONGEST_PAUSE_S = 0.002


class _Hold:
    """The place, and how many calls are inside.

    A signal handler may enter, leave or close where it interrupts one of these methods: the lock lets its thread in
    again, `_inside` is raised before `closed` is read, and the place is closed once, by the last that leaves.
    """

    def __init__(self, place: Place, keep: bool) -> None:
        self.place: Place = place
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self._keep = keep
        self._inside = 0
        self._retired: list[Place] = []
        self._closing = iter((True,))  # taken by the one call that closes the place
        self.closed = False

    def enter(self, who: str) -> None:
        if os.getpid() != self.pid:
            raise ForkedChild(
                f"{who} belongs to process {self.pid}, and this is a forked child of it; open another one here"
            )
        with self.lock:
            self._inside += 1
        if self.closed:
            self.leave()
            raise ChannelClosed(f"{who} has been closed; open another one")

    def leave(self) -> None:
        with self.lock:
            self._inside -= 1
            unused: list[Place] = []
            with suppress(IndexError):  # where there is none left, perhaps since a signal handler took it
                while self._inside == 0:
                    unused.append(self._retired.pop())
        for place in unused:
            place.close(keep=True)
        self._close_if_unused()

    def replace(self, open_place: Callable[[], Place]) -> None:
        """Goes on with another place; the old one is closed when no thread is inside any more."""
        with self.lock:
            new = open_place()
            self._retired.append(self.place)
            self.place = new

    def close(self) -> None:
        if os.getpid() != self.pid:
            return  # the parent's
        self.closed = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        with self.lock:
            is_last = self.closed and self._inside == 0
        if is_last and next(self._closing, False):
            self.place.close(self._keep)


class End(Reopenable):
    """Base of Writer and Reader; not for users."""

    def __init__(self, name: str, open_place: Callable[[], Place], keep: bool, options: dict[str, Any]) -> None:
        super().__init__(check_name(name), {"keep": keep, **options})
        self._open_place = open_place
        self._hold = _Hold(open_place(), keep)
        _open.add(self)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._hold.closed

    def close(self) -> None:
        """Leaves; the last program out removes the memory and the event. May be repeated."""
        self._hold.close()

    def __del__(self) -> None:
        if self._is_left_to_us():
            self.close()

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Keeps the place open in this block. Raises ChannelClosed, or ForkedChild in a forked child."""
        hold = self._hold
        hold.enter(repr(self))
        try:
            yield
        finally:
            hold.leave()

    def _check_open(self) -> None:
        if self._hold.closed:
            raise ChannelClosed(f"{self!r} has been closed while it waited")

    def _poll(self, ready: Callable[[], bool], deadline: Deadline, on_slice: Callable[[], object]) -> bool:
        """Polls until it is `ready`, less and less often; False at the deadline. For what is not signalled."""
        slice_ends, pause = 0.0, 0.0
        for looks in range(1 << 62):
            if ready():
                return True
            now = time.monotonic()
            if now >= slice_ends:
                self._check_open()
                on_slice()
                slice_ends = now + SLICE_S
            if deadline.is_over:
                return False
            if looks >= _SPINS:
                pause = min(_LONGEST_PAUSE_S, pause + 2e-5)
            time.sleep(deadline.slice(pause))
        return False

    def __repr__(self) -> str:
        return f"<baseimage.{super().__repr__()[1:]}"


_open = OpenObjects()
lifetime.at_exit(_open.close_all)
