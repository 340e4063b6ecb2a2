# SPDX-License-Identifier: Apache-2.0
"""File descriptors that a source or sink of a pipe owns, on POSIX systems.

Standard input and output, and descriptors that a parent left open, are shared with other processes: a shell, the next
program of a pipeline. So nothing is changed about them. O_NONBLOCK in particular belongs to what all of them share; an
end opens the pipe once more, by /proc, and has a description of its own that may be nonblocking. Where that can't be
done (a socket, a terminal's device, no /proc), `may_block` says that poll() must precede every read and write, and
that nothing over PIPE_BUF bytes may be written at once: what poll() promises room for.

An end owns its descriptor. Those of a program's standard streams are left to something harmless, for good, so that the
end can close the pipe and nothing else gets into it: after pipe:stdin reads of descriptor 0 find the end of a file,
after pipe:stdout all that is printed goes to standard error.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from framebus._util import fds
from framebus.errors import EndpointError

Role = Literal["source", "sink"]

_FORMS = {
    "source": "pipe:stdin, pipe:fd/N, or argv= for a child",
    "sink": "pipe:stdout, pipe:fd/N, or argv= for a child",
}
_NAMES = {0: "standard input", 1: "standard output", 2: "standard error"}
_MOST_BYTES = Path("/proc/sys/fs/pipe-max-size")

# Standard streams that a source or sink of this process, or of its parent before a fork, has taken over.
_taken: set[int] = set()


@dataclass(frozen=True)
class Descriptor:
    """One end of a pipe, owned.

    Attributes:
        file: closes it.
        may_block: an operation may block, so poll() comes first; see above.
    """

    file: io.FileIO
    may_block: bool


def forms(role: Role) -> str:
    """What may be said after pipe: for this role, for messages."""
    return _FORMS[role]


def pair() -> tuple[int, int]:
    """Makes a pipe and returns its reading and its writing end."""
    return fds.pipe()


def own(number: int, role: Role, buffer: int) -> Descriptor:
    """Wraps a descriptor that no other process has, which thus can be made nonblocking."""
    os.set_blocking(number, False)
    enlarge(number, buffer)
    return Descriptor(_file(number, role), may_block=False)


def take(number: int, role: Role, url: str, buffer: int) -> Descriptor:
    """Takes over a descriptor that this process was started with, or that the caller gives away.

    Raises EndpointError if it is not open, goes the other way, is a terminal, or has been taken before.
    """
    kind = _check(number, role, url)
    ours = fds.dup(number)
    may_block = not stat.S_ISREG(kind)
    if stat.S_ISFIFO(kind):
        with contextlib.suppress(OSError):  # then the one we have will do
            way = os.O_RDONLY if role == "source" else os.O_WRONLY
            again = fds.open_path(f"/proc/self/fd/{ours}", os.O_NONBLOCK | way)
            os.close(ours)
            ours, may_block = again, False
        enlarge(ours, buffer)
    _let_go(number)
    return Descriptor(_file(ours, role), may_block)


def enlarge(number: int, wanted: int) -> None:
    """Gives the pipe room for `wanted` bytes, or as many as the system allows; it is not an error if it allows none."""
    with contextlib.suppress(OSError, ValueError):
        wanted = min(wanted, int(_MOST_BYTES.read_text()))
        if fcntl.fcntl(number, fcntl.F_GETPIPE_SZ) < wanted:
            fcntl.fcntl(number, fcntl.F_SETPIPE_SZ, wanted)


def _check(number: int, role: Role, url: str) -> int:
    """Refuses what can't be used; returns the kind of file it is."""
    name = _NAMES.get(number, f"descriptor {number}")
    if number in _taken:
        raise EndpointError(f"{url!r}: {name} has been taken over before; a stream has one source or sink here")
    try:
        found = os.fstat(number)
        way = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        raise EndpointError(
            f"{url!r}: {name} is not open; the program that starts this one must leave it open (subprocess: pass_fds=)"
        ) from None
    if fds.is_filler(number):
        raise EndpointError(
            f"{url!r}: {name} is not open: this program was started without it, or has closed it, and /dev/null has "
            "taken its place; start the program with it connected to a file or another program"
        )
    if (owner := _opened_here(number)) is not None:
        raise EndpointError(
            f"{url!r}: {name} is not a pipe that this program was started with; it is {owner}, which the program has "
            "opened for itself; name the number of a pipe that was left open (subprocess: pass_fds=)"
        )
    if way == (os.O_WRONLY if role == "source" else os.O_RDONLY):
        other = "written to" if role == "source" else "read from"
        raise EndpointError(f"{url!r}: {name} can only be {other}; a {role} needs {forms(role)}")
    if os.isatty(number):
        raise EndpointError(
            f"{url!r}: {name} is a terminal, and frames are nothing to read or type; connect it to a program: "
            + (
                "framebus relay camera0 pipe:stdout | other"
                if role == "sink"
                else "other | framebus relay pipe:stdin x"
            )
        )
    if number == 1 and _is_open(2) and os.path.sameopenfile(1, 2):
        raise EndpointError(
            f"{url!r}: standard output and standard error lead to the same place, so messages would get in between the "
            "frames; start the program without 2>&1"
        )
    return found.st_mode


def _let_go(number: int) -> None:
    """Closes a descriptor whose copy is ours now; a standard stream must lead somewhere and stays open."""
    if number > 2:
        os.close(number)
        return
    _taken.add(number)
    if number == 1 and _is_open(2):
        os.dup2(2, 1)
        with contextlib.suppress(AttributeError, ValueError, OSError):  # no sys.stdout, or a closed one
            sys.stdout.flush()  # what was printed before goes to standard error too, in its order
        return
    nothing = fds.open_path(os.devnull, os.O_RDWR)
    os.dup2(nothing, number)
    os.close(nothing)


def _opened_here(number: int) -> str | None:
    """What a descriptor is that can't have come from a parent: a file of a channel, or an event; None for others."""
    with contextlib.suppress(OSError):  # no /proc
        target = os.readlink(f"/proc/self/fd/{number}")
        if target.startswith(("/dev/shm/framebus.", "/dev/shm/#", "/memfd:framebus", "anon_inode:")):
            return target
    return None


def _is_open(number: int) -> bool:
    """Whether it leads somewhere."""
    with contextlib.suppress(OSError):
        os.fstat(number)
        return not fds.is_filler(number)
    return False


def _file(number: int, role: Role) -> io.FileIO:
    return io.FileIO(number, "r" if role == "source" else "w")
