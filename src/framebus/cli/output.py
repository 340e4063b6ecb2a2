# SPDX-License-Identifier: Apache-2.0
"""What a command prints: results on standard output, everything else in single lines on standard error.

Promises. A result that can't be written is an error of the command, in one line and with a status, and no traceback:
standard output may be closed, full, or a pipe without a reader. What can't be written to standard error is
dropped, and never goes to standard output, which may carry frames. Characters that the encoding lacks are printed as
\\x, \\u or \\U escapes.

Nothing beyond the standard library is imported before console() is called: main() prints without the extras.
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
import sys
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console

WIDE = 200  # columns where the output is not a terminal


class OutputFailed(Exception):
    """Standard output takes nothing more. It is not an OSError, so no command takes it for one of its own."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"can't write to standard output: {error.strerror}")
        self.unread = error.errno == errno.EPIPE  # the reader, `head` for example, has seen enough


class _Descriptor(io.RawIOBase):
    """Standard output or standard error. The first error is raised as OutputFailed, or dropped; then all is dropped."""

    def __init__(self, descriptor: int, is_open: bool, drop_errors: bool) -> None:
        self._descriptor = descriptor
        self._is_open = is_open
        self._drop = drop_errors

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if not self._is_open:
            raise io.UnsupportedOperation("this program was started without it")
        return self._descriptor

    def isatty(self) -> bool:
        return self._is_open and os.isatty(self._descriptor)

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes some of `data`, and waits where the descriptor is a full one that does not block."""
        while not (self._drop and not self._is_open):
            try:
                if not self._is_open:
                    raise OSError(errno.EBADF, "it is closed")
                return os.write(self._descriptor, data)
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                self._is_open = False
                if not self._drop:
                    self._drop = True
                    raise OutputFailed(error) from error
        return memoryview(data).nbytes


def take_over() -> None:
    """Replaces sys.stdout and sys.stderr, which are None where the descriptor was closed at the start."""
    sys.stdout = _text(1, sys.stdout, drop_errors=False)
    sys.stderr = _text(2, sys.stderr, drop_errors=True)


def _text(descriptor: int, before: TextIO | None, drop_errors: bool) -> TextIO:
    raw = _Descriptor(descriptor, before is not None, drop_errors)
    encoding = "utf-8" if before is None else before.encoding
    by_line = drop_errors or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=by_line)


def console() -> Console:
    """Returns what prints tables: as wide as the terminal, or wide where it is not a terminal."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=WIDE)


def print_json(value: object) -> None:
    """Prints a result for scripts."""
    print(json.dumps(value, indent=2))


def say(command: str, message: str) -> None:
    """Prints a line for people to standard error."""
    print(f"framebus {command}: {message}".replace("\n", " "), file=sys.stderr, flush=True)


def fail(command: str, message: str, status: int = 1) -> NoReturn:
    """Says why the command ends, and ends it. Status 2 is for mistakes in the arguments."""
    say(command, message)
    sys.exit(status)
