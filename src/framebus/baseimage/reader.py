# SPDX-License-Identifier: Apache-2.0
"""Reader: receives images that programs with the original layout write.

There is no lock and no number in the layout, so a frame is copied and then compared with the memory once more. Equal
means: at the moment between the two the memory was exactly this copy (unless a byte changed and changed back). That is
a whole frame unless the writer was in the middle of writing at that moment and changed nothing that shows from the
first look at a byte to the second: it did not run (stopped, killed, not scheduled) or wrote what was there already.
A Writer of framebus holds a lock while it writes, so at that very moment the Reader asks for it, and sees one that is
stopped; but not one that was killed. A stopped foreign writer can't be detected; settle= makes the Reader wait for one
that will go on.

If the copy is not equal, or the lock is held, the writer has begun the next frame. It will set the event when it is
done, so the Reader waits for that and takes the next frame instead, which costs nothing but a frame that was just lost.
If that happens more often than `retries` times in a row, the writer is too fast for this layout, and on_torn= says what
to do. A writer that finishes a frame between the event and the copy sets the event again, so that frame comes twice.

acknowledge="after" with a Writer that waits for its reader: the Reader copies while the event is set and resets it
afterwards, the Writer writes only while it is not set. So never both at the same time, whatever is killed in between:
event not set, the frame is the Writer's, and was not announced if it dies; set, the frame is whole, and the
next Reader takes it if this one dies. To look at an event without taking it means to poll it, up to 500 times a second.

Concurrency: threads that share a Reader get different frames; numbers and counts are under one lock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus._util.checks import check_choice, check_range
from framebus._util.deadline import Deadline
from framebus.baseimage.end import SLICE_S, End
from framebus.baseimage.layout import HEADER, STRIDES, Geometry, parse
from framebus.baseimage.place import Place, system
from framebus.errors import ChannelNotFound, CorruptChannel, Timeout
from framebus.frames import pixel_format as formats
from framebus.frames.frame import Frame

_CONNECT_PAUSE_S = 0.01
_HEADER_LOOKS = 10  # at a header that is not an image and changes


@dataclass(frozen=True)
class ReaderStatistics:
    """What a Reader has done so far.

    Attributes:
        frames: frames returned.
        bytes: bytes of their pixels.
        retries: copies that were given up for the next frame because it was written meanwhile.
        torn_suspected: frames into which the next was, perhaps, written while they were copied, and that were returned
            (with a mark) or refused all the same, since `retries` had been used up.
        stale: events that were set before this Reader came, and passed over (fresh=True).
        empty: events without a frame: the memory was all zeros.
        corrupt: headers that contradicted themselves.
        reopened: how often the memory or the event was made again by others, and found again.
    """

    frames: int = 0
    bytes: int = 0
    retries: int = 0
    torn_suspected: int = 0
    stale: int = 0
    empty: int = 0
    corrupt: int = 0
    reopened: int = 0


class _Copy(NamedTuple):
    """Pixels that were copied, and whether something was, perhaps, written meanwhile."""

    geometry: Geometry
    pixels: NDArray[np.uint8]
    changed: bool
    timestamp_ns: int
    wall_time_ns: int


class Reader(End):
    """Receives frames from a base image.

        with framebus.baseimage.Reader("BaseImage") as reader:
            frame = reader.recv(timeout=1.0)
            print(frame.array.mean())

    Every Frame owns its memory, writable, and never changes. Several programs may read one image, but each frame goes
    to one of them. Threads may share a Reader. A forked child may not use its parent's.
    """

    def __init__(
        self,
        name: str = "BaseImage",
        *,
        connect_timeout: float = 0.0,
        fresh: bool | None = None,
        stride: int | None = None,
        bottom_up: bool = False,
        retries: int = 3,
        settle: float = 0.0,
        on_torn: Literal["mark", "raise"] = "mark",
        acknowledge: Literal["before", "after"] = "before",
        pixel_format: str | None = None,
        keep: bool = False,
        public: bool = False,
    ) -> None:
        """Opens the memory and the event.

        Args:
            name: the image.
            connect_timeout: seconds to wait for the publisher's program.
            fresh: begin with the first frame that is written from now on, and pass over one that was written before and
                not taken. None: True, but False with acknowledge="after", where nothing may be lost.
            stride: 1 if rows follow each other, 4 if each begins at a multiple of four bytes; None for what fits.
            bottom_up: the last row comes first in the memory.
            retries: how often in a row a frame that changed while it was copied is given up for the next one.
            settle: seconds between the copy and the second look, in which a foreign writer that was not scheduled may
                go on, and so be seen; 0.01 where the machine is busy.
            on_torn: after that, return the copy with meta["torn_suspected"] = True, or raise CorruptChannel.
            acknowledge: reset the event "before" the copy, as the article does, or "after" it: for one Reader whose
                writer waits. Without a writer that waits "after" loses frames; see the head of this file.
            pixel_format: what the pixels mean, where "Mono8", "Mono16", "BGR8" and "BGRa8" are wrong; used for frames
                of the same depth.
            keep: leave memory and event there when the last program leaves.
            public: use what another user has made, too; without it memory and event are this user's or root's.

        Raises:
            ChannelNotFound: the publisher's program has not started.
            InvalidName: not a name.
            PermissionDenied, CorruptChannel, SystemFailure: it is another user's, or can't be used for another reason.
            ValueError: an option out of range.
        """
        if stride is not None and stride not in STRIDES:
            raise ValueError(f"stride must be 1, 4 or None, got {stride!r}")
        check_range("retries", retries, 0, 1000)
        check_choice("on_torn", on_torn, ("mark", "raise"))
        check_choice("acknowledge", acknowledge, ("before", "after"))
        options: dict[str, Any] = {"connect_timeout": connect_timeout, "fresh": fresh, "stride": stride}
        options |= {"bottom_up": bottom_up, "retries": retries, "on_torn": on_torn, "acknowledge": acknowledge}
        options |= {"settle": settle, "pixel_format": pixel_format, "public": public}
        deadline = Deadline(connect_timeout, "connect_timeout")
        self._settle = Deadline(settle, "settle").timeout
        self._format = None if pixel_format is None else formats.FORMATS[formats.check(pixel_format)]
        self._stride, self._bottom_up, self._retries = stride, bottom_up, retries
        self._raise_torn = on_torn == "raise"
        self._after = acknowledge == "after"
        self._statistics = ReaderStatistics()
        super().__init__(name, lambda: _connect(name, deadline, public), keep, options)
        self._open_place = lambda: system().open(name, public)
        self._count(stale=int((not self._after if fresh is None else fresh) and self._hold.place.take(0.0)))

    def statistics(self) -> ReaderStatistics:
        """Returns counts; also after close()."""
        return self._statistics

    def recv(self, timeout: float | None = None) -> Frame:
        """Returns the next frame and waits for it, other Python threads running, at most `timeout` seconds.

        Raises:
            Timeout: nothing came in time.
            CorruptChannel: what was announced is not a frame; the next call goes on after it.
            ChannelClosed: this Reader has been closed, also while it waited.
            ValueError: a negative timeout.
        """
        deadline = Deadline(timeout)
        with self._inside():
            copy = self._next_copy(deadline)
            for _ in range(self._retries):
                if not copy.changed:
                    break
                self._count(retries=1)
                if deadline.is_over:  # also where the next frame is there already: it may go on like this
                    raise Timeout(f"whatever came from '{self._name}' within {deadline.timeout} s changed at once")
                copy = self._next_copy(deadline)
            if copy.changed:
                self._count(torn_suspected=1)
                if self._raise_torn:
                    raise CorruptChannel(
                        f"'{self._name}' changed while it was copied, {self._retries + 1} times in a row: its writer "
                        "is too fast for a layout without a lock; let it wait for its reader, or use a channel"
                    )
            return self._frame(copy)

    def try_recv(self) -> Frame | None:
        """Returns the next frame, or None when there is nothing new. Never waits. Raises as recv() does."""
        try:
            return self.recv(0.0)
        except Timeout:
            return None

    def __iter__(self) -> Reader:
        """Frames without end, since the layout knows none; waits for each."""
        return self

    def __next__(self) -> Frame:
        return self.recv()

    def _next_copy(self, deadline: Deadline) -> _Copy:
        while True:
            self._wait(deadline)
            place = self._hold.place
            if self._renew() and not self._hold.place.has_event_of(place):
                continue  # what was announced is gone
            place = self._hold.place
            try:
                copy = self._copy(place)
            except CorruptChannel:
                self._count(corrupt=1)
                raise
            finally:
                if self._after:
                    place.acknowledge()
            if copy is not None:
                return copy
            self._count(empty=1)
            if deadline.is_over:
                raise Timeout(
                    f"'{self._name}' was announced within {deadline.timeout} s, but there is no frame in it yet"
                )

    def _wait(self, deadline: Deadline) -> None:
        """Returns when the event is set, having reset it unless that comes later."""
        if self._after:
            found = self._poll(lambda: self._hold.place.is_set(), deadline, self._renew)
        else:
            found = self._hold.place.take(deadline.slice(SLICE_S))
            while not found and not deadline.is_over:
                self._check_open()
                self._renew()
                found = self._hold.place.take(deadline.slice(SLICE_S))
        if not found:
            self._check_open()
            gone = "" if self._hold.place.is_current() else "; the publisher's program has exited and its image is gone"
            self._renew()
            raise Timeout(f"no frame came from '{self._name}' within {deadline.timeout} s{gone}")

    def _renew(self) -> bool:
        """Goes on with memory and event that others have made again, if they have; says whether it does."""
        if self._hold.place.is_current():
            return False
        try:
            self._hold.replace(self._open_place)
        except ChannelNotFound:
            return False  # the publisher's program is not back yet
        self._count(reopened=1)
        return True

    def _copy(self, place: Place) -> _Copy | None:
        """Copies one frame and looks again; None for none. Raises CorruptChannel if it is none and stays so."""
        timestamp_ns, wall_time_ns = time.monotonic_ns(), time.time_ns()
        header, geometry = self._look(place)
        if geometry is None:
            return None
        pixels = np.empty(geometry.length, np.uint8)
        self._read(place, HEADER.size, pixels)
        if self._settle:
            time.sleep(self._settle)
        changed = place.is_being_written()  # between the two looks
        changed = changed or not (place.matches(0, header) and place.matches(HEADER.size, pixels))
        return _Copy(geometry, pixels, changed, timestamp_ns, wall_time_ns)

    def _look(self, place: Place) -> tuple[NDArray[np.uint8], Geometry | None]:
        """Reads the header, and once more where it makes no sense: it may just be written."""
        header = np.empty(HEADER.size, np.uint8)
        for looks in range(1, _HEADER_LOOKS + 1):
            self._read(place, 0, header)
            try:
                return header, parse(header.tobytes(), place.size(), self._stride)
            except CorruptChannel as error:
                if place.matches(0, header) or looks == _HEADER_LOOKS:
                    raise CorruptChannel(
                        f"'{self._name}' is broken: {error}; look at the program that writes it"
                    ) from None
        raise AssertionError  # the last look returns or raises

    def _read(self, place: Place, offset: int, buffer: NDArray[np.uint8]) -> None:
        found = place.read_into(offset, buffer)
        if found != buffer.size:
            raise CorruptChannel(
                f"'{self._name}' was cut while it was read: expected {buffer.size} bytes at {offset}, found {found}; "
                "another program has made it shorter, restart the publisher's program"
            )

    def _frame(self, copy: _Copy) -> Frame:
        geometry = copy.geometry
        array: NDArray[Any] = geometry.array_in(copy.pixels)
        array = np.ascontiguousarray(array[::-1] if self._bottom_up else array)
        known, depth = self._format, geometry.depth
        seq = self._count(frames=1, bytes=array.nbytes).frames
        return Frame(
            {"image": array},
            seq=seq,
            timestamp_ns=copy.timestamp_ns,
            wall_time_ns=copy.wall_time_ns,
            origin={"torn_suspected": True} if copy.changed else None,
            pixel_format=known.name if known is not None and known.bits_per_pixel == depth.bits else depth.pixel_format,
        )

    def _count(self, **more: int) -> ReaderStatistics:
        with self._hold.lock:
            now = self._statistics
            self._statistics = replace(now, **{name: getattr(now, name) + count for name, count in more.items()})
            return self._statistics


def _connect(name: str, deadline: Deadline, public: bool) -> Place:
    while True:
        try:
            return system().open(name, public)
        except ChannelNotFound:
            if deadline.is_over:
                raise
        time.sleep(deadline.slice(_CONNECT_PAUSE_S))
