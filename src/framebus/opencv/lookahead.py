# SPDX-License-Identifier: Apache-2.0
"""What the next frames of a subscriber are like, before they are taken: their picture, and how fast they come.

Programs that were written for cameras ask for width, height and rate first, and then begin to read. A camera knows all
three at once; a channel knows them from its frames. So what is asked for comes, in this order, from

    1. the frame last taken,
    2. the newest frame in the channel, and the rate that its publisher has measured,
    3. a frame that is waited for, and for a rate one more.

Promise: no query takes a frame from next(). A frame that was fetched to answer one is kept, and next() returns it
first, an error too. All queries together wait at most for their timeout, however often they are made.
"""

from __future__ import annotations

import time
from collections import deque

from framebus._util.deadline import Deadline
from framebus.channel.info import look_at
from framebus.channel.subscriber import Subscriber
from framebus.channel.wait import wait
from framebus.errors import (
    ChannelClosed,
    ChannelNotFound,
    CorruptChannel,
    Error,
    LayoutMismatch,
    PermissionDenied,
    PublisherDied,
    SystemFailure,
    Timeout,
    TooManyHeld,
)
from framebus.frames.frame import Frame
from framebus.opencv.to_bgr import Picture

# How a channel can end or fail; all but these is a fault of the program.
ENDS = (ChannelClosed, Timeout)
FAILURES = (*ENDS, ChannelNotFound, PublisherDied, CorruptChannel, LayoutMismatch, PermissionDenied, SystemFailure)


class Lookahead:
    """A subscriber whose frames can be asked about before they are taken.

    Attributes:
        subscriber: the subscriber; only next() may fetch from it.
        picture: of the frame last taken, None before the first.
        seq, timestamp_ns: of the same, 0 before the first.
    """

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.picture: Picture | None = None
        self.seq = self.timestamp_ns = 0
        self._ahead: deque[Frame | Error] = deque()
        self._rate_hz = 0.0
        self._waited_s = 0.0

    def next(self, timeout: float | None) -> Frame | None:
        """Returns the next frame, None at the end of the channel. Raises as Subscriber.recv() does."""
        frame = self._ahead.popleft() if self._ahead else self.subscriber._next(timeout)
        if isinstance(frame, Error):
            raise frame
        if frame is None:
            return None
        self._learn_rate(frame)
        self.picture = _picture_of(frame)
        self.seq, self.timestamp_ns = frame.seq, frame.timestamp_ns
        return frame

    def find_picture(self, timeout: float | None) -> Picture | None:
        """Returns what an image of the channel is, None where none came in time."""
        if self.picture is not None:
            return self.picture
        if not self._ahead:
            channel = look_at(self.subscriber.name)
            if channel is not None and channel.arrays:
                first = channel.arrays[0]
                return Picture(first.shape, first.dtype, channel.pixel_format)
            self._look_ahead(timeout)
        first_ahead = self._ahead[0] if self._ahead else None
        return _picture_of(first_ahead) if isinstance(first_ahead, Frame) else None

    def find_rate_hz(self, timeout: float | None) -> float:
        """Returns frames per second, recently or at the end of a channel the last; 0 where there are not two frames."""
        if not self._measured() and not self._rate_hz:
            if self.picture is None and not self._ahead:
                self._look_ahead(timeout)
            self._await_news(timeout)
            if not self._measured():
                self._look_ahead(0.0)  # a channel that has ended measures nothing, but may have frames left
        return self._rate_hz

    def _measured(self) -> bool:
        """Asks the channel for its rate, and says whether it knows one."""
        channel = look_at(self.subscriber.name)
        if channel is None or not channel.rate_hz:
            return False
        self._rate_hz = channel.rate_hz
        return True

    def _look_ahead(self, timeout: float | None) -> None:
        """Fetches one more frame, or the error in its place, and keeps it for next()."""
        begin = time.monotonic()
        try:
            frame = self.subscriber._next(self._left(timeout))
        except (*ENDS, TooManyHeld):
            return
        except FAILURES as error:
            self._ahead.append(error)
            return
        finally:
            self._waited_s += time.monotonic() - begin
        if frame is not None:
            newest = self._ahead[-1] if self._ahead else None
            if isinstance(newest, Frame):
                self._note_gap(newest.seq, newest.timestamp_ns, frame)
            else:
                self._learn_rate(frame)
            self._ahead.append(frame)

    def _await_news(self, timeout: float | None) -> None:
        """Waits until there is a frame that was not fetched, or the publisher has closed or died."""
        begin = time.monotonic()
        deadline = Deadline(self._left(timeout))
        try:
            while not wait([self.subscriber], deadline.slice(_SLICE_S)):
                if deadline.is_over or self._has_closed():
                    break
        except FAILURES:
            return  # next() meets it again
        finally:
            self._waited_s += time.monotonic() - begin

    def _has_closed(self) -> bool:
        """With reconnect=True the end of a publisher is nothing new to wait()."""
        channel = look_at(self.subscriber.name)
        return channel is None or not channel.alive

    def _left(self, timeout: float | None) -> float | None:
        return None if timeout is None else max(0.0, timeout - self._waited_s)

    def _learn_rate(self, frame: Frame) -> None:
        if self.seq:
            self._note_gap(self.seq, self.timestamp_ns, frame)

    def _note_gap(self, seq: int, timestamp_ns: int, later: Frame) -> None:
        """Takes the rate from two frames in a row, where no publisher has measured one."""
        if not self._rate_hz and later.seq > seq and later.timestamp_ns > timestamp_ns:
            self._rate_hz = (later.seq - seq) * 1e9 / (later.timestamp_ns - timestamp_ns)


_SLICE_S = 0.5  # after which a sleeper looks whether the publisher is still there


def _picture_of(frame: Frame) -> Picture:
    array = frame.array
    return Picture(array.shape, array.dtype, frame.pixel_format)
