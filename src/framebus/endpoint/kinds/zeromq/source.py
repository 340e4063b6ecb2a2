# SPDX-License-Identifier: Apache-2.0
"""The sources: EverySource reads its socket in recv(), LatestSource has a thread that reads all the time.

Why a thread: the newest frame is the newest only if the older ones have been taken out of the way before recv() asks.
ZeroMQ's own ZMQ_CONFLATE does that too, but its receiving side aborts the process on a message of several parts, which
any foreign sender can send.

Nothing that comes is trusted: a message is a frame only if head, description and the sizes of all parts agree. All else
is counted in `refused` and skipped; of a message with more parts than a frame has, none is kept. Skipping ends when the
caller has waited enough and goes on in the next call, so a sender that floods this source delays neither recv() nor
close().

Arrays are views of the received memory and keep it as long as they live; the rare ones that lie askew in it (small
messages share a buffer) are copied.

Threads: recv() and close() may be called from any. The socket is used by one at a time, under a lock, or by the thread.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from framebus.endpoint import MAX_ARRAYS, BaseSource, Deadline, wire
from framebus.endpoint.kinds.zeromq.address import Address
from framebus.endpoint.kinds.zeromq.zmq_socket import SLICE_MS, Settings, ZmqSocket
from framebus.errors import ChannelClosed, EndpointError, Error, PublisherDied
from framebus.frames.frame import Frame

_SKIPPING_S = 0.005  # that a call which may not wait goes on skipping what is not a frame, to find one behind it


class FrameReader:
    """Makes frames of what comes out of a socket, and knows how the stream stands."""

    def __init__(self, address: Address, settings: Settings, reconnect: bool, refuse: Callable[[int], None]) -> None:
        self.zmq_socket = ZmqSocket(zmq.PULL if settings.every else zmq.SUB, address, settings)
        self._max_bytes = settings.max_bytes
        self._reconnect = reconnect
        self._refuse = refuse
        self._refused_connections = self._ends = 0
        self._has_closed = self._has_died = False
        self._waits_ms = -1  # as sockets are made
        self._is_too_long = False  # the message that is being read; what is left of it has to be skipped

    def next(self, milliseconds: int) -> Frame | None:
        """Returns the next frame; None where none came in time, or something else happened."""
        frame = self._read(milliseconds)
        if frame is None:
            self._look()
            frame = self._read(0)  # what was there before a connection ended comes before that
            self._has_died = self._has_died or (frame is None and self._peer_died())
        if frame is not None:
            self._has_closed = False
        return frame

    def over(self) -> Error | None:
        """Returns the error that ends the stream, None while it goes on."""
        url = self.zmq_socket.url
        if self._has_died:
            return PublisherDied(f"the sender of {url!r} ended without closing; start it again and open another source")
        if self._has_closed:
            return ChannelClosed(f"the sender of {url!r} has closed it")
        if self.zmq_socket.is_hopeless:
            return EndpointError(self.zmq_socket.refusal())
        return None

    def _look(self) -> None:
        self.zmq_socket.look()
        if more := self.zmq_socket.refused - self._refused_connections:
            self._refused_connections += more
            self._refuse(more)

    def _peer_died(self) -> bool:
        """Whether more senders have gone than have said so."""
        return not self._reconnect and self.zmq_socket.lost > self._ends

    def _read(self, milliseconds: int) -> Frame | None:
        self._wait_at_most(milliseconds)
        enough = time.monotonic() + max(milliseconds / 1000, _SKIPPING_S)
        while True:
            try:
                frame = self._frame_of(self._parts(enough))
            except zmq.Again:
                return None
            except ValueError:  # Malformed, and what numpy says about impossible shapes
                self._refuse(1)
                if time.monotonic() > enough:
                    return None
                self._wait_at_most(0)
                continue
            if frame is None:
                self._has_closed = True
                self._ends += 1
            return frame

    def _wait_at_most(self, milliseconds: int) -> None:
        # Less to do than a poll first, and than setting what is set already; it shows at a thousand frames a second.
        if milliseconds != self._waits_ms:
            self.zmq_socket.socket.rcvtimeo = self._waits_ms = milliseconds

    def _parts(self, enough: float) -> list[zmq.Frame]:
        """The parts of the next message. Raises Malformed after one of too many, zmq.Again where time is up."""
        parts: list[zmq.Frame] = []
        while not self._is_too_long:
            part = self.zmq_socket.socket.recv(zmq.NOBLOCK if parts else 0, copy=False)
            if not parts:
                self._check_sender(part)
            parts.append(part)
            if not part.more:
                return parts
            self._is_too_long = len(parts) > MAX_ARRAYS
        while self._is_too_long:
            if time.monotonic() > enough:
                raise zmq.Again
            self._is_too_long = self.zmq_socket.socket.recv(zmq.NOBLOCK, copy=False).more
        raise wire.Malformed(f"more than {1 + MAX_ARRAYS} parts")

    def _check_sender(self, part: zmq.Frame) -> None:
        """Takes note of the connection that a message came through. Raises Malformed where it is a stranger's."""
        zmq_socket = self.zmq_socket
        if zmq_socket.checks_owner:
            zmq_socket.look()  # what ZeroMQ has said about the connection, it has said before it read the message
            if zmq_socket.is_distrusted:
                self._is_too_long = part.more
                raise wire.Malformed("a message from a stranger")
        elif not zmq_socket.connections.are_decided:
            zmq_socket.connections.heard(int(part.get(zmq.SRCFD)))

    def _frame_of(self, parts: list[zmq.Frame]) -> Frame | None:
        """The frame that these parts are, None for the end. Raises ValueError if they are neither."""
        first = parts[0].buffer
        head = wire.decode_head(first, self._max_bytes)
        begin = wire.HEAD.size + head.description_bytes
        sizes = [len(part.buffer) for part in parts[1:]]
        if head.kind == wire.END:
            if len(first) > begin or sizes:
                raise wire.Malformed("an end with something after it")
            return None
        description = wire.describe(first[wire.HEAD.size : begin], head)
        places = description.arrays
        if len(first) == begin + head.body_bytes and not sizes:
            return description.frame_of([_view(place, first, begin + place.offset) for place in places])
        if len(first) != begin or sizes != [place.nbytes for place in places]:
            raise wire.Malformed("parts that are not as long as the description says")
        return description.frame_of(
            [_view(place, part.buffer, 0) for place, part in zip(places, parts[1:], strict=True)]
        )


def _view(place: wire.ArrayPlace, data: memoryview, offset: int) -> NDArray[Any]:
    # By way of frombuffer(), because ndarray() would reach through to the message, which could be written to.
    array: NDArray[Any] = np.ndarray(place.shape, place.dtype, np.frombuffer(data.toreadonly(), np.uint8), offset)
    if not array.flags.aligned:
        array = array.copy()
        array.flags.writeable = False
    return array


class _Source(BaseSource):
    """What both have in common: counting, and how waits end."""

    _seq: int | None = None

    def _refuse(self, number: int) -> None:
        self._count(refused=number)

    def _deliver(self, frame: Frame) -> Frame:
        if self._seq is not None and frame.seq > self._seq + 1:
            self._count(dropped=frame.seq - self._seq - 1)
        self._seq = frame.seq
        return frame


def _refuser(source: weakref.ref[_Source]) -> Callable[[int], None]:
    """Counts at the source, without keeping it alive."""

    def refuse(number: int) -> None:
        if (alive := source()) is not None:
            alive._refuse(number)

    return refuse


class EverySource(_Source):
    """Every frame, in order: the source of mode=every."""

    def __init__(self, address: Address, settings: Settings, reconnect: bool) -> None:
        super().__init__(address.url)
        self._reader = FrameReader(address, settings, reconnect, _refuser(weakref.ref(self)))
        self.url = self._reader.zmq_socket.url

    def _receive(self, deadline: Deadline) -> Frame:
        zmq_socket = self._reader.zmq_socket
        zmq_socket.check_process()
        while True:
            self._check_open()
            frame = self._next(0 if self._reader.over() else deadline.left_ms(SLICE_MS / 1000))
            if frame is not None:
                return self._deliver(frame)
            if error := self._reader.over():
                raise error
            if deadline.is_over:
                raise deadline.fail(f"nothing came from {self.url!r}{zmq_socket.why()}")

    def _next(self, milliseconds: int) -> Frame | None:
        try:
            return self._reader.next(milliseconds)
        except zmq.ZMQError as error:
            self._check_open()  # a signal handler may have closed it meanwhile
            raise EndpointError(f"{self.url!r} failed: {error.strerror}") from None

    def _close(self) -> None:
        self._reader.zmq_socket.destroy(0)


class Newest:
    """Reads a socket in a thread of its own and keeps the newest frame."""

    def __init__(self, reader: FrameReader) -> None:
        self.reader = reader
        self.changed = threading.Condition()
        self.frame: Frame | None = None
        self.over: Error | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"framebus {reader.zmq_socket.url}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping:
            try:
                frame, over = self.reader.next(SLICE_MS), self.reader.over()
            except zmq.ZMQError as error:
                frame, over = None, EndpointError(f"{self.reader.zmq_socket.url!r} failed: {error.strerror}")
                self._stopping = True
            if frame is None and over is None and self.over is None:
                continue
            self._tell(frame, over)

    def _tell(self, frame: Frame | None, over: Error | None) -> None:
        while not self.changed.acquire(timeout=SLICE_MS / 1000):
            if self._stopping:  # by a signal handler that interrupted the thread with the lock
                return
        self.frame = frame or self.frame
        self.over = over
        self.changed.notify_all()
        self.changed.release()

    def stop(self) -> None:
        """Ends the thread and closes the socket. In a forked child there is no thread, and nothing to close."""
        self._stopping = True
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        self.reader.zmq_socket.destroy(0)


class LatestSource(_Source):
    """The newest frame: the source of mode=latest."""

    def __init__(self, address: Address, settings: Settings, reconnect: bool) -> None:
        super().__init__(address.url)
        reader = FrameReader(address, settings, reconnect, _refuser(weakref.ref(self)))
        self.url = reader.zmq_socket.url
        self._newest = Newest(reader)

    def _receive(self, deadline: Deadline) -> Frame:
        newest = self._newest
        newest.reader.zmq_socket.check_process()
        with newest.changed:
            while True:
                self._check_open()
                if newest.frame is not None:
                    frame, newest.frame = newest.frame, None
                    return self._deliver(frame)
                if newest.over is not None:
                    raise type(newest.over)(str(newest.over))
                if deadline.is_over:
                    raise deadline.fail(f"nothing came from {self.url!r}{newest.reader.zmq_socket.why()}")
                newest.changed.wait(deadline.left_ms(SLICE_MS / 1000) / 1000)

    def _close(self) -> None:
        self._newest.stop()
