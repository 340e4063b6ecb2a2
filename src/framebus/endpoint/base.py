# SPDX-License-Identifier: Apache-2.0
"""BaseSource and BaseSink: what sources and sinks of all mechanisms share.

A mechanism's source writes _receive(), its sink _send(), and either one _close() where there is something to close.
Each of these is called with the lock of its source or sink held, so no two threads are inside one at the same time. The
thread that holds the lock may enter again, so that a signal handler can close what it has interrupted: after it waited,
a mechanism looks at `closed` before it uses what _close() has closed. close() waits until the thread that is inside has
left: a wait without end looks at `closed` at least every second, or is ended by _cancel().

How things end, for every source:
    nothing came in time        Timeout
    the other end closed        ChannelClosed, after all that it sent has been received, where the mechanism can tell
                                (Capabilities.notices_close), else Timeout
    the other end died          PublisherDied where the mechanism can tell (Capabilities.notices_death), else Timeout
    what came is not a frame    counted in `refused` and skipped where the next one can be found, else EndpointError
    it was closed here          ChannelClosed

No endpoint drops anything silently: its Capabilities say what a mechanism can carry, and it refuses everything else
with EndpointError, unless the option `lossy` of its sink allows to leave it out. What a source itself says about a
frame, such as the file that it comes from, is not the user's: the source passes it as `origin` to Frame(). It is read
as metadata, carried where metadata are, and left out elsewhere.

A source or sink is closed when no reference to it is left, or the program ends, so that its peers see a close and
not a death. Programs that end by a signal or os._exit() skip this, and so do forked children for what their parent
opened.
A forked child has only the thread that forked: what it inherits gets new locks, and waits for no thread.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from framebus._util import deprecated, fds, lifetime
from framebus._util.closable import Closable, OpenObjects
from framebus._util.deadline import Deadline, acquire
from framebus._util.exhausted import descriptors_told
from framebus.endpoint.spec import Capabilities, EndpointStatistics
from framebus.errors import ChannelClosed, EndpointError, Timeout
from framebus.frames import metadata
from framebus.frames.frame import Frame
from framebus.frames.outgoing import OutgoingFrame, outgoing_frame


class _End(Closable):
    """What sources and sinks of all mechanisms have in common."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._closed = False
        self._close_once = iter((True,))  # taken by the one call that closes it
        self._statistics = EndpointStatistics()
        lifetime.make_locks_of(self)

    def _make_locks(self) -> None:
        """Makes the locks, for this process or a forked child; see lifetime.make_locks_of()."""
        self._counting = threading.RLock()
        self._busy = threading.RLock()

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def statistics(self) -> EndpointStatistics:
        """Returns what this end has done; also after close()."""
        return self._statistics

    def close(self) -> None:
        """Closes it, once a call that another thread is inside has ended. May be repeated."""
        self._closed = True
        if next(self._close_once, False):
            self._cancel()
            with self._busy:
                self._close()

    def _cancel(self) -> None:
        """Ends the waiting of a call that is inside. Needed by a mechanism that does not look at `closed` meanwhile."""

    def _close(self) -> None:
        """Closes what the mechanism has open; called once, while no other thread is inside."""

    def __del__(self) -> None:
        if self._is_left_to_us():
            self.close()

    def _shown_name(self) -> str:
        return self.url

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

    def _enter(self, deadline: Deadline) -> threading.RLock:
        """Takes the lock and returns it. Raises Timeout where other threads keep it too long, ChannelClosed.

        The thread that has it may enter again, so that a signal handler can close what it interrupted.
        """
        self._check_open()
        fds.fill_standard()  # what the mechanism opens now, in here or in a thread of its own, stays off 0, 1 and 2
        busy = self._busy  # the very lock to release: a signal handler that runs meanwhile may fork
        if not acquire(busy, deadline):
            raise deadline.fail(f"other threads kept {self.url!r} busy")
        if self._closed:
            busy.release()
            self._check_open()
        return busy


_open = OpenObjects()
lifetime.at_exit(_open.close_all)


def close_when_left(end: object) -> None:
    """Has an end that has been opened closed when it is left open; a channel, which is no _End, sees to that itself."""
    if isinstance(end, _End):
        _open.add(end)


class BaseSource(_End, ABC):
    """A source of one mechanism: it writes _receive(), and _close() where there is something to close.

    Attributes:
        before_frame: called by recv() shortly before a frame comes, by a source that knows when that is; None for
            nothing. relay() sets it to the warm_up() of its sink, other programs to that of their Publisher.
    """

    before_frame: Callable[[], object] | None = None

    def recv(self, timeout: float | None = None) -> Frame:
        """Returns the next frame and waits for it at most `timeout` seconds; None: no limit.

        Raises:
            Timeout: nothing came in time.
            ChannelClosed: the other end, or this one, was closed.
            PublisherDied: the other end died, where the mechanism can tell.
            EndpointError: what came is not a frame, or the mechanism failed.
            SystemFailure: this program has no file descriptors left.
            ValueError: a negative timeout.
        """
        deadline = Deadline(timeout)
        busy = self._enter(deadline)
        try:
            with descriptors_told(f"{self.url!r} failed"):
                frame = self._receive(deadline)
        finally:
            busy.release()
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
    abilities = deprecated.attribute("abilities", "capabilities")
    lossy = False  # may leave out what the mechanism cannot carry

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "abilities" in vars(cls):
            deprecated.warn(f"{cls.__name__}.abilities", "capabilities", above=2)  # ABCMeta is between
            cls.capabilities = cls.abilities
            del cls.abilities

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
            timeout: seconds to wait for room; None: no limit.
            timestamp_ns: when it was captured, CLOCK_MONOTONIC; None for now.
            wall_time_ns: the same by the wall clock; None for now.
            seq: its number where it comes from another source; None counts on from the last.

        Raises:
            TypeError, ValueError: no array, or something that JSON or PFNC does not know.
            EndpointError: something that this mechanism cannot carry, or the mechanism failed.
            SystemFailure: this program has no file descriptors left; nothing was sent.
            Timeout: there was no room in time.
            ChannelClosed: it was closed here, or no receiver is left.
        """
        deadline = Deadline(timeout)
        timestamp_ns = time.monotonic_ns() if timestamp_ns is None else timestamp_ns
        wall_time_ns = time.time_ns() if wall_time_ns is None else wall_time_ns
        busy = self._enter(deadline)
        try:
            seq = self._last_seq + 1 if seq is None else seq
            frame = outgoing_frame(image, seq, timestamp_ns, wall_time_ns, meta, pixel_format)
            self._check_able(frame)
            with descriptors_told(f"{self.url!r} failed"):
                self._send(frame, deadline)
            self._last_seq = frame.seq
        finally:
            busy.release()
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
