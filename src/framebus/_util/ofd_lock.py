# SPDX-License-Identifier: Apache-2.0
"""Exclusive locks on bytes of a file that belong to an open file description (F_OFD_SETLK, see fcntl(2)).

The kernel drops them when the last descriptor of that description is closed, so also when the owner dies. A forked
child shares them. Bytes behind the end of the file can be locked, too. No call waits.
"""

from __future__ import annotations

import fcntl
import os
import struct

TO_THE_END = 0  # as a length: all bytes from `start` on

_FLOCK = struct.Struct("hhqqi4x")  # struct flock with 64-bit offsets: type, whence, start, length, process


def lock(descriptor: int, start: int, length: int = 1) -> bool:
    """Locks bytes of a file that is open for writing; False where another description has one of them locked."""
    try:
        _fcntl(descriptor, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, start, length)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int, start: int, length: int = 1) -> None:
    """Unlocks bytes, whether they are locked or not."""
    _fcntl(descriptor, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, start, length)


def holder(descriptor: int, start: int, length: int = 1) -> tuple[int, int] | None:
    """Returns start and length of a lock of another description that covers one of the bytes, None without one."""
    kind, _, start, length, _ = _fcntl(descriptor, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, start, length)
    return None if kind == fcntl.F_UNLCK else (start, length)


def _fcntl(descriptor: int, command: int, kind: int, start: int, length: int) -> tuple[int, int, int, int, int]:
    answer = fcntl.fcntl(descriptor, command, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
    found: tuple[int, int, int, int, int] = _FLOCK.unpack(answer)
    return found
