# SPDX-License-Identifier: Apache-2.0
"""Matroska files whose clock counts units of 20 microseconds. FFmpeg's writer supports milliseconds only.

Every time in a Matroska file counts units of its TimestampScale, 1,000,000 ns with FFmpeg. The encoder's packets are
handed over with times in units of 20 microseconds under the name of milliseconds, and the one TimestampScale that
FFmpeg writes into the header, and again when it closes the file, is replaced by 20,000 on its way. Nothing else in the
file depends on it: blocks, cues and the duration count the same units, the duration of a frame is in nanoseconds. The
checksum that would cover the header is left out.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final, Protocol

TICKS: Final = 50_000  # a second
NAMED_TIME_BASE: Final = Fraction(1, 1000)  # what FFmpeg takes the ticks for
OPTIONS: Final = {"write_crc32": "0"}

_WRITTEN = bytes.fromhex("2ad7b1 83 0f4240")  # TimestampScale, three bytes, 1000000
_WANTED = bytes.fromhex("2ad7b1 83 004e20")  # 20000
_HEADER_BYTES = 4096


class File(Protocol):
    """A file to write to."""

    def write(self, data: bytes) -> int: ...  # noqa: D102 - as io.RawIOBase has it
    def seek(self, offset: int, whence: int = 0) -> int: ...  # noqa: D102
    def tell(self) -> int: ...  # noqa: D102


class FineClock:
    """A file in which the TimestampScale is replaced as it is written.

    Attributes:
        replaced: how often; 0 after the header means that FFmpeg has written something else.
    """

    def __init__(self, file: File) -> None:
        """Hands everything on to `file`."""
        self._file, self.replaced = file, 0
        self.seek, self.tell = file.seek, file.tell

    def write(self, data: bytes) -> int:
        """Writes all of `data`."""
        if self.tell() < _HEADER_BYTES and _WRITTEN in data[:_HEADER_BYTES]:
            data = data.replace(_WRITTEN, _WANTED, 1)
            self.replaced += 1
        return self._file.write(data)
