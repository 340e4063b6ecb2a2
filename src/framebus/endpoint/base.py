# SPDX-License-Identifier: Apache-2.0
"""BaseSource and BaseSink: what sources and sinks of all mechanisms share.

A mechanism's source writes _receive(), its sink _send(), and either one _close() where there is something to close.

How things end, for every source:
    nothing came in time        Timeout
    the other end closed        ChannelClosed, after all that it sent has been received, where the mechanism can tell
                                (Capabilities.notices_close), else Timeout
    the other end died          PublisherDied where the mechanism can tell (Capabilities.notices_death), else Timeout
    what came is no frame       counted in `refused` and skipped where the next one can be found, else EndpointError
    this end was closed         ChannelClosed

No endpoint drops anything silently: its Capabilities say what a mechanism can carry, and it refuses everything else
with EndpointError, unless the option `lossy` of its sink allows to leave it out. What a
source says of its own about a frame, such as the file that it comes from, is not the user's: the source passes it as
`origin` to Frame(); it is read as metadata, carried where metadata are, and left out elsewhere.

An end is closed when nobody refers to it any more, or the program ends, so that the other ends see an end, and not a
death. Programs that end by a signal or os._exit() skip this, and so do forked children for what their parent opened.
A forked child has only the thread that forked: what it inherits gets new locks, and waits for nobody.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import TypeVar

from framebus._util import fds, lifetime
from framebus._util.deadline import Deadline
from framebus._util.exhausted import descriptors_told
from framebus.endpoint.spec import Capabilities, EndpointStatistics
from framebus.errors import ChannelClosed, EndpointError, Timeout
from framebus.frames import metadata
from framebus.frames.frame import Frame
from framebus.frames.outgoing import OutgoingFrame, outgoing_frame

Self = TypeVar("Self", bound="_End")


class _End:
    """What sources and sinks of all mechanisms have in common."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._closed = False
        self._statistics = EndpointStatistics()
        self._opened_by: int | None = None  # the process that has to close it, once it is open
        lifetime.make_locks_of(self)

    def _make_locks(self) -> None:
        """Makes the locks that are used without asking first which process this is; see lifetime.make_locks_of()."""
        self._counting = threading.Lock()
        self._busy = threading.RLock()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def statistics(self) -> EndpointStatistics:
        """Returns what this end has done; also after close()."""
        return self._statistics

    def close(self) -> None:
        """Lets go of it. May be repeated."""
        with self._counting:
            closed, self._closed = self._closed, True
        if not closed:
            self._close()

    def _close(self) -> None:
        """Closes what the mechanism has open; called once."""

    def __del__(self) -> None:
        if self._is_left_to_us():
            self.close()

    def _is_left_to_us(self) -> bool:
        return getattr(self, "_opened_by", None) == os.getpid()

    def _check_open(self) -> None:
        if self._closed:
            raise ChannelClosed(f"this end of {self.url!r} is closed; open another one")

    def _count(self, frames: int = 0, size: int = 0, dropped: int = 0, refused: int = 0) -> None:
        with self._counting:
            now = self._statistics
            self._statistics = replace(
                now,
                frames=now.frames + frames,
                bytes=now.bytes + size,
                dropped=now.dropped + dropped,
                refused=now.refused + refused,
            )

    @contextmanager
    def _turn(self, deadline: Deadline) -> Iterator[None]:
        """Lets one thread at a time use the mechanism. Raises Timeout where the others take too long.

        The thread that is inside may come in again, so that a signal handler can close what it interrupted.
        """
        left = deadline.left()
        busy = self._busy  # a signal handler that runs meanwhile may fork
        if not busy.acquire(timeout=-1 if left is None else left):
            raise deadline.fail(f"other threads kept {self.url!r} busy")
        try:
            yield
        finally:
            busy.release()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url!r}{' closed' if self._closed else ''}>"


_open: weakref.WeakSet[_End] = weakref.WeakSet()


def close_when_left(end: object) -> None:
    """Has an end that has been opened closed when it is left open; a channel, which is no _End, sees to that itself."""
    if isinstance(end, _End):
        end._opened_by = os.getpid()
        _open.add(end)
        lifetime.something_is_open()


@lifetime.at_exit
def _close_all() -> None:
    with ExitStack() as closing:  # closes all, also where one fails
        for end in list(_open):
            if end._is_left_to_us():
                closing.callback(end.close)


class BaseSource(_End, ABC):
    """A source of one mechanism: it writes _receive(), and _close() where there is something to close."""

    def recv(self, timeout: float | None = None) -> Frame:
        """Returns the next frame and waits for it at most `timeout` seconds, None for ever.

        Raises:
            Timeout: nothing came in time.
            ChannelClosed: the other end, or this one, was closed.
            PublisherDied: the other end died, where the mechanism can tell.
            EndpointError: what came is no frame, or the mechanism failed.
            SystemFailure: this program has no file descriptors left.
            ValueError: a negative timeout.
        """
        self._check_open()
        fds.fill_standard()  # what the mechanism opens now, in here or in a thread of its own, stays off 0, 1 and 2
        with descriptors_told(f"{self.url!r} failed"):
            frame = self._receive(Deadline(timeout))
        self._count(1, sum(array.nbytes for array in frame.arrays.values()))
        return frame

    def try_recv(self) -> Frame | None:
        """Returns the next frame, or None where there is nothing new. Raises as recv() does."""
        try:
            return self.recv(0)
        except Timeout:
            return None

    @abstractmethod
    def _receive(self, deadline: Deadline) -> Frame:
        """The next frame. Raises as recv() does; Ctrl-C must end it at once."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the other end closes; waits for each."""
        while True:
            try:
                frame = self.recv()
            except ChannelClosed:
                return
            yield frame


class BaseSink(_End, ABC):
    """A sink of one mechanism: it writes _send(), and _close() where there is something to close."""

    capabilities = Capabilities()
    lossy = False  # may leave out what the mechanism cannot carry

    def send(
        self,
        image: object,
        *,
        meta: Mapping[str, object] | None = None,
        pixel_format: str | None = None,
        timeout: float | None = None,
        timestamp_ns: int | None = None,
        wall_time_ns: int | None = None,
        seq: int | None = None,
    ) -> int:
        """Hands over one frame and returns its sequence number.

        Args:
            image: as for Publisher.send(): an array, a buffer, or a dict of 1 to 8 of them by name.
            meta: JSON values by str keys.
            pixel_format: a PFNC name such as "BGR8".
            timeout: seconds to wait for room, None for ever.
            timestamp_ns: when it was captured, CLOCK_MONOTONIC; None for now.
            wall_time_ns: the same by the wall clock; None for now.
            seq: its number where it comes from another source; None counts on from the last.

        Raises:
            TypeError, ValueError: no array, or something that JSON or PFNC does not know.
            EndpointError: something that this mechanism cannot carry, or the mechanism failed.
            SystemFailure: this program has no file descriptors left; nothing was sent.
            Timeout: there was no room in time.
            ChannelClosed: this end was closed, or nobody is left at the other one.
        """
        self._check_open()
        fds.fill_standard()  # as in BaseSource.recv()
        deadline = Deadline(timeout)
        frame = outgoing_frame(
            image,
            self._last_seq + 1 if seq is None else seq,
            time.monotonic_ns() if timestamp_ns is None else timestamp_ns,
            time.time_ns() if wall_time_ns is None else wall_time_ns,
            meta,
            pixel_format,
        )
        self._check_able(frame)
        with descriptors_told(f"{self.url!r} failed"):
            self._send(frame, deadline)
        self._last_seq = frame.seq
        self._count(1, sum(array.nbytes for array in frame.arrays.values()))
        return frame.seq

    _last_seq = 0

    @abstractmethod
    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        """Hands over one frame. Raises as send() does; Ctrl-C must end it at once."""

    def _check_able(self, frame: OutgoingFrame) -> None:
        """Refuses what the mechanism cannot carry, unless it may be left out."""
        able, size = self.capabilities, sum(array.nbytes for array in frame.arrays.values())
        if able.max_bytes is not None and size > able.max_bytes:
            raise EndpointError(
                f"{self.url!r} carries frames of at most {able.max_bytes} bytes, got {size}; send a smaller image"
            )
        if self.lossy:
            return
        lost = [
            what
            for what, is_lost in (
                (f"{len(frame.arrays)} arrays", len(frame.arrays) > 1 and able.arrays == "one"),
                ("metadata", not able.meta and bool(metadata.of_the_user(frame.meta))),
                (f"pixel format {frame.pixel_format}", frame.pixel_format is not None and able.pixel_format == "none"),
            )
            if is_lost
        ]
        if lost:
            raise EndpointError(
                f"{self.url!r} can't carry {' and '.join(lost)}; send one plain image, or open it with ?lossy to leave "
                "out what it can't carry"
            )
