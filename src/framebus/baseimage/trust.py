# SPDX-License-Identifier: Apache-2.0
"""Which files in /dev/shm are used as memory or event: the program that takes a name first decides what is there.

/dev/shm is open to every user, so a stranger can make /dev/shm/NAME and /dev/shm/sem.NAMEMutex before writer or reader
start. A writer would then put its frames into a stranger's file, a reader would believe a stranger's frames, and the C
library ends the program on a semaphore that holds garbage. So each file is checked through the descriptor that is used,
or that is compared with what is used, before anything is read from it, written to it or mapped:

    owner     this user or root, unless public=True
    kind      a regular file, not a link, FIFO, folder or socket; the memory has one name only
    size      a semaphore exactly that of sem_t; the memory of a writer more than the header
    contents  a semaphore as sem_open() makes it; before a writer writes, the header 0 or numbers that an image may have

/dev/shm has the sticky bit: a stranger can make a name that is free, but not replace a file of this user.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys

from framebus._util import owners
from framebus.baseimage.layout import DEPTHS, HEADER
from framebus.errors import CorruptChannel, PermissionDenied

SEMAPHORE_BYTES = 32 if sys.maxsize > 1 << 32 else 16  # sizeof(sem_t)
_SEMAPHORE = struct.Struct("=IIi")  # value, threads that wait, and whether it is shared between processes
_MOST_VALUE = (1 << 31) - 1
_MOST_WAITING = 1 << 22  # threads that Linux can have


def check_regular(facts: os.stat_result, path: str) -> None:
    """Raises CorruptChannel for a folder, a FIFO, a link and the like."""
    if not stat.S_ISREG(facts.st_mode):
        raise CorruptChannel(f"{path} is not shared memory but something else; remove it or use another name")


def check_file(facts: os.stat_result, path: str, public: bool) -> None:
    """Raises PermissionDenied for a stranger's file, CorruptChannel for one that is not regular."""
    if not public and not owners.is_trusted(facts.st_uid):
        raise PermissionDenied(
            errno.EPERM,
            f"{path} belongs to {owners.name_of(facts.st_uid)}, you are {owners.name_of(os.geteuid())}; use another "
            "name, have it removed, or pass public=True if images may be exchanged with other users",
            path,
        )
    check_regular(facts, path)


def check_semaphore(descriptor: int, path: str) -> None:
    """Raises CorruptChannel unless the file holds a semaphore as this C library makes them."""
    size = os.fstat(descriptor).st_size
    if size != SEMAPHORE_BYTES:
        raise CorruptChannel(f"{path} is not a semaphore: it has {size} bytes, expected {SEMAPHORE_BYTES}; remove it")
    if SEMAPHORE_BYTES != 32:  # where the C library packs the numbers otherwise
        return
    value, waiting, shared = _SEMAPHORE.unpack(os.pread(descriptor, _SEMAPHORE.size, 0))
    if shared != _shared() or value > _MOST_VALUE or waiting > _MOST_WAITING:
        raise CorruptChannel(
            f"{path} is not a semaphore: it begins with {value:#x}, {waiting:#x}, {shared:#x}; expected a count, a "
            f"number of waiting threads and {_shared():#x}; remove it"
        )


def check_memory(descriptor: int, path: str) -> None:
    """Raises CorruptChannel for memory that a writer had better not write to: it holds something else."""
    facts = os.fstat(descriptor)
    if facts.st_nlink > 1:
        raise CorruptChannel(f"{path} is another name of a file that has {facts.st_nlink}; remove it or use another")
    if facts.st_size <= HEADER.size:
        raise CorruptChannel(
            f"{path} has {facts.st_size} bytes, an image takes more than {HEADER.size}; remove it or use another name"
        )
    length, width, height, bits = HEADER.unpack(os.pread(descriptor, HEADER.size, 0))
    if not (0 <= length <= facts.st_size - HEADER.size and width >= 0 and height >= 0 and bits in (0, *DEPTHS)):
        raise CorruptChannel(
            f"{path} holds no image: length {length}, width {width}, height {height}, {bits} bits per pixel; it would "
            "be overwritten. Remove it or use another name"
        )


def _shared() -> int:
    """What this C library writes into a semaphore that processes share."""
    made = ctypes.create_string_buffer(SEMAPHORE_BYTES)
    ctypes.CDLL(None).sem_init(made, 1, ctypes.c_uint(0))
    return int(_SEMAPHORE.unpack_from(made.raw)[2])
