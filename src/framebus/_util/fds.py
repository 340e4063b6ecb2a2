# SPDX-License-Identifier: Apache-2.0
"""The only place in Python that opens descriptors, so that none of them is ever 0, 1 or 2.

Promise: what the functions here return is 3 or more and closed by exec. The reasons, and the two steps (take the
standard numbers first, lift what lands there nevertheless), are those of include/framebus/os/linux/fds.hpp.

Libraries open descriptors, too (sockets of ZeroMQ, D-Bus and X, files of PyAV and Pillow, queues), and choose the
numbers. So fill_standard() is called before each use of such a library, and when this module is imported: an event loop
or a camera that a program opens before its first Publisher is then safe as well.
"""

from __future__ import annotations

import fcntl
import os
import socket as sockets

from framebus import _core

FIRST = 3  # the first number that is not a standard stream's

fill_standard = _core.fill_standard_fds
is_filler = _core.is_filler


def open_path(path: str, flags: int, mode: int = 0o777) -> int:
    """Does what os.open() does."""
    fill_standard()
    return lift(os.open(path, flags | os.O_CLOEXEC, mode))


def pipe() -> tuple[int, int]:
    """Makes a pipe; returns its reading and its writing end. Raises OSError."""
    fill_standard()
    reading, writing = os.pipe()
    try:
        reading = lift(reading)
        return reading, lift(writing)
    except OSError:
        os.close(reading)
        raise


def dup(fd: int) -> int:
    """Returns another descriptor of the same open file. Raises OSError."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST)


def memfd(name: str, flags: int) -> int:
    """Does what os.memfd_create() does."""
    fill_standard()
    return lift(os.memfd_create(name, flags | os.MFD_CLOEXEC))


def socket(family: int, kind: int) -> sockets.socket:
    """Does what socket.socket() does."""
    fill_standard()
    return _lifted(sockets.socket(family, kind))


def socketpair(family: int = sockets.AF_UNIX, kind: int = sockets.SOCK_STREAM) -> tuple[sockets.socket, sockets.socket]:
    """Does what socket.socketpair() does."""
    fill_standard()
    one, other = sockets.socketpair(family, kind)
    return _lifted(one), _lifted(other)


def lift(fd: int) -> int:
    """Moves a descriptor that was just opened or received, and that nothing else knows yet, to 3 or above.

    Raises OSError, and has closed it then.
    """
    if fd >= FIRST:
        return fd
    try:
        return dup(fd)
    finally:
        os.close(fd)
        fill_standard()


def _lifted(opened: sockets.socket) -> sockets.socket:
    if opened.fileno() >= FIRST:
        return opened
    return sockets.socket(opened.family, opened.type, opened.proto, fileno=lift(opened.detach()))


fill_standard()
