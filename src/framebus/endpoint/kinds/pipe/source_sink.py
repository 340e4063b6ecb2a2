# SPDX-License-Identifier: Apache-2.0
"""PipeSource and PipeSink, the bases of all modes: how a stream ends, how it is closed.

A mode's source defines _steps(): a generator that yields each buffer to be filled, then the frame made of them, and
returns at the orderly end of the stream. It is written as if reading never had to wait; what has been read when the
time is up is kept. Before the first bytes of a frame it sets `at_boundary`.

A mode's sink defines _pieces(), the bytes of a frame, and _end_message(), those of the end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint import BaseSink, BaseSource, Deadline, OutgoingFrame
from framebus.endpoint.kinds.pipe.child import Child
from framebus.endpoint.kinds.pipe.descriptors import Descriptor
from framebus.endpoint.kinds.pipe.nonblocking_io import Closed, EndOfStream, Reader, ReadRequest, Writer
from framebus.endpoint.wire import LINE, Malformed
from framebus.errors import ChannelClosed, EndpointError, Error, PublisherDied, Timeout
from framebus.frames.frame import Frame

FATE_S = 1.0  # how long a child may take to end after it has closed the pipe, to be asked how it ended


def aligned(size: int) -> NDArray[np.uint8]:
    """Returns memory for the arrays of one frame, aligned as those in shared memory are. Raises Malformed for none."""
    try:
        memory = np.empty(size + LINE, np.uint8)
    except MemoryError:
        raise Malformed(f"there is no memory for a frame of {size} bytes") from None
    begin = -memory.ctypes.data % LINE
    return memory[begin : begin + size]


class Pipe(NamedTuple):
    """An opened descriptor, the child at its other side if there is one, and how long close() may wait for that."""

    url: str
    descriptor: Descriptor
    child: Child | None
    linger: float


class PipeSource(BaseSource):
    """Frames out of a pipe."""

    has_end_message = False  # whether an orderly end can be told from a death without asking the child

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(pipe.url)
        self.at_boundary = True
        self._child = pipe.child
        self._linger = pipe.linger
        self._reader = Reader(pipe.descriptor, pipe.url, lambda: self._closed)
        self._running = self._steps()
        self._request: ReadRequest | None = None
        self._over: Error | None = None

    @abstractmethod
    def _steps(self) -> Iterator[memoryview | Frame]:
        """Yields what is to be filled, and frames; may raise Malformed."""

    def _receive(self, deadline: Deadline) -> Frame:
        if self._over is not None:
            raise type(self._over)(*self._over.args)
        try:
            return self._run(deadline)
        except (ChannelClosed, PublisherDied, EndpointError) as error:
            self._over = error
            raise

    def _run(self, deadline: Deadline) -> Frame:
        try:
            while True:
                if self._request is not None:
                    self._reader.fill(self._request, deadline)
                found = self._next_step()
                if found is not None:
                    return found
        except EndOfStream:
            raise self._closed_error() from None
        except Closed:
            raise ChannelClosed(f"{self.url!r} was closed here; open another one") from None

    def _next_step(self) -> Frame | None:
        """Goes on to the next buffer that is wanted, or returns the frame that is complete."""
        self._reader.check_whole()
        try:
            self._reader.torn = True  # until the step is taken: one that was interrupted can't be taken again
            step = next(self._running)
            self._request = None if isinstance(step, Frame) else ReadRequest(step)
            self._reader.torn = False
            return step if isinstance(step, Frame) else None
        except StopIteration:
            self._reader.torn = False
            raise ChannelClosed(f"the program that writes into {self.url!r} has closed it") from None
        except Malformed as error:
            self._count(refused=1)
            raise EndpointError(
                f"what came through {self.url!r} is not a frame: {error}; a pipe has no way to find the next one, so "
                "start both programs again"
            ) from None

    def _closed_error(self) -> Error:
        """The error for a pipe that its writer has closed without saying so in the stream."""
        who = "the program that writes"
        if self._child is not None:
            status = self._child.wait(FATE_S)
            who = self._child.fate(status)
            if self._is_between() and not self.has_end_message and status in (0, None):
                return ChannelClosed(f"{self.url!r} has ended: {who}")
        if not self._is_between():
            return PublisherDied(f"{self.url!r} broke off in the middle of a frame, which is lost: {who} has gone")
        if self.has_end_message or self._child is not None:
            return PublisherDied(f"{self.url!r} broke off without saying that it ends: {who} has gone")
        return ChannelClosed(f"the program that writes into {self.url!r} has closed it")

    def _is_between(self) -> bool:
        """Whether nothing of a frame has come yet."""
        return self.at_boundary and (self._request is None or not self._request.filled)

    def _close(self) -> None:
        self._reader.close()
        if self._child is not None:
            self._child.end(self._linger if self._over is not None else 0)


class PipeSink(BaseSink):
    """Frames into a pipe."""

    def __init__(self, pipe: Pipe) -> None:
        super().__init__(pipe.url)
        self._child = pipe.child
        self._linger = pipe.linger
        self._writer = Writer(pipe.descriptor, pipe.url, lambda: self._closed and not self._leaving)
        self._gone = self._interrupted = self._leaving = self._sending = False

    @abstractmethod
    def _pieces(self, frame: OutgoingFrame) -> list[memoryview]:
        """The bytes of a frame. Raises EndpointError for one that this mode can't carry."""

    def _end_message(self) -> list[memoryview]:
        """The bytes that end the stream."""
        return []

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        pieces = self._pieces(frame)
        began = None
        try:
            self._sending = True
            self._writer.flush(deadline)
            began = self._writer.written
            self._writer.write(pieces, deadline)
        except EndOfStream:
            raise self._nobody_reads() from None
        except Closed:
            raise ChannelClosed(f"{self.url!r} was closed here; open another one") from None
        except BaseException as error:
            self._interrupted = self._interrupted or not isinstance(error, Exception)
            if began is not None and self._writer.written > began:  # the rest of it will go out
                self._last_seq = frame.seq
                self._count(1, sum(array.nbytes for array in frame.arrays.values()))
            raise
        finally:
            self._sending = False

    def _nobody_reads(self) -> ChannelClosed:
        self._gone = True
        why = "the program that read it has gone"
        if self._child is not None:
            why = self._child.fate(self._child.wait(FATE_S))
        return ChannelClosed(f"no program reads {self.url!r} any more: {why}")

    def _close(self) -> None:
        """Writes what is left and the end, and waits for the child; what went wrong is raised when all is closed."""
        problem = None
        linger = 0.0 if self._interrupted else self._linger
        self._leaving = True
        try:
            # While a frame is under way only a signal handler can get here; the stream ends where it is.
            if not self._gone and not self._writer.torn and not self._sending:
                self._writer.write(self._end_message(), Deadline(linger))
        except Timeout:
            problem = EndpointError(
                f"{self.url!r}: the end of the stream was not read within {linger:g} s, so the reader will take it "
                "for broken off; pass a larger linger= to wait longer"
            )
        except EndOfStream:
            self._gone = True
        finally:
            self._leaving = False
            self._count(dropped=1 if self._writer.rest else 0)
            self._writer.close()
            status = 0 if self._child is None else self._child.end(linger)
        if self._child is not None and status != 0 and not self._gone:
            problem = EndpointError(
                f"{self._child.fate(status)}, so what it made of the frames may be broken"
                if status is not None
                else f"{self._child} did not end within {linger:g} s and was stopped; pass a larger linger="
            )
        if problem is not None and not self._interrupted:
            raise problem
