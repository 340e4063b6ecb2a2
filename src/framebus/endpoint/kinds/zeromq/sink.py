# SPDX-License-Identifier: Apache-2.0
"""Sink, and its FrameWriter, which goes on for a while after the sink was closed or forgotten.

FrameWriters:
    EveryWriter   PUSH, a frame in several parts. A full queue makes send() wait.
    LatestWriter  PUB with ZMQ_CONFLATE, a frame in one part: a place for one message for each receiver, in which a
                  newer one replaces what has not left yet. So send() never waits, and the last frame before a pause
                  reaches every receiver. (XPUB would tell the number of receivers, but a full queue there loses the
                  newest.)

The end: each receiver gets an END message after its last frame. PUSH sends messages to its receivers in turn, so after
all frames have left, as many ENDs as there are connections reach each once; a receiver takes two for one. PUB sends END
when the last frame has left, since it would replace it. Then the connections are kept until the system says that the
other side has taken all: ZeroMQ does not read on after a hang-up that comes while its queue is full. All this is done
by a thread that is not a daemon, so a program that exits waits for it, `linger` seconds at most. What a program leaves
open is closed when it exits.

Copies: ZeroMQ sends a large array from where it is, after send() has returned. To copy every frame takes longer than to
wait until it has left (benchmarks/zeromq.py), on two processors even though the copy is made while the frame before it
is sent: all of them share the memory. So EveryWriter lends the array itself, and send() returns when ZeroMQ has let go
of every part. It is given a copy where that wait would do harm: with a timeout, since what was handed over can't be
taken back; with several receivers, since one of them could hold up the others; with copy=true. A caller that is
interrupted in that wait gets the array back by the end of the connection. Copies go into memory that an earlier one has
left, because fresh memory costs as much as the copy.

Threads: send() and close() may be called from any; the socket is used under the writer's lock.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import zmq
import zmq.utils.garbage  # keeps what is on its way alive; imported here, so that at exit it ends after _finish_all()
from numpy.typing import NDArray

from framebus._util import lifetime
from framebus._util.deadline import acquire
from framebus._util.exhausted import check_descriptors
from framebus.endpoint import Arrays, BaseSink, Deadline, OutgoingFrame, wire
from framebus.endpoint.kinds.zeromq.address import Address
from framebus.endpoint.kinds.zeromq.zmq_socket import SLICE_MS, Settings, ZmqSocket
from framebus.errors import EndpointError, Timeout

_JOIN_S = 0.5  # that close() waits, so that the address is free again in all but rare cases
_SMALL = 1 << 16  # smaller parts are copied rather than lent
_PAGE = 1 << 12
_RELEASE_DESCRIPTORS = 12  # of pyzmq's context for it, and a few more
_TOPICS_COUNT = 116  # ZMQ_TOPICS_COUNT, which pyzmq has no name for


class FrameWriter(ABC):
    """A socket that sends frames. All methods except `finish` are called with its lock held."""

    def __init__(self, kind: int, address: Address, settings: Settings, linger: float) -> None:
        _start_release_thread(address.url)
        self.zmq_socket = ZmqSocket(kind, address, settings)
        self.lock = threading.Lock()
        self._linger = linger
        self.is_finished = False
        self._on_the_way: list[tuple[zmq.MessageTracker, NDArray[np.uint8] | None]] = []
        self._spare: list[NDArray[np.uint8]] = []
        _open.add(self)

    def receivers(self) -> int:
        """How many there are."""
        self.zmq_socket.look()
        return self.zmq_socket.peers

    def give(self, pieces: Sequence[Any], memory: NDArray[np.uint8] | None = None) -> bool:
        """Sends one message, without waiting; says whether there was room. `memory` is what memory() has returned."""
        parts = [
            piece if isinstance(piece, zmq.Frame) else zmq.Frame(piece, track=True, copy_threshold=_SMALL)
            for piece in pieces
        ]
        try:
            for part in parts[:-1]:
                self.zmq_socket.socket.send(part, zmq.SNDMORE | zmq.NOBLOCK, copy=False)
            self.zmq_socket.socket.send(parts[-1], zmq.NOBLOCK, copy=False)
        except zmq.Again:  # for the first part, or for none
            return False
        except BaseException:  # half a message may have gone, to which the next one would be added
            self.abandon()
            raise
        self._settle()
        # Of every part: send_multipart() would return the tracker of the last one alone.
        trackers = [part.tracker for part in parts if not part.tracker.done]
        self._on_the_way.append((trackers[0] if len(trackers) == 1 else zmq.MessageTracker(*trackers), memory))
        return True

    def memory(self, size: int) -> NDArray[np.uint8]:
        """Memory of that size or a little more: that of a message that has left, or new one if none had that much."""
        size = -(-size // _PAGE) * _PAGE
        self._settle()
        self._spare = [memory for memory in self._spare if len(memory) == size]
        return self._spare.pop() if self._spare else np.empty(size, np.uint8)

    def _settle(self) -> None:
        """Takes back what has left."""
        remaining = []
        for tracker, memory in self._on_the_way:
            if not tracker.done:
                remaining.append((tracker, memory))
            elif memory is not None:
                self._spare.append(memory)
        self._on_the_way = remaining

    def finish(self) -> None:
        """Sends END and closes the socket. May be repeated; does nothing in a forked child."""
        if not self.zmq_socket.is_ours():
            return
        with self.lock:
            if self.is_finished:
                return
            self.is_finished = True
            deadline = Deadline(self._linger)
            try:
                self.wait_until_all_left(lambda: deadline.is_over)
                for _ in range(self.ends()):
                    while not self.give([_tracked(wire.end())]) and not deadline.is_over:
                        self.zmq_socket.wait_for_room(deadline.left_ms(SLICE_MS / 1000))
                self.wait_until_all_left(lambda: deadline.is_over)
                self.zmq_socket.wait_until_taken(deadline)
            finally:
                self.zmq_socket.destroy(deadline.left() or 0)

    @abstractmethod
    def ends(self) -> int:
        """How many END messages it takes to reach every receiver."""

    def wait_until_all_left(self, is_enough: Callable[[], bool]) -> None:
        """Waits until ZeroMQ needs the memory of no message any more, or that is enough."""
        for tracker, _ in self._on_the_way:
            while not is_enough():
                with contextlib.suppress(zmq.NotDone):
                    tracker.wait(SLICE_MS / 1000)
                    break

    def abandon(self) -> None:
        """Closes the socket at once; what has not left never arrives, and its memory is the caller's again."""
        self.is_finished = True
        self.zmq_socket.destroy(0)
        self.wait_until_all_left(lambda: False)


class EveryWriter(FrameWriter):
    """Every frame, each to one receiver."""

    def __init__(self, address: Address, settings: Settings, linger: float) -> None:
        super().__init__(zmq.PUSH, address, settings, linger)

    def has_room(self) -> bool:
        """Whether some receiver has."""
        return bool(self.zmq_socket.socket.poll(0, zmq.POLLOUT))

    def ends(self) -> int:
        """One for each connection that may be a receiver's; more than one reaches it as one."""
        self.zmq_socket.look()
        return len(self.zmq_socket.connections.descriptors)


class LatestWriter(FrameWriter):
    """The newest frame, to every receiver."""

    def __init__(self, address: Address, settings: Settings, linger: float) -> None:
        super().__init__(zmq.PUB, address, settings, linger)

    def is_subscribed(self) -> bool:
        """Whether a subscription has arrived; True where ZeroMQ is too old to tell."""
        self.zmq_socket.socket.getsockopt(zmq.EVENTS)  # has what came in looked at
        try:
            return bool(self.zmq_socket.socket.getsockopt(_TOPICS_COUNT))
        except zmq.ZMQError:
            return True

    def ends(self) -> int:
        """One reaches all."""
        return 1


class Sink(BaseSink):
    """Frames to ZeroMQ."""

    def __init__(self, address: Address, settings: Settings, wait_for: int, copy: bool, linger: float) -> None:
        super().__init__(address.url)
        self._writer = (EveryWriter if settings.every else LatestWriter)(address, settings, linger)
        self.url = self._writer.zmq_socket.url
        self._wait_for = wait_for
        self._copy = copy

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        writer = self._writer
        writer.zmq_socket.check_process()
        if not acquire(writer.lock, deadline):
            raise deadline.fail(f"there was no room in {self.url!r}")
        try:
            self._check_open()
            self._check_hopeful()
            self._wait_for_receivers(deadline)
            if isinstance(writer, LatestWriter):
                self._send_latest(writer, frame)
            else:
                self._send_every(writer, frame, deadline)
        finally:
            self._closed = self._closed or writer.is_finished  # where it had to be abandoned
            writer.lock.release()

    def _wait_for_receivers(self, deadline: Deadline) -> None:
        writer = self._writer
        while self._wait_for and not self._are_there(writer):
            self._check_open()
            self._check_hopeful()
            if deadline.is_over:
                raise self._no_room(deadline, f"fewer than {self._wait_for} receivers came to")
            writer.zmq_socket.wait_for_connections(min(deadline.left_ms(), 1 if writer.receivers() else SLICE_MS))
        self._wait_for = 0

    def _are_there(self, writer: FrameWriter) -> bool:
        enough = writer.receivers() >= self._wait_for
        return enough and (not isinstance(writer, LatestWriter) or writer.is_subscribed())

    def _send_latest(self, writer: LatestWriter, frame: OutgoingFrame) -> None:
        # ZeroMQ's own count of subscriptions: strangers that connect and send garbage never change it.
        if writer.is_subscribed():
            self._check_hopeful()
            head, arrays = wire.encode(frame)
            pieces = [memoryview(head), *wire.pieces(arrays)]
            size = sum(len(piece) for piece in pieces)
            memory = writer.memory(size)
            _fill(memory, pieces)
            writer.give([_tracked(memory[:size])], memory)

    def _send_every(self, writer: EveryWriter, frame: OutgoingFrame, deadline: Deadline) -> None:
        while True:
            if not self._copy and deadline.timeout is None and writer.zmq_socket.peers == 1:
                is_sent = self._lend(writer, frame)
            else:
                is_sent = writer.has_room() and self._is_hopeful() and self._copied(writer, frame)
            if is_sent:
                return
            if deadline.is_over:
                raise self._no_room(deadline, "no receiver had room at")
            writer.zmq_socket.wait_for_room(deadline.left_ms(SLICE_MS / 1000))
            self._check_open()
            self._check_hopeful()

    def _lend(self, writer: EveryWriter, frame: OutgoingFrame) -> bool:
        """Lends the caller's arrays to ZeroMQ until they have left, or until it hangs up."""
        try:
            head, arrays = wire.encode(frame)
            if not writer.give([head, *map(_bytes_of, arrays)]):
                return False
            writer.wait_until_all_left(lambda: self._closed)
            self._check_open()
        except BaseException:
            writer.abandon()
            raise
        return True

    def _copied(self, writer: EveryWriter, frame: OutgoingFrame) -> bool:
        """Sends a copy of what the caller may change, where pyzmq does not make one."""
        head, arrays = wire.encode(frame)
        pieces = [_bytes_of(array) for array in arrays]
        copied = [
            index
            for index, piece in enumerate(pieces)
            if piece.nbytes >= _SMALL and _is_the_callers(arrays[index], frame.arrays)
        ]
        if not copied:
            return writer.give([head, *pieces])
        memory = writer.memory(sum(pieces[index].nbytes for index in copied))
        for index, place in zip(copied, _fill(memory, [pieces[index] for index in copied]), strict=True):
            pieces[index] = place
        return writer.give([head, *pieces], memory)

    def _is_hopeful(self) -> bool:
        """Checks the owner of a connection that was made since the last look: its room is seen after it is told of."""
        self._check_hopeful()
        return True

    def _check_hopeful(self) -> None:
        zmq_socket = self._writer.zmq_socket
        zmq_socket.look()
        if zmq_socket.is_hopeless:
            raise EndpointError(zmq_socket.refusal())

    def _no_room(self, deadline: Deadline, what: str) -> Timeout:
        zmq_socket = self._writer.zmq_socket
        return deadline.fail(f"{what} {self.url!r}, which has {zmq_socket.peers or 'no'} of them{zmq_socket.why()}")

    def _close(self) -> None:
        if self._writer.is_finished or not self._writer.zmq_socket.is_ours():
            return  # the program ends, or it is another one
        thread = threading.Thread(target=self._writer.finish, name=f"framebus {self.url}")
        thread.start()
        thread.join(_JOIN_S)


def _start_release_thread(url: str) -> None:
    """Starts the thread of pyzmq that is told what has left, so that close() finds it where no descriptors are left.

    Raises SystemFailure where none are left now.
    """
    if not zmq.utils.garbage.gc.is_alive():
        check_descriptors(_RELEASE_DESCRIPTORS, f"{url!r} can't be opened")
        _tracked(b"\0")


def _tracked(piece: Any) -> zmq.Frame:
    """A part that is not copied, however small, so that its tracker tells when it has left."""
    return zmq.Frame(piece, track=True, copy_threshold=0)


def _fill(memory: NDArray[np.uint8], pieces: Sequence[memoryview | NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Copies pieces into memory, one after the other; returns the places where they are now."""
    places, end = [], 0
    for piece in pieces:
        begin, end = end, end + len(piece)
        places.append(memory[begin:end])
        places[-1][:] = np.frombuffer(piece, np.uint8)
    return places


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _is_the_callers(array: Any, given: Arrays) -> bool:
    """Whether the caller may change this array later: not where wire.encode() has made it C-contiguous."""
    return any(np.may_share_memory(array, other) for other in given.values())


_open: weakref.WeakSet[FrameWriter] = weakref.WeakSet()


@lifetime.at_exit_before_libraries
def _finish_all() -> None:
    """Runs while pyzmq can still send, and before framebus closes what was left open, when no thread can be started."""
    with contextlib.ExitStack() as finishing:  # finishes all, also where one fails
        for writer in list(_open):
            finishing.callback(writer.finish)
