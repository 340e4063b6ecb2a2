# SPDX-License-Identifier: Apache-2.0
"""Writer: writes images for programs that use the memory layout of the article (docs/baseimage.md).

send() writes the header, then the pixels, into one shared memory, and then sets the event, the semaphore NAMEMutex. The
memory has one place for a frame, so a reader that copies while send() writes gets a mixture of two frames. With
wait_for_reader=True send() waits until a reader has taken the last frame; see Writer.

If this program is killed before it sets the event, the frame is not announced, and the next Writer overwrites it. If it
is killed afterwards, the frame is whole and stays for a reader.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus._util.checks import check_range
from framebus._util.deadline import Deadline, acquire
from framebus.baseimage.end import End
from framebus.baseimage.layout import CAPACITY, HEADER, STRIDES, Geometry, padded, pixel_bytes, prepare
from framebus.baseimage.place import Place, system
from framebus.errors import FrameTooLarge, Timeout
from framebus.frames.arrays import as_arrays_and_format

_STRIP_BYTES = 256 << 10


@dataclass(frozen=True)
class WriterStatistics:
    """What a Writer has done so far.

    Attributes:
        frames: frames written.
        bytes: bytes of their pixels, padding included.
        overwritten: frames written over one that had not been taken; those are lost.
        reopened: how often the memory or the event had been removed, so that they were made again.
    """

    frames: int = 0
    bytes: int = 0
    overwritten: int = 0
    reopened: int = 0


class Writer(End):
    """Sends frames to a base image.

        with framebus.baseimage.Writer("BaseImage") as writer:
            writer.send(image)

    Threads may share a Writer; they take turns. A forked child may not use its parent's.
    """

    def __init__(
        self,
        name: str = "BaseImage",
        *,
        capacity: int = CAPACITY,
        stride: int = 1,
        bottom_up: bool = False,
        wait_for_reader: bool = False,
        mode: int = 0o600,
        keep: bool = False,
        public: bool = False,
    ) -> None:
        """Makes the memory and the event, or uses what is there.

        Args:
            name: 1 to 128 of A-Z a-z 0-9 . _ - beginning with a letter or digit.
            capacity: bytes of the memory, header included, if it has to be made; what is there stays as large as it is.
            stride: 1, or 4 to begin each row at a multiple of four bytes, as Windows bitmaps do.
            bottom_up: write the last row first, as Windows bitmaps have it.
            wait_for_reader: before writing, wait until a reader has taken the last frame. No frame is lost on the way
                to a reader that takes the event after its copy, as Reader(acknowledge="after") does; one that takes it
                before (as the article's) gets every frame announced but may copy while the next is written. A reader
                that is dead or absent takes nothing: send() then ends with Timeout, or waits for the next reader.
            mode: file mode if they have to be made: which other users may read and write.
            keep: leave memory and event there when the last program leaves.
            public: use memory and event that another user made, too. Without it they have to be this user's or root's:
                every user can take a name first, and read or fake what comes through it.

        Raises:
            InvalidName: not a name.
            ChannelInUse: another program with a Writer writes it. Other writers can't be noticed.
            PermissionDenied: what is there belongs to another user; the message names it.
            CorruptChannel: what is there is no image: another kind of file, or it holds something else.
            SystemFailure: the system refuses to make it.
            ValueError: capacity, stride or mode out of range.
        """
        check_range("capacity", capacity, HEADER.size + 1, 1 << 40)
        check_range("mode", mode, 0, 0o777)
        if stride not in STRIDES:
            raise ValueError(f"stride must be 1 or 4, got {stride!r}")
        options = {
            "capacity": capacity,
            "stride": stride,
            "bottom_up": bottom_up,
            "wait_for_reader": wait_for_reader,
            "mode": mode,
            "public": public,
        }
        super().__init__(name, lambda: system().make(name, capacity, mode, public), keep, options)
        self._stride = stride
        self._bottom_up = bottom_up
        self._wait_for_reader = wait_for_reader
        self._turn = threading.Lock()
        self._statistics = WriterStatistics()
        self._strip = np.zeros(0, np.uint8)
        self._strip_of: Geometry | None = None
        header = np.zeros(HEADER.size, np.uint8)
        self._hold.place.read_into(0, header)
        if not wait_for_reader or not header.any():
            self._hold.place.take(0.0)  # what an earlier program announced: it is stale, or not even there any more

    @property
    def capacity(self) -> int:
        """Bytes of the memory as it is, header included."""
        with self._inside():
            return self._hold.place.size()

    def statistics(self) -> WriterStatistics:
        """Returns counts; also after close()."""
        return self._statistics

    def send(self, image: object, *, pixel_format: str | None = None, timeout: float | None = None) -> int:
        """Writes one frame, announces it, and returns its number, from 1.

        Args:
            image: uint8 of shape (height, width), (height, width, 3) or (height, width, 4), or uint16 of shape
                (height, width); with any strides and byte order. Or a buffer, a Pillow image, a DLPack object that is
                such an array, or a dict with one of these.
            pixel_format: what the numbers mean. The layout can't say it, so readers have to know; only "RGB8" and
                "RGBa8" do something: they are written as blue, green, red (and alpha), as the layout has it.
            timeout: seconds to wait where wait_for_reader=True, or for another thread; None: no limit.

        Raises:
            TypeError: no array, or one of another dtype. ValueError: another shape, a pixel format of another depth.
            FrameTooLarge: does not fit into the memory, of which the header takes 16 bytes; or /dev/shm is full.
            Timeout: no reader took the last frame in time; nothing was written.
            ChannelClosed: this Writer has been closed.
        """
        deadline = Deadline(timeout)
        array, depth, order = prepare(*_one_array(image, pixel_format))
        height, width = array.shape[:2]
        geometry = Geometry(width, height, depth, padded(pixel_bytes(width, depth), self._stride))
        with self._inside():
            if not acquire(self._turn, deadline):
                raise Timeout(f"another thread was writing to '{self._name}' for {timeout} s")
            try:
                return self._send(array, geometry, order, deadline)
            finally:
                self._turn.release()

    def _send(self, array: NDArray[Any], geometry: Geometry, order: list[int] | None, deadline: Deadline) -> int:
        self._check_open()
        self._renew()
        if self._wait_for_reader and not self._poll(lambda: not self._hold.place.is_set(), deadline, self._renew):
            raise Timeout(
                f"no program took the last frame of '{self._name}' within {deadline.timeout} s; start the "
                "subscriber's program, or use wait_for_reader=False to write over frames that are not taken"
            )
        place = self._hold.place
        size, needed = place.size(), HEADER.size + geometry.length
        if needed > size:
            raise FrameTooLarge(
                f"an image of {geometry.width}x{geometry.height}x{geometry.depth.bits} bit takes {needed} bytes with "
                f"its header, {needed - size} more than the memory of '{self._name}' has ({size}); end all programs "
                f"that use it and make it with capacity={needed}, or send smaller images"
            )
        place.reserve(needed)
        place.begin_frame()
        try:
            place.write(0, geometry.header())
            self._write_pixels(place, array[::-1] if self._bottom_up else array, geometry, order)
        finally:
            place.end_frame()  # before the event: a reader that takes it must not find the frame still being written
        overwrote = place.set()
        done = self._statistics
        self._statistics = WriterStatistics(
            done.frames + 1, done.bytes + geometry.length, done.overwritten + overwrote, done.reopened
        )
        return self._statistics.frames

    def _renew(self) -> None:
        """Makes the memory and the event again if one of them was removed."""
        if self._hold.place.is_current():
            return
        self._hold.place.stand_down()
        self._hold.replace(self._open_place)
        done = self._statistics
        self._statistics = WriterStatistics(done.frames, done.bytes, done.overwritten, done.reopened + 1)

    def _write_pixels(self, place: Place, array: NDArray[Any], geometry: Geometry, order: list[int] | None) -> None:
        """Writes as it is what lies in memory as the layout wants it, everything else in strips of some rows."""
        as_it_is = array.flags.c_contiguous and array.dtype == geometry.depth.dtype
        if as_it_is and order is None and not geometry.is_padded:
            place.write(HEADER.size, array.reshape(-1).view(np.uint8).data)
            return
        rows = max(1, min(geometry.height, _STRIP_BYTES // geometry.row_bytes))
        if self._strip_of != geometry:
            self._strip = np.zeros(rows * geometry.row_bytes, np.uint8)  # what pads the rows stays 0
            self._strip_of = geometry
        pixels = geometry.array_in(self._strip, rows)
        for first in range(0, geometry.height, rows):
            count = min(rows, geometry.height - first)
            strip = array[first : first + count]
            np.copyto(pixels[:count], strip if order is None else strip[:, :, order])
            place.write(HEADER.size + first * geometry.row_bytes, self._strip[: count * geometry.row_bytes].data)


def _one_array(image: object, pixel_format: str | None) -> tuple[NDArray[Any], str | None]:
    found, pixel_format = as_arrays_and_format(image, pixel_format)
    if isinstance(found, Mapping):
        if len(found) != 1:
            raise ValueError(f"a base image is one array, got {len(found)}: {', '.join(found)}; send them to a channel")
        return next(iter(found.values())), pixel_format
    return found, pixel_format
