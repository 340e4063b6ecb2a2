# SPDX-License-Identifier: Apache-2.0
"""Reading and writing the bytes of a pipe with deadlines, for every mode of pipe:.

Reader and Writer block in poll() alone, so Ctrl-C, a deadline and close() in another thread end every wait. Neither
loses its place in the stream:

- A Reader that runs out of time keeps what it has read; the next call goes on there.
- A Writer that runs out of time in the middle of a message copies the rest of it, and the message counts as sent; the
  rest goes out before the next one, or at the end. A deadline that passes before the first byte leaves nothing behind.

Only an exception that arrives while the system call itself moves bytes, such as that of Ctrl-C, leaves the number of
bytes unknown. The stream is then `torn`, and says so from then on.
"""

from __future__ import annotations

import io
import os
import select
from collections.abc import Callable, Iterable, Sequence

from framebus.endpoint import Deadline
from framebus.endpoint.kinds.pipe.descriptors import Descriptor
from framebus.errors import EndpointError, Timeout

SLICE_MS = 100  # how long a wait may go on before it looks whether it was closed here


_NOTHING_CAME, _NO_ROOM = "nothing came through", "no room in"


class EndOfStream(Exception):
    """The other program has closed the pipe."""


class Closed(Exception):
    """This end has been closed."""


class ReadRequest:
    """A buffer to be filled, and how many bytes of it are there."""

    def __init__(self, buffer: memoryview) -> None:
        self.buffer = buffer
        self.filled = 0


class _NonblockingFile:
    def __init__(self, descriptor: Descriptor, url: str, is_closed: Callable[[], bool], events: int) -> None:
        self.torn = False
        self._url = url
        self._file: io.FileIO = descriptor.file
        self._may_block = descriptor.may_block
        self._is_closed = is_closed
        self._poll = select.poll()
        self._poll.register(self._file, events)

    def close(self) -> None:
        """Closes the descriptor."""
        self._file.close()

    def _wait(self, deadline: Deadline, what: str) -> None:
        while not self._poll.poll(SLICE_MS if deadline.timeout is None else deadline.left_ms(SLICE_MS / 1000)):
            if self._is_closed():
                raise Closed
            if deadline.is_over:
                raise deadline.fail(f"{what} {self._url!r}")
        if self._is_closed():
            raise Closed

    def check_whole(self) -> None:
        """Raises EndpointError if the stream is torn."""
        if self.torn:
            raise EndpointError(
                f"{self._url!r}: an interrupt came in the middle of a frame, so where the next one begins is "
                "not known; close it and open another one"
            )


class Reader(_NonblockingFile):
    """Fills buffers from the pipe, one after the other."""

    def __init__(self, descriptor: Descriptor, url: str, is_closed: Callable[[], bool]) -> None:
        super().__init__(descriptor, url, is_closed, select.POLLIN)

    def fill(self, request: ReadRequest, deadline: Deadline) -> None:
        """Fills all of it; after Timeout it must be called with the same one again.

        Raises:
            Timeout: not all of it came in time.
            EndOfStream: the other program closed the pipe before.
            Closed: the pipe was closed here meanwhile.
            EndpointError: the system refused, or the stream is torn.
        """
        self.check_whole()
        left = request.buffer[request.filled :]
        while left:
            if self._may_block:
                self._wait(deadline, _NOTHING_CAME)
            try:
                self.torn = True
                count = os.readv(self._file.fileno(), (left,))
                request.filled += count
                self.torn = False
            except BlockingIOError:
                self.torn = False
                self._wait(deadline, _NOTHING_CAME)
                continue
            except ValueError:  # a signal handler has closed it
                raise Closed from None
            except OSError as error:
                raise EndpointError(f"{self._url!r} can't be read: {error.strerror}") from error
            if not count:
                raise EndOfStream
            left = left[count:]


class Writer(_NonblockingFile):
    """Writes messages into the pipe, each made of pieces that are not copied."""

    def __init__(self, descriptor: Descriptor, url: str, is_closed: Callable[[], bool]) -> None:
        super().__init__(descriptor, url, is_closed, select.POLLOUT)
        self.rest: list[memoryview] = []  # of a message that is not out yet
        self.written = 0  # bytes

    def write(self, pieces: Iterable[memoryview], deadline: Deadline) -> None:
        """Writes one message; see above for what a deadline means.

        Raises:
            Timeout: there was no room in time; nothing of it is written or kept.
            EndOfStream: the reader is gone.
            Closed: the pipe was closed here meanwhile.
            EndpointError: the system refused, or the stream is torn.
        """
        self.flush(deadline)
        left = [piece for piece in pieces if piece.nbytes]
        size = _size(left)
        try:
            self._drain(left, deadline)
        except BaseException as error:
            if not self.torn and _size(left) < size:
                self.torn = True
                self.rest = [memoryview(bytes(piece)) for piece in left]
                self.torn = False
                if isinstance(error, Timeout):
                    return
            raise

    def flush(self, deadline: Deadline) -> None:
        """Writes what is left of the message before. Raises as write() does."""
        self._drain(self.rest, deadline)

    def _drain(self, left: list[memoryview], deadline: Deadline) -> None:
        """Writes the pieces and takes what is written off the list."""
        self.check_whole()
        while left:
            if self._may_block:
                self._wait(deadline, _NO_ROOM)
            try:
                self.torn = True
                count = os.writev(self._file.fileno(), _at_once(left) if self._may_block else left)
                self.written += count
                if count < left[0].nbytes:
                    left[0] = left[0][count:]
                else:
                    _take_off(left, count)
                self.torn = False
            except BlockingIOError:
                self.torn = False
                self._wait(deadline, _NO_ROOM)
            except BrokenPipeError:
                self.torn = False
                raise EndOfStream from None
            except ValueError:  # a signal handler has closed it
                raise Closed from None
            except OSError as error:
                raise EndpointError(f"{self._url!r} can't be written to: {error.strerror}") from error


def _at_once(left: list[memoryview]) -> Sequence[memoryview]:
    """As much as poll() promises room for."""
    return [left[0][: select.PIPE_BUF]]


def _take_off(left: list[memoryview], count: int) -> None:
    while left and count >= left[0].nbytes:
        count -= left.pop(0).nbytes
    if count:
        left[0] = left[0][count:]


def _size(pieces: Iterable[memoryview]) -> int:
    return sum(piece.nbytes for piece in pieces)
