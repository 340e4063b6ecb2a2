# SPDX-License-Identifier: Apache-2.0
"""Sockets of this machine: a path is bound for this user alone, and what is connected to belongs to a trusted user.

Binding. ZeroMQ would create the socket with what the umask leaves, remove whatever file has the name, and offers no
mode. So the socket is made here and handed over by ZMQ_USE_FD:

- Mode: Linux gives a socket's file the mode of the socket's own inode, less the umask. fchmod() on the descriptor
  before bind() therefore decides the mode at the moment when the name appears. No umask of any thread can widen it, and
  there is no moment at which it is wider. A umask can only take more away; that is given back through an O_PATH
  descriptor of the file, before listen(), so never through a name that may have changed.
- The name: bind() fails where something has it. A socket that no program listens to any more, left by one that was
  killed, is first moved to a name of its own, and removed only if it is still the one that was found dead.
- Removal: ZeroMQ leaves the file of a socket that was handed over. remove() does it, if the name leads to it still.

Connecting. A name in /tmp belongs to the program that takes it first. The owner of the file is checked when an end is
opened, for an early error; the peer of every connection is asked for from the kernel (SO_PEERCRED, the user that called
listen()) before a frame is sent to it or taken from it, since a name may change hands later. With public=true, or a
curve key of the peer, its owner does not matter.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from framebus._util import fds, owners
from framebus._util.exhausted import descriptors_told, is_none_left
from framebus.endpoint.kinds.zeromq.address import Address
from framebus.errors import EndpointError

_BACKLOG = 100  # ZeroMQ's own
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Listener:
    """A listening socket with a name: its descriptor, which becomes ZeroMQ's, and where its file is."""

    descriptor: int
    path: str
    identity: tuple[int, int]

    def remove(self) -> None:
        """Removes the file, if the name leads to it still."""
        with contextlib.suppress(FileNotFoundError):
            if _identity(os.lstat(self.path)) == self.identity:
                os.unlink(self.path)


def listen(address: Address) -> Listener:
    """Binds a path. Raises EndpointError where something is there, or the system refuses; SystemFailure."""
    assert address.path is not None
    path = os.path.abspath(address.path)
    mode = 0o666 if address.is_public else 0o600
    _check_free(address.url, Path(path))
    with descriptors_told(f"{address.url!r} can't be bound"):
        ours = fds.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            os.fchmod(ours.fileno(), mode)
            ours.bind(address.path)
            try:
                identity = _settle_mode(path, mode)
                ours.listen(_BACKLOG)
            except BaseException:
                os.unlink(path)
                raise
        except OSError as error:
            ours.close()
            if is_none_left(error.errno):
                raise
            raise EndpointError(f"{address.url!r} can't be bound: {error.strerror or error}") from error
        except BaseException:
            ours.close()
            raise
    return Listener(ours.detach(), path, identity)


def _settle_mode(path: str, mode: int) -> tuple[int, int]:
    """Restores the bits that the umask took; returns the identity of the file."""
    made = fds.open_path(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        found = os.fstat(made)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
            raise EndpointError(f"{path} was replaced while it was being bound, by {owners.name_of(found.st_uid)}")
        if stat.S_IMODE(found.st_mode) != mode:
            os.chmod(f"/proc/self/fd/{made}", mode)
        return _identity(found)
    finally:
        os.close(made)


def _check_free(url: str, path: Path) -> None:
    """Makes sure that nothing has the name; removes a socket that a killed program left there."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise EndpointError(f"{url!r}: {path} can't be looked at: {error.strerror}") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise EndpointError(f"{url!r}: {path} is there and is not a socket; take another path, or remove it")
    if not owners.is_trusted(found.st_uid):
        raise EndpointError(f"{url!r}: {path} is a socket of {owners.name_of(found.st_uid)}; take another path")
    with (
        descriptors_told(f"{url!r} can't be bound"),
        fds.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe,
    ):
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            _remove_dead(url, path, _identity(found))
            return
        except BlockingIOError:
            pass  # its backlog is full: it is alive
        except FileNotFoundError:
            return
        except OSError as error:
            raise EndpointError(f"{url!r}: {path} can't be looked at: {error.strerror}") from None
    raise _in_use(url)


def _remove_dead(url: str, path: Path, identity: tuple[int, int]) -> None:
    aside = path.with_name(f".{secrets.token_hex(8)}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return  # another program has just done the same
    except OSError as error:
        raise EndpointError(
            f"{url!r}: {path} was left by a killed program and can't be removed: {error.strerror}"
        ) from None
    if _identity(aside.lstat()) != identity:  # another program has bound the name since
        aside.rename(path)
        raise _in_use(url)
    aside.unlink()


def _in_use(url: str) -> EndpointError:
    return EndpointError(f"{url!r} is bound by a running program already; end it, or take another path")


def check_owner(address: Address) -> None:
    """Raises EndpointError where a stranger's socket has the path that is to be connected to; none there is fine."""
    if address.path is None:
        return
    try:
        found = os.lstat(address.path)
    except OSError:
        return  # not there yet, or not to be looked at; the connection will tell
    if not owners.is_trusted(found.st_uid):
        raise EndpointError(f"{address.url!r}: {distrust(found.st_uid)}")


def stranger(descriptor: int) -> int | None:
    """Returns the user behind a connection to a local socket if it isn't trusted; None where it is.

    Raises OSError where the connection has ended.
    """
    copy = socket.socket(fileno=fds.dup(descriptor))
    with copy:
        _, uid, _ = _CREDENTIALS.unpack(copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return None if owners.is_trusted(uid) else uid


def distrust(uid: int) -> str:
    """Returns why a socket of this user is not connected to, and what to do."""
    return (
        f"the socket there belongs to {owners.name_of(uid)}, you are {owners.name_of(os.geteuid())}; take another "
        "path, or pass public=true if frames may be exchanged with other users"
    )


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
