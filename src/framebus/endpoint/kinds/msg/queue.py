# SPDX-License-Identifier: Apache-2.0
"""A POSIX message queue of Linux with its participants: which make it, which are attached, and which removes it.

Places: on Linux a queue is a file, and every participant holds an open-file-description lock on one byte of it: byte 0
for the receiver, 1 to MAX_SENDERS for the senders. The kernel drops the lock when its owner exits in any way. So the
locks alone say which participants are attached. A forked child shares the lock of its parent.

Life: the first participant makes the queue, with mode 0600. One that closes releases its place and then tries to lock
all bytes at once. Only the last one succeeds, and removes the name. One that attaches tries the same: if it succeeds on
a queue that it did not make, killed programs left it, perhaps with half a frame in it; it is removed, and a new one
made. A queue in which a participant has its place can't be removed. A participant that got its place in a queue whose
name is gone starts over.

Only wait() waits: every other call fails at once instead.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
from pathlib import Path
from typing import Any

from framebus._util import ofd_lock
from framebus._util.exhausted import check_descriptors
from framebus._util.ofd_lock import TO_THE_END
from framebus.endpoint.kinds.msg.parts import LEAST_BYTES, MAX_SENDERS
from framebus.errors import EndpointError, PermissionDenied, SystemFailure

_RECEIVER = 0
_TRIES = 1000
_OVERHEAD = 128  # bytes that the kernel counts for each message beyond its size; rounded up
_LIMITS = Path("/proc/sys/fs/mqueue")


class Queue:
    """One end's place at a queue.

    Attributes:
        place: the number of its byte.
        depth: messages that the queue has room for.
        part_bytes: bytes of the largest message.
    """

    def __init__(self, name: str, *, receives: bool, depth: int | None, part_bytes: int | None) -> None:
        """Joins the queue, or makes it. Raises EndpointError or PermissionDenied."""
        import posix_ipc

        self._ipc = posix_ipc
        self.name = name
        self._path = f"/framebus.{name}"
        self._receives = receives
        for _ in range(_TRIES):
            made = self._open(depth, part_bytes)
            try:
                place = self._enter(made)
            except BaseException:
                self._queue.close()
                raise
            if place is not None:
                self.place = place
                break
            self._queue.close()
            os.sched_yield()
        else:
            raise EndpointError(f"msg:{name} is opened and closed by others without end; try again")
        self.depth: int = self._queue.max_messages
        self.part_bytes: int = self._queue.max_message_size
        if self.part_bytes < LEAST_BYTES:
            self.leave()
            raise EndpointError(f"msg:{name} has messages of {self.part_bytes} bytes; expected {LEAST_BYTES} or more")
        self._queue.block = False
        self._event = select.POLLIN if receives else select.POLLOUT

    # Coming and going

    def leave(self) -> None:
        """Releases the place; the last participant removes the queue."""
        ofd_lock.unlock(self._queue.mqd, 0, TO_THE_END)
        if ofd_lock.lock(self._queue.mqd, 0, TO_THE_END) and self._has_the_name():
            self._unlink()
        self._queue.close()

    def _enter(self, made: bool) -> int | None:
        """Takes a place and returns it; None if this queue is being removed, or was a left-over one."""
        if os.fstat(self._queue.mqd).st_uid != os.geteuid():
            raise self._strange(errno.EPERM, f"user {os.fstat(self._queue.mqd).st_uid}")
        alone = ofd_lock.lock(self._queue.mqd, 0, TO_THE_END)
        if alone and not made:
            if self._has_the_name():
                self._unlink()
            return None
        place = self._take_place()
        if alone and place is not None:
            if place > 0:
                ofd_lock.unlock(self._queue.mqd, 0, place)
            ofd_lock.unlock(self._queue.mqd, place + 1, TO_THE_END)
        return place if place is not None and self._has_the_name() else None

    def _take_place(self) -> int | None:
        if self._receives:
            if ofd_lock.lock(self._queue.mqd, _RECEIVER, 1):
                return _RECEIVER
            if ofd_lock.holder(self._queue.mqd, _RECEIVER, 1) == (_RECEIVER, 1):
                raise EndpointError(
                    f"msg:{self.name} has a receiver already, and two would tear each other's frames apart; for many"
                    " receivers use mailslot:, or a channel"
                )
            return None  # another participant has locked everything, for a moment
        for place in range(1, MAX_SENDERS + 1):
            if ofd_lock.lock(self._queue.mqd, place, 1):
                return place
        if not all(ofd_lock.holder(self._queue.mqd, place, 1) == (place, 1) for place in range(1, MAX_SENDERS + 1)):
            return None  # another participant was about to release all bytes but one
        raise EndpointError(f"msg:{self.name} has {MAX_SENDERS} senders already, more can't be told apart")

    def is_read(self) -> bool:
        """Whether a receiver is here."""
        return ofd_lock.holder(self._queue.mqd, _RECEIVER, 1) is not None

    def senders(self) -> set[int]:
        """Returns the places of all senders that are here."""
        if ofd_lock.holder(self._queue.mqd, 1, MAX_SENDERS) is None:
            return set()
        return {place for place in range(1, MAX_SENDERS + 1) if ofd_lock.holder(self._queue.mqd, place, 1) is not None}

    # Messages

    def put(self, part: bytes, priority: int) -> bool:
        """Puts one message into the queue; returns False if it is full."""
        try:
            self._queue.send(part, priority=priority)
        except self._ipc.BusyError:
            return False
        return True

    def get(self) -> bytes | None:
        """Takes the first message out of the queue; returns None if there is none."""
        try:
            part: bytes = self._queue.receive()[0]
        except self._ipc.BusyError:
            return None
        return part

    def waiting(self) -> int:
        """How many messages are in the queue, at this moment."""
        return int(self._queue.current_messages)

    def wait(self, milliseconds: int) -> bool:
        """Waits until there is a message to get, or room for one; returns False if there was none in time."""
        poll = select.poll()  # a new one: a signal handler may wait within a wait, which one poll object refuses
        poll.register(self._queue.mqd, self._event)
        return bool(poll.poll(milliseconds))

    # The file

    def _open(self, depth: int | None, part_bytes: int | None) -> bool:
        """Opens the queue, or makes it; returns whether it was made."""
        for _ in range(_TRIES):
            try:
                self._queue: Any = self._join()
                return False
            except self._ipc.ExistentialError:
                pass  # then make it
            except self._ipc.PermissionsError:
                raise self._strange(errno.EACCES, "another user") from None
            except SystemFailure:
                raise
            except OSError as error:
                raise self._failure("opened", error) from error
            sizes = _sizes(depth, part_bytes)
            try:
                self._queue = self._join(self._ipc.O_CREX, 0o600, max_messages=sizes[0], max_message_size=sizes[1])
                return True
            except self._ipc.ExistentialError:
                continue  # another program was faster
            except SystemFailure:
                raise
            except (OSError, ValueError) as error:
                raise self._failure("made for {} messages of {} bytes".format(*sizes), error) from error
        raise EndpointError(f"msg:{self.name} is made and removed by others without end; try again")

    def _join(self, *how: int, **sizes: int) -> Any:
        """Opens the queue, or makes it. Raises what posix_ipc raises; SystemFailure where no descriptors are left."""
        try:
            return self._ipc.MessageQueue(self._path, *how, **sizes)
        except self._ipc.Error:
            raise
        except OSError:  # without an errno
            check_descriptors(1, f"msg:{self.name} can't be opened")
            raise

    def _strange(self, code: int, owner: str) -> PermissionDenied:
        return PermissionDenied(
            code, f"msg:{self.name} is a queue of {owner}; use another name", f"/dev/mqueue{self._path}"
        )

    def _failure(self, what: str, error: Exception) -> EndpointError:
        bytes_left, _ = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
        most = "no limit" if bytes_left == resource.RLIM_INFINITY else f"{bytes_left} bytes (ulimit -q)"
        return EndpointError(
            f"msg:{self.name} can't be {what}: {error}. This user's queues may take together {most}; "
            f"the system allows {_limit('msg_max', 10)} messages of {_limit('msgsize_max', 8192)} bytes in a queue and "
            f"{_limit('queues_max', 256)} queues ({_LIMITS}). Remove queues that killed programs left "
            "(ls /dev/mqueue), pass a smaller depth= or part_bytes=, or raise the limit"
        )

    def _has_the_name(self) -> bool:
        """Whether the name still leads to the queue that is open here."""
        try:
            named = self._join()
        except self._ipc.ExistentialError:
            return False
        try:
            return os.path.samestat(os.fstat(named.mqd), os.fstat(self._queue.mqd))
        finally:
            named.close()

    def _unlink(self) -> None:
        with contextlib.suppress(self._ipc.ExistentialError):  # it was removed by hand
            self._ipc.unlink_message_queue(self._path)


def _sizes(depth: int | None, part_bytes: int | None) -> tuple[int, int]:
    """Messages and bytes of each for a new queue: as said, else what fits into a quarter of this user's share."""
    most, _ = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    depth = min(_limit("msg_max", 10), 10) if depth is None else depth
    if part_bytes is None:
        part_bytes = min(_limit("msgsize_max", 8192), 1 << 16)
        if most != resource.RLIM_INFINITY:
            part_bytes = max(LEAST_BYTES, min(part_bytes, most // (4 * depth) - _OVERHEAD))
    return depth, part_bytes


def _limit(name: str, otherwise: int) -> int:
    """A limit of the system; what Linux has by default where it does not say."""
    try:
        return int((_LIMITS / name).read_text())
    except (OSError, ValueError):
        return otherwise
