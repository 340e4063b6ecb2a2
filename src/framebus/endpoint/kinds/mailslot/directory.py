# SPDX-License-Identifier: Apache-2.0
"""The directory of boxes: one socket each, /dev/shm/framebus-USER/mailslot/NAME/ID.

It is in /dev/shm, which programs that share channels share, which is empty after a restart, and which no service tidies
up. The upper folder must belong to this user and be closed to all others, so that no other user can put anything below
it. IDs are random and never used again, so a name that refuses a connection is that of a box whose owner is dead.
Folders are removed when they are empty.

A socket's address has 107 bytes, a path here may have more: it is reached through an open folder, as
/proc/self/fd/N/ID.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from framebus._util import fds
from framebus.errors import EndpointError, PermissionDenied

SHARED = "/dev/shm"
_TRIES = 1000


def folder_of(name: str) -> str:
    """Returns the folder of the boxes of that name, whether it exists or not."""
    return f"{_top()}/mailslot/{name}"


def make_box(name: str) -> tuple[socket.socket, str]:
    """Returns the socket of a new box, which does not wait, and its path. Raises EndpointError, PermissionDenied."""
    folder = folder_of(name)
    ours = fds.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        ours.setblocking(False)
        for _ in range(_TRIES):
            box_id = secrets.token_hex(8)
            try:
                _make_folders(folder)
                with _address(folder, box_id) as address:
                    ours.bind(address)
            except FileNotFoundError:
                continue  # the last box went, and took the folder along, while this one came
            return ours, f"{folder}/{box_id}"
        raise EndpointError(f"{folder} is made and removed by others without end; try again")
    except PermissionDenied:
        ours.close()
        raise
    except OSError as error:
        ours.close()
        raise EndpointError(f"no box can be made in {folder}: {error}") from error
    except BaseException:
        ours.close()
        raise


def remove_box(path: str) -> None:
    """Removes a box's name, and the folders that are empty then."""
    with contextlib.suppress(FileNotFoundError):  # a sink was faster: our socket was closed already
        os.unlink(path)
    folder = os.path.dirname(path)
    while folder != SHARED:
        try:
            os.rmdir(folder)
        except OSError:  # not empty, or another program was faster
            return
        folder = os.path.dirname(folder)


def box_ids(name: str) -> list[str]:
    """Returns the names in the folder, in no order. Raises PermissionDenied."""
    try:
        check_top()
        return os.listdir(folder_of(name))
    except FileNotFoundError:
        return []


def connect(name: str, box_id: str, *sockets: socket.socket) -> bool:
    """Connects the sockets to a box; returns False if there is no such box any more, and removes its name.

    Raises EndpointError where the system refuses.
    """
    folder = folder_of(name)
    try:
        with _address(folder, box_id) as address:
            for each in sockets:
                each.connect(address)
    except FileNotFoundError:
        return False
    except ConnectionRefusedError:
        remove_if_socket(f"{folder}/{box_id}")
        return False
    except OSError as error:
        if error.errno == errno.EPROTOTYPE:  # a socket, but no box
            return False
        raise EndpointError(f"the box {folder}/{box_id} can't be reached: {error}") from error
    return True


def remove_if_socket(path: str) -> None:
    """Removes the name of a box whose owner is dead; leaves everything else alone."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            remove_box(path)


def check_top() -> None:
    """Raises PermissionDenied unless the upper folder is ours alone, FileNotFoundError if there is none."""
    top = _top()
    found = os.lstat(top)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionDenied(
            errno.EPERM,
            f"{top} must be a folder of user {os.geteuid()} with mode 0700; found {stat.filemode(found.st_mode)} of "
            f"user {found.st_uid}; remove it or have it removed",
            top,
        )


def _top() -> str:
    return f"{SHARED}/framebus-{os.geteuid()}"


def _make_folders(folder: str) -> None:
    top = _top()
    with contextlib.suppress(FileExistsError):
        os.mkdir(top, 0o700)
    check_top()
    os.makedirs(folder, 0o700, exist_ok=True)


@contextmanager
def _address(folder: str, box_id: str) -> Iterator[str]:
    opened = fds.open_path(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{opened}/{box_id}"
    finally:
        os.close(opened)
