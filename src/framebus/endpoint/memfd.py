# SPDX-License-Identifier: Apache-2.0
"""Sealed memory: a memfd that is handed to other programs as a descriptor and can neither change nor shrink.

Promise: the memory that look() returns never changes while it is mapped. look() accepts only a memfd that is sealed
against shrinking and writing, so that neither a write nor SIGBUS can come later. It reads the size after the seals, and
maps nothing that is larger than its caller allows. Huge pages are refused, since they may run out when first read.

The mapping lives as long as the memoryview and every array made from it. Before Python 3.13 it keeps a descriptor.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
from collections.abc import Iterable

from framebus._util import fds
from framebus.endpoint.wire import Malformed

_WANTED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE
_OURS = _WANTED | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


def make(pieces: Iterable[bytes | memoryview]) -> int:
    """Returns the descriptor of a sealed memfd with these bytes, positioned at its beginning.

    Raises OSError.
    """
    memory = fds.memfd("framebus", os.MFD_ALLOW_SEALING)
    try:
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[os.write(memory, left) :]
        os.lseek(memory, 0, os.SEEK_SET)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _OURS)
    except BaseException:
        os.close(memory)
        raise
    return memory


def reopen(memory: int) -> int:
    """Returns another descriptor of a memfd, with a position of its own at the beginning. Raises OSError."""
    return fds.open_path(f"/proc/self/fd/{memory}", os.O_RDONLY)


def look(memory: int, max_bytes: int) -> memoryview:
    """Returns all of a sealed memfd, read-only. The descriptor stays the caller's.

    Raises Malformed for any other descriptor and for more than `max_bytes`, OSError where it can't be mapped.
    """
    try:
        seals = fcntl.fcntl(memory, fcntl.F_GET_SEALS)
    except OSError:
        raise Malformed("its descriptor is not a memfd that can be sealed") from None
    if seals & _WANTED != _WANTED:
        raise Malformed("its memfd is not sealed against shrinking and writing (F_SEAL_SHRINK, F_SEAL_WRITE)")
    if os.fstatvfs(memory).f_bsize != mmap.PAGESIZE:
        raise Malformed("its memfd has huge pages")
    size = os.fstat(memory).st_size
    if size > max_bytes:
        raise Malformed(f"a memfd of {size} bytes, this source takes at most {max_bytes}; pass a larger max_bytes=")
    if size == 0:
        return memoryview(b"")
    # Private, though nothing is written: before Linux 6.7, a sealed memfd could not be mapped shared.
    if sys.version_info >= (3, 13):
        return memoryview(mmap.mmap(memory, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, trackfd=False))
    return memoryview(mmap.mmap(memory, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
