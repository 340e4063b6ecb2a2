# SPDX-License-Identifier: Apache-2.0
"""Linux: the memory is /dev/shm/NAME, the event the POSIX semaphore NAMEMutex, which is /dev/shm/sem.NAMEMutex.

From C they are shm_open("/NAME") and sem_open("/NAMEMutex"), linked against glibc. What this file decides:

- *The memory is read and written by pread and pwrite, never mapped.* If another program cuts the file, a mapping
  ends in SIGBUS, which Python can't catch; pread returns less. A full /dev/shm is an error, too, not a signal. It costs
  two to three times a memcpy, and is one copy all the same. Nothing is mapped, so nothing is mapped twice.
- *The semaphore counts to one.* Setting it is posting it and taking off what is above one; in this order, so that a
  death in between loses no signal. Waiting for it takes all there is, since foreign programs may post without looking;
  what they post later is for a later copy. After a copy only one is taken: the next may be that of the next frame.
- *The last program to close removes both files*, as Windows does with the last handle. The kernel says which is the
  last: it grants a lease (F_SETLEASE) only on a file that no other program has open or mapped. That counts foreign
  programs and those in other containers, and no killed ones. Two that close at once take turns by a lock, so one of
  them is the last. Where the kernel does not tell (another user's file), the files stay, as they do when the last
  program is killed; the next program with framebus to close removes them.
- *One writer with framebus at a time*: it holds a lock on a byte far behind the end of the memory, which the kernel
  drops at death. Foreign writers do not know this lock and can't be refused. While it writes a frame it locks the next
  byte as well, so that readers with framebus see it.
- *New memory gets its name when it has its size*, so no program can map an empty one.

- *Both files are a trusted user's*, and what they are said to be: trust.py.

A semaphore file that its owner cuts while it is in use ends the program: libc maps it. It is checked before each use.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from framebus._util import fds, lifetime, ofd_lock
from framebus.baseimage.place import Place
from framebus.baseimage.semaphore import (
    FOLDER,
    TRIES,
    Semaphore,
    facts_of,
    failure,
    identity_of,
    libc,
    never_settles,
)
from framebus.baseimage.trust import SEMAPHORE_BYTES, check_file, check_memory
from framebus.errors import ChannelInUse, ChannelNotFound, FrameTooLarge

_OPEN_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PAUSE_S = 0.005
_MOST_POSTS = 10_000  # of a program that posts without looking; more would take too long
_CHUNK = 256 << 10  # compared at a time: stays in the cache

_WRITER, _LEAVING, _FRAME = 1 << 62, (1 << 62) + 1, (1 << 62) + 2  # bytes that are locked; no image is that long


def _is_mine_alone(descriptor: int) -> bool:
    """Returns whether no other description of the file is open or mapped anywhere, as far as the kernel tells.

    While it is true no program can open the file before `descriptor` is closed; one that tries waits.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # says that a program waits; ignored by default
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError:  # another program has it open; or it is not our file, or the file system has no leases
        return False
    return True


class SystemPlace(Place):
    """See Place."""

    def __init__(self, name: str, memory: int, semaphore: Semaphore) -> None:
        self._path = FOLDER + name
        self._memory = memory
        self._identity = identity_of(os.fstat(memory))
        self._semaphore = semaphore
        self._reserved = 0
        lifetime.forget_in_children(self)

    @classmethod
    def open(cls, name: str, public: bool = False) -> SystemPlace:
        """Opens both files."""
        return cls._find(name, None, 0, public)

    @classmethod
    def make(cls, name: str, capacity: int, mode: int, public: bool = False) -> SystemPlace:
        """Opens or makes both files and takes the lock of the writer."""
        place = cls._find(name, mode, capacity, public)
        if not ofd_lock.lock(place._memory, _WRITER):
            place.close(keep=True)
            raise ChannelInUse(
                f"another program writes '{name}', and the next frame of either would overwrite the other's; end it "
                f"first (`fuser {place._path}` shows which program has it open), or use another name"
            )
        return place

    @classmethod
    def _find(cls, name: str, mode: int | None, capacity: int, public: bool) -> SystemPlace:
        for _ in range(TRIES):
            # The semaphore first: a program that finds the memory finds it as well.
            try:
                semaphore = Semaphore(name, mode, public)
            except FileNotFoundError as error:
                raise _not_found(name) from error
            try:
                memory = _open_memory(FOLDER + name, mode, capacity, public)
            except FileNotFoundError as error:
                semaphore.close()
                raise _not_found(name) from error
            except BaseException:
                semaphore.close()
                if semaphore.made:
                    os.unlink(semaphore.path)
                raise
            if memory is not None:
                place = cls(name, memory, semaphore)
                if place.is_current():
                    return place
                place.forget()
            else:
                semaphore.close()
            time.sleep(_PAUSE_S)
        raise never_settles(FOLDER + name)

    def size(self) -> int:
        """Length of the file."""
        return os.fstat(self._memory).st_size

    def read_into(self, offset: int, buffer: NDArray[np.uint8]) -> int:
        """Copies up to the end of the file."""
        return os.preadv(self._memory, [buffer.data], offset)

    def matches(self, offset: int, buffer: NDArray[np.uint8]) -> bool:
        """Reads piece by piece into the cache, and compares there."""
        chunk = np.empty(_CHUNK, np.uint8)
        there, here = buffer.ctypes.data, chunk.ctypes.data
        for start in range(0, buffer.size, _CHUNK):
            count = min(_CHUNK, buffer.size - start)
            if os.preadv(self._memory, [chunk[:count].data], offset + start) != count:
                return False
            if libc.memcmp(there + start, here, count):
                return False
        return True

    def reserve(self, count: int) -> None:
        """Takes the pages, once for each size."""
        if count <= self._reserved:
            return
        try:
            os.posix_fallocate(self._memory, 0, count)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise failure(f"reserve {count} bytes of", self._path, error) from None
            room = os.statvfs(FOLDER)
            raise FrameTooLarge(
                f"/dev/shm is full: {count} bytes wanted for {self._path}, {room.f_bavail * room.f_frsize} bytes free; "
                "make room, or give the container more (--shm-size)"
            ) from None
        self._reserved = count

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Copies all of it; a file that was cut meanwhile becomes longer again."""
        view = memoryview(data)
        while view.nbytes:
            written = os.pwrite(self._memory, view, offset)
            view, offset = view[written:], offset + written

    def begin_frame(self) -> None:
        """Locks a byte that no other program locks."""
        ofd_lock.lock(self._memory, _FRAME)

    def end_frame(self) -> None:
        """Unlocks it."""
        ofd_lock.unlock(self._memory, _FRAME)

    def is_being_written(self) -> bool:
        """Asks whether it is locked."""
        return ofd_lock.holder(self._memory, _FRAME) is not None

    def set(self) -> bool:
        """Posts, then takes off what is above one."""
        was_set = self._semaphore.value() > 0
        self._semaphore.post()
        for _ in range(_MOST_POSTS):
            if self._semaphore.value() <= 1 or not self._semaphore.try_take():
                break
        return was_set

    def take(self, seconds: float) -> bool:
        """Takes all posts; only the first may have to be waited for."""
        if not self._semaphore.take(seconds):
            return False
        for _ in range(_MOST_POSTS):
            if not self._semaphore.try_take():
                break
        return True

    def acknowledge(self) -> None:
        """Takes one post."""
        self._semaphore.try_take()

    def is_set(self) -> bool:
        """Whether there is a post."""
        return self._semaphore.value() > 0

    def is_current(self) -> bool:
        """Compares the files that have the names with those that are open."""
        memory, semaphore = facts_of(self._path), facts_of(self._semaphore.path)
        return (
            memory is not None
            and semaphore is not None
            and identity_of(memory) == self._identity
            and identity_of(semaphore) == self._semaphore.identity
            and semaphore.st_size >= SEMAPHORE_BYTES
        )

    def has_event_of(self, other: Place) -> bool:
        """Compares the files of the semaphores."""
        return isinstance(other, SystemPlace) and self._semaphore.identity == other._semaphore.identity

    def stand_down(self) -> None:
        """Drops the lock of the writer."""
        ofd_lock.unlock(self._memory, _WRITER)

    def close(self, keep: bool) -> None:
        """Closes both; removes them if no other program has them open."""
        self._semaphore.close()
        try:
            if not keep:
                self._remove_if_last()
        finally:
            self.forget()

    def forget(self) -> None:
        """Closes both without a look at other programs: a forked child must not count as one that uses the files."""
        self._semaphore.close()
        memory, self._memory = self._memory, -1
        if memory >= 0:
            os.close(memory)

    def _remove_if_last(self) -> None:
        for _ in range(TRIES):
            if ofd_lock.lock(self._memory, _LEAVING):
                break
            time.sleep(_PAUSE_S)
        else:
            return  # another program is stopped while it closes, so it will be the last
        if not _is_mine_alone(self._memory):
            return
        with self._semaphore_file() as semaphore:
            if semaphore is not None and not _is_mine_alone(semaphore):
                return
            for path, identity in (
                (self._path, self._identity), (self._semaphore.path, self._semaphore.identity)
            ):  # fmt: skip
                facts = facts_of(path)
                if facts is not None and identity_of(facts) == identity:
                    with contextlib.suppress(PermissionError):  # a file of another user's in a sticky folder stays
                        os.unlink(path)

    @contextlib.contextmanager
    def _semaphore_file(self) -> Iterator[int | None]:
        """Yields a descriptor of the semaphore's file, None if its name is gone."""
        try:
            descriptor = fds.open_path(self._semaphore.path, _OPEN_FLAGS)
        except OSError:
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _open_memory(path: str, mode: int | None, capacity: int, public: bool) -> int | None:
    """Returns a descriptor, None to try again; makes the memory if there is a `mode`."""
    try:
        memory = fds.open_path(path, _OPEN_FLAGS)
    except FileNotFoundError:
        if mode is None:
            raise
        return _make_memory(path, mode, capacity)
    except BlockingIOError:  # its last user is just removing it
        return None
    except OSError as error:
        raise failure("open", path, error) from None
    try:
        facts = os.fstat(memory)
        check_file(facts, path, public)
        if facts.st_size == 0 and mode is not None:  # made by a program that got no further
            os.truncate(memory, capacity)
        if mode is not None:
            check_memory(memory, path)
    except BaseException:
        os.close(memory)
        raise
    return memory


def _make_memory(path: str, mode: int, capacity: int) -> int | None:
    try:
        memory = fds.open_path(FOLDER, os.O_TMPFILE | os.O_RDWR, mode)
    except OSError as error:
        raise failure("make", path, error) from None
    try:
        os.fchmod(memory, mode)  # whatever the umask
        os.truncate(memory, capacity)
        os.link(f"/proc/self/fd/{memory}", path, src_dir_fd=memory, follow_symlinks=True)  # a dir_fd makes it follow
    except FileExistsError:
        os.close(memory)
        return None
    except OSError as error:
        os.close(memory)
        raise failure("make", path, error) from None
    return memory


def _not_found(name: str) -> ChannelNotFound:
    missing = " and ".join(path for path in (FOLDER + name, f"{FOLDER}sem.{name}Mutex") if facts_of(path) is None)
    return ChannelNotFound(
        f"the publisher's program has not started: there is no image '{name}'{f' ({missing})' if missing else ''}. "
        "Start it first, or pass connect_timeout="
    )
