# SPDX-License-Identifier: Apache-2.0
"""Files that get their name when they are whole, and one writer for each target.

    claim = Claim("clips/a.mkv")            EndpointError with pid and command where another writer has the target
    part = claim.begin("a.part.mkv")
    part.write(data)
    part.publish("clips/a.mkv")             or part.discard()
    claim.release()

Promises:

- One writer: a claim is a kernel lock (flock) on a file `.NAME.lock` in the folder of the target. The folder is
  resolved once, so relative paths, other working directories and linked folders lead to the same claim. The kernel
  drops the lock when the writer dies. The file holds pid and command of the writer for the message to the second one;
  nothing is decided by them. A writer that ends removes the file, one that dies leaves it to the next one.
- A partial file is always new: it is created with O_CREAT | O_EXCL | O_NOFOLLOW, so nothing that has the name, neither
  a rescued partial file nor a link, pipe or device, is ever opened. Where a name is taken the next number is used. Its
  bytes go through the descriptor that was created, never through the name.
- publish() renames: the target is the old file or the whole new one. A regular file is replaced, and so is a symbolic
  link itself (never what it leads to); a folder, pipe, socket or device is refused. With `durable` the data and the
  name have reached the disk when it returns.
- A partial file is locked as long as it is open. A writer whose target is the partial file of another one, such as
  a.part.mkv beside a.mkv, is refused, and publish() does not replace it.
- A forked child closes what it inherited: it neither writes nor keeps a dead parent's target locked.

On file systems that have no locks (some network and FUSE ones) every writer gets the claim; the files stay whole.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from framebus._util import fds, lifetime
from framebus.errors import EndpointError

_MARK = b"framebus writer "
_MAX_NAME_BYTES = 255
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF, errno.EINVAL)
_log = logging.getLogger(__name__)


class _Locked:
    """An open file that is locked."""

    _descriptor = -1

    def _keep(self, descriptor: int) -> None:
        self._descriptor = descriptor
        lifetime.forget_in_children(self)

    def forget(self) -> None:
        """Closes the file and leaves it where it is; in a forked child, the parent's stays locked. May be repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class PartialFile(_Locked):
    """A new file that is being written. It can be given to PyAV, which writes and seeks.

    Attributes:
        path: of the file as long as it is partial.
        kept: partial files that had the names before, and were left alone.
    """

    def __init__(self, folder: str, name: str, *, mode: int = 0o666) -> None:
        """Creates it as `name` or, where that is taken, as the same with a number. Raises OSError."""
        self.kept: list[str] = []
        self._published = False
        for attempt in _numbered(name):
            self.path = os.path.join(folder, attempt)
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                self._keep(fds.open_path(self.path, flags, mode))
                break
            except FileExistsError:
                self.kept.append(self.path)
        with contextlib.suppress(OSError):  # of file systems that have no locks
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, data: bytes | memoryview) -> int:
        """Writes all of `data` at the current position. Raises OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position and returns it."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Returns the position."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def publish(self, target: str | Path, *, durable: bool = False) -> None:
        """Renames it to `target` and closes it; `durable` waits for the disk.

        Raises OSError where the target can't be replaced; the partial file then stays, and is still open.
        """
        try:
            if durable:
                os.fsync(self._descriptor)
            if not _leads_to(self.path, self._descriptor):
                raise FileNotFoundError(f"{self.path!r} was moved or removed while it was being written")
            check_target(target)
            if _is_being_written(target):
                raise FileExistsError(f"{os.fspath(target)!r} is being written by another writer")
            os.replace(self.path, target)
            self._published = True
            if durable:
                _sync_folder(os.path.dirname(self.path))
        finally:
            if self._published:
                self.close()

    def discard(self) -> None:
        """Closes and removes it; after publish() nothing. Raises OSError."""
        try:
            if self._descriptor >= 0 and _leads_to(self.path, self._descriptor):
                os.unlink(self.path)
        finally:
            self.close()

    def close(self) -> None:
        """Closes it and leaves it where it is. May be repeated."""
        self.forget()


class Claim(_Locked):
    """The right to write one target, until release() or the end of the process.

    Attributes:
        target: the absolute path, with its folder resolved.
    """

    def __init__(self, target: str | Path) -> None:
        """Raises EndpointError where another writer has it, OSError where the folder can't be written to."""
        path = os.fspath(target)
        folder, name = os.path.split(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))
        if name in ("", ".", ".."):
            raise IsADirectoryError(f"{path!r} is a folder")
        self.folder = os.path.realpath(folder, strict=True)
        self.target = os.path.join(self.folder, name)
        if _is_being_written(self.target):
            raise EndpointError(
                f"{self.target!r} is the partial file of another writer; close that writer, or choose another name"
            )
        self._lock = os.path.join(self.folder, _fitted("." + name, ".lock"))
        self._keep(self._locked())
        try:
            self._write_note()
        except BaseException:
            self.release()
            raise

    def begin(self, name: str) -> PartialFile:
        """Creates a partial file beside the target."""
        return PartialFile(self.folder, name)

    def release(self) -> None:
        """Allows other writers of the target. May be repeated. Raises OSError."""
        try:
            if self._descriptor >= 0 and _leads_to(self._lock, self._descriptor):
                # In a folder with the sticky bit another user's file stays; it locks as well as a new one.
                with contextlib.suppress(PermissionError):
                    os.unlink(self._lock)
        finally:
            self.forget()

    def _locked(self) -> int:
        """Returns a descriptor of the lock file, which is locked."""
        patience = time.monotonic() + 2.0
        while True:
            descriptor = self._opened()
            if descriptor is None:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                note = _note(descriptor)
                os.close(descriptor)
                # A writer with a new lock is about to write its note, and one that ends is about to unlock.
                if note is None and time.monotonic() < patience:
                    time.sleep(0.002)
                    continue
                raise EndpointError(self._refusal(note)) from None
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    os.close(descriptor)
                    raise
            if _leads_to(self._lock, descriptor):
                return descriptor
            os.close(descriptor)  # the writer before has removed it in the meantime

    def _opened(self) -> int | None:
        """Opens or creates the lock file; None where it has just come or gone."""
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            found = os.lstat(self._lock)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                return fds.open_path(self._lock, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            return None
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise EndpointError(self._in_the_way())
        with contextlib.suppress(FileNotFoundError):
            try:
                return fds.open_path(self._lock, flags | os.O_RDWR)
            except PermissionError:
                return fds.open_path(self._lock, flags | os.O_RDONLY)
        return None

    def _write_note(self) -> None:
        """Writes pid and command of this process into the lock file. Raises EndpointError for any other file."""
        has = os.pread(self._descriptor, len(_MARK), 0)
        if has and has != _MARK:
            self.forget()
            raise EndpointError(self._in_the_way())
        if fcntl.fcntl(self._descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
            note = _MARK + f"{os.getpid()} ".encode() + _command(os.getpid()) + b"\n"
            os.pwrite(self._descriptor, note, 0)
            os.ftruncate(self._descriptor, len(note))

    def _in_the_way(self) -> str:
        return f"{self._lock!r}, which locks {self.target!r}, is something else; move it away or choose another name"

    def _refusal(self, note: tuple[int, str] | None) -> str:
        who = "another process"
        if note is not None:
            pid, command = note
            who = f"process {pid} ({command})"
            if pid != os.getpid() and _printable(_command(pid)) != command:
                who = f"another process, which calls itself {who} and can't be seen from here"
        return f"{self.target!r} is being written by {who}; close that writer, or choose another name"


def partial_name(target: str | Path, *, hidden: bool) -> str:
    """Returns the name of the partial file of a target: NAME.part.EXT, hidden .NAME.EXT.part."""
    name = os.path.basename(target)
    if hidden:
        return _fitted("." + name, ".part")
    stem, extension = os.path.splitext(name)
    return _fitted(stem, ".part" + extension)


def check_target(target: str | Path) -> None:
    """Raises OSError for a target that a file must not replace: a folder, pipe, socket or device."""
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{os.fspath(target)!r} is a folder")
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise FileExistsError(f"{os.fspath(target)!r} is a pipe, socket or device, and no file")


def tell_of_kept(part: PartialFile) -> None:
    """Logs which partial files of writers before have been left alone."""
    if part.kept:
        _log.warning(
            "%s: left by a writer that did not finish; kept as it is. The new file is written as %s",
            ", ".join(map(repr, part.kept)),
            repr(part.path),
        )


def _numbered(name: str) -> Iterator[str]:
    """Yields a.part.mkv, a.part-2.mkv, a.part-3.mkv and so on."""
    yield name
    begin, _, extension = name.rpartition(".part")
    number = 2
    while True:
        yield f"{begin}.part-{number}{extension}"
        number += 1


def _fitted(begin: str, end: str) -> str:
    """Joins both, shortened where the name would be too long for a file, with room for a number."""
    room = _MAX_NAME_BYTES - len(os.fsencode(end)) - len("-99999")
    raw = os.fsencode(begin)
    if len(raw) > room:
        digest = hashlib.sha256(raw).hexdigest()[:16]
        begin = os.fsdecode(raw[: room - 17]) + "-" + digest
    return begin + end


def _leads_to(path: str, descriptor: int) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _is_being_written(path: str | Path) -> bool:
    """Whether it is a partial file that is open."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        descriptor = fds.open_path(os.fspath(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # it is not there, or another user's whose files we may not read
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    finally:
        os.close(descriptor)
    return False


def _sync_folder(folder: str) -> None:
    descriptor = fds.open_path(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # of file systems that don't sync folders
            raise
    finally:
        os.close(descriptor)


def _command(pid: int) -> bytes:
    """Returns the beginning of a command line, with blanks between its words."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()[:200].rstrip(b"\0").replace(b"\0", b" ").replace(b"\n", b" ")
    return b""


def _printable(text: bytes) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text.decode(errors="replace"))


def _note(descriptor: int) -> tuple[int, str] | None:
    """Returns pid and command of the writer, as it says."""
    has = os.pread(descriptor, 400, 0)
    pid, _, command = has.removeprefix(_MARK).rstrip(b"\n").partition(b" ")
    if not has.startswith(_MARK) or not has.endswith(b"\n") or not pid.isdigit():
        return None
    return int(pid), _printable(command)
