# SPDX-License-Identifier: Apache-2.0
"""Linux: named POSIX semaphores of the C library, through ctypes, and what is common to files in /dev/shm.

Calls leave the interpreter to other threads. sem_clockwait waits on the monotonic clock, so nothing depends on the time
of day, and returns when a signal comes, so that Ctrl-C is seen at once; where the C library has none, a wait is a short
sleep and a look. A file that is not a semaphore, or a stranger's, is refused before libc uses it (trust.py).
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
import time

from framebus._util import fds, lifetime, owners
from framebus._util.exhausted import is_none_left, none_left
from framebus.baseimage.trust import check_file, check_semaphore
from framebus.errors import CorruptChannel, PermissionDenied, SystemFailure

FOLDER = "/dev/shm/"
TRIES = 200  # for what other programs may change meanwhile

Identity = tuple[int, int]


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


libc = ctypes.CDLL(None, use_errno=True)
libc.sem_open.restype = ctypes.c_void_p
for _name in ("sem_post", "sem_trywait", "sem_close"):
    getattr(libc, _name).argtypes = (ctypes.c_void_p,)
libc.sem_getvalue.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_int))
libc.memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_clockwait = getattr(libc, "sem_clockwait", None)  # glibc 2.30
if _clockwait is not None:
    _clockwait.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_TimeSpec))


# Held while libc opens or closes a semaphore: a fork in the middle of that would leave libc's own lock locked.
_opening = threading.Lock()
lifetime.hold_across_forks(_opening)


def failure(what: str, path: str, error: OSError) -> Exception:
    """Returns what to raise for `error`, which came of trying to `what` with the file of this path."""
    what = f"{what} {path}"
    if is_none_left(error.errno):
        return none_left(f"cannot {what}", error.errno, path)
    if isinstance(error, PermissionError):
        facts = facts_of(path)
        owner = "its owner" if facts is None else owners.name_of(facts.st_uid)
        message = f"cannot {what}: {error.strerror}; {owner} must let you read and write it (mode=)"
        return PermissionDenied(error.errno, message, path)
    if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV):
        return CorruptChannel(
            f"cannot {what}: it is not shared memory ({error.strerror}); remove it or use another name"
        )
    return SystemFailure(error.errno, f"cannot {what}: {error.strerror}", path)


def never_settles(path: str) -> SystemFailure:
    """Returns what to raise where the file of this path was another one at each look."""
    return SystemFailure(errno.EAGAIN, f"{path} is removed and made again without end by other programs", path)


def identity_of(facts: os.stat_result) -> Identity:
    """What tells a file from every other that exists now."""
    return facts.st_dev, facts.st_ino


def facts_of(path: str) -> os.stat_result | None:
    """Returns what is known about the file of this name, None if there is none."""
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


class Semaphore:
    """An open named semaphore."""

    def __init__(self, name: str, mode: int | None, public: bool = False) -> None:
        """Opens it, or makes it, at 0, if there is a `mode`. Raises FileNotFoundError if there is none.

        Raises what trust.py raises for a file that is not to be used.
        """
        self.path = f"{FOLDER}sem.{name}Mutex"
        c_name = f"/{name}Mutex".encode()
        for _ in range(TRIES):
            before = self._checked(public)
            if before is None and mode is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
            flags = 0 if before is not None else os.O_CREAT | os.O_EXCL
            fds.fill_standard()
            with _opening:
                self._handle = libc.sem_open(c_name, flags, ctypes.c_uint(mode or 0), ctypes.c_uint(0))
                code = 0 if self._handle else ctypes.get_errno()
            if code not in (0, errno.ENOENT, errno.EEXIST):
                raise failure("open the semaphore", self.path, OSError(code, os.strerror(code)))
            after = facts_of(self.path)
            # A file that libc made, or was checked. libc has only mapped it so far, which does no harm.
            if self._handle and after and (before is None or before == identity_of(after)):
                self.identity = identity_of(after)
                self.made = before is None
                if before is None and mode is not None:
                    os.chmod(self.path, mode)  # whatever the umask
                return
            if self._handle:
                self.close()
        raise never_settles(self.path)

    def _checked(self, public: bool) -> Identity | None:
        """Returns which file has the name, once it has been checked; None if there is none."""
        facts = facts_of(self.path)
        if facts is None:
            return None
        check_file(facts, self.path, public)
        try:
            descriptor = fds.open_path(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failure("open the semaphore", self.path, error) from None
        try:
            facts = os.fstat(descriptor)
            check_file(facts, self.path, public)
            check_semaphore(descriptor, self.path)
        finally:
            os.close(descriptor)
        return identity_of(facts)

    def value(self) -> int:
        """Posts that were not taken."""
        value = ctypes.c_int()
        libc.sem_getvalue(self._handle, ctypes.byref(value))
        return value.value

    def try_take(self) -> bool:
        """Takes one if there is one."""
        return bool(libc.sem_trywait(self._handle) == 0)

    def post(self) -> None:
        """Adds one, after all that this thread has written before."""
        libc.sem_post(self._handle)  # fails only at INT_MAX, where it is set

    def take(self, seconds: float) -> bool:
        """Takes one and waits for it; False when there is none within `seconds`, or sooner."""
        if self.try_take():
            return True
        if seconds <= 0:
            return False
        if _clockwait is None:
            time.sleep(min(seconds, 0.001))
            return self.try_take()
        until = time.monotonic_ns() + int(seconds * 1e9)
        limit = _TimeSpec(until // 1_000_000_000, until % 1_000_000_000)
        return bool(_clockwait(self._handle, time.CLOCK_MONOTONIC, ctypes.byref(limit)) == 0)

    def close(self) -> None:
        """Closes it; it must not be used any more. May be repeated."""
        with _opening:
            handle, self._handle = self._handle, None
            if handle:
                libc.sem_close(handle)
