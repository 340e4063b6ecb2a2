# SPDX-License-Identifier: Apache-2.0
"""What to start and how: Launch, and finding the program before anything is started.

Promise: a program that is not there is an error at once, in the thread that asked for it, and names where it was
looked for. What is found here is what will be started: later changes of the current folder change nothing.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from framebus._util import deprecated
from framebus.errors import ProgramNotFound

OnExit = Literal["restart", "stop", "ignore"]
_ON_EXIT = ("restart", "stop", "ignore")
_PYTHON = ("python", "python3")
_SHOWN = 120  # characters of a command in messages
_EXAMPLE = 'for example launch=["python", "algo.py"]'


@deprecated.fields(finish="shutdown_timeout", grace="kill_timeout", limit="max_restarts", pause="restart_delay")
@dataclass(frozen=True)
class Launch:
    """A subscriber's program to start, and how.

        framebus.Publisher("camera0", launch=framebus.Launch(["python", "algo.py"], on_exit="stop"))

    Attributes:
        argv: program and arguments, without a shell. A name without "/" is looked for in PATH; "python" and "python3"
            mean the interpreter of this program where PATH has none.
        on_exit: what to do when the program exits, in any way: "restart" it; "stop": close the channel, so that the
            next send() raises ChannelClosed; "ignore" it and go on without.
        stop_with_publisher: end the program when the Publisher closes or its process ends in any way, kill -9 included.
            False leaves it running, and nothing restarts it then.
        shutdown_timeout: seconds that the program has to exit once the channel is closed, before it gets SIGTERM.
        kill_timeout: seconds from SIGTERM to SIGKILL.
        max_restarts: restarts in a row. A run of 10 seconds begins a new row.
        restart_delay: seconds before a restart; doubles in a row, up to 10.
        env: variables for the program, in addition to those of this process.
        cwd: the program's current folder; None for that of this process at the start.
    """

    argv: Sequence[str]
    on_exit: OnExit = "restart"
    stop_with_publisher: bool = True
    shutdown_timeout: float = 1.0
    kill_timeout: float = 5.0
    max_restarts: int = 10
    restart_delay: float = 0.1
    env: Mapping[str, str] | None = None
    cwd: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Raises TypeError or ValueError, with the right line, for what can't be started."""
        argv = _checked_argv(self.argv)
        if self.on_exit not in _ON_EXIT:
            raise ValueError(f"on_exit must be one of {', '.join(map(repr, _ON_EXIT))}, got {self.on_exit!r}")
        for name in ("shutdown_timeout", "kill_timeout", "restart_delay"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} must be seconds, got {value!r} ({type(value).__name__})")
            if not 0 <= value <= 86400:
                raise ValueError(f"{name} must be 0 to 86400 seconds, got {value}")
        if isinstance(self.max_restarts, bool) or not isinstance(self.max_restarts, int):
            raise TypeError(
                f"max_restarts must be an int, got {self.max_restarts!r} ({type(self.max_restarts).__name__})"
            )
        if self.max_restarts < 0:
            raise ValueError(f"max_restarts must be 0 or more, got {self.max_restarts}")
        object.__setattr__(self, "argv", argv)
        object.__setattr__(self, "cwd", None if self.cwd is None else os.path.abspath(self.cwd))
        object.__setattr__(self, "env", None if self.env is None else dict(self.env))

    def __str__(self) -> str:
        """The command as a shell would take it, in one line that is not too long."""
        line = shlex.join(self.argv).replace("\n", "\\n")
        return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


LaunchOption = Launch | Sequence[str] | Sequence[Launch | Sequence[str]]


def launches_of(given: LaunchOption) -> tuple[Launch, ...]:
    """Returns what `launch=` says as Launch objects. Raises TypeError and ValueError, with the right line."""
    if isinstance(given, Launch):
        return (given,)
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        return (Launch(given),)  # raises the error that fits
    if given and not all(isinstance(item, str) for item in given) and not any(isinstance(item, str) for item in given):
        return tuple(item if isinstance(item, Launch) else Launch(item) for item in given)
    return (Launch(given),)  # type: ignore[arg-type]  # all of them are str, or Launch says which is not


def _checked_argv(argv: object) -> tuple[str, ...]:
    if isinstance(argv, (str, bytes)):
        text = argv if isinstance(argv, str) else os.fsdecode(argv)
        line = ", ".join(f'"{word}"' for word in text.split()) or '"python", "algo.py"'
        raise TypeError(
            f"launch= takes program and arguments as a list, there is no shell to take {argv!r} apart; "
            f"write launch=[{line}]"
        )
    if not isinstance(argv, Sequence):
        raise TypeError(f"launch= takes a list of str, a Launch, or a list of these, got {argv!r}; {_EXAMPLE}")
    if not argv or argv[0] == "":
        raise ValueError(f"launch= names no program; {_EXAMPLE}")
    for item in argv:
        if not isinstance(item, str):
            raise TypeError(f"launch= takes str only, got {item!r} ({type(item).__name__}) in {list(argv)!r}")
        if "\0" in item:
            raise ValueError(f"a program's arguments can't have NUL characters, got {item!r}")
    return tuple(argv)


def find_program(launch: Launch) -> str:
    """Returns the absolute path of the program to start. Raises ProgramNotFound."""
    name = launch.argv[0]
    if not sys.executable or getattr(sys, "frozen", False):
        raise ProgramNotFound(
            errno.ENOENT,
            f"can't start {name!r}: framebus supervises a program by means of a Python interpreter, and "
            f"sys.executable, {sys.executable!r}, is none; start the program by other means",
            sys.executable,
        )
    folder = os.path.abspath(launch.cwd or os.curdir)
    if not os.path.isdir(folder):
        message = f"can't start {name!r} in cwd={folder!r}: there is no such folder"
        raise ProgramNotFound(errno.ENOENT, message, folder)
    if "/" in name:
        path = os.path.join(folder, name)
        problem = _problem(path)
        if problem is not None:
            code, text = problem
            raise ProgramNotFound(code, f"can't start {name!r}: {text}", path)
        return path
    search = (launch.env or {}).get("PATH", os.environ.get("PATH", os.defpath))
    code, filename, found = errno.ENOENT, name, None
    for entry in search.split(os.pathsep):
        path = os.path.abspath(os.path.join(folder, entry, name))
        problem = _problem(path)
        if problem is None:
            return path
        if found is None and problem[0] != errno.ENOENT:
            (code, found), filename = problem, path
    if found is None and name in _PYTHON:
        return sys.executable
    if found is None and os.path.isfile(os.path.join(folder, name)):
        found = f"it is in the current folder, where nothing is looked for: write './{name}'"
    raise ProgramNotFound(
        code,
        f"can't start {name!r}: no program of that name in PATH ({search}); "
        + (found or "install it, or give its path, with a '/' in it"),
        filename,
    )


def _problem(path: str) -> tuple[int, str] | None:
    """Returns why the file can't be executed, as an errno and as text with the remedy; None where it can be."""
    remedy = "give the path of a program"
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return errno.ENOENT, f"{path} does not exist; {remedy}"
    except OSError as error:
        return error.errno or errno.ENOENT, f"{path} can't be looked at ({error.strerror}); {remedy}"
    if stat.S_ISDIR(mode):
        return errno.EACCES, f"{path} is a folder; {remedy}"
    if stat.S_ISREG(mode) and os.access(path, os.X_OK):
        return None
    interpreted = f'write launch=["python", "{path}"], or ' if path.endswith(".py") else ""
    return errno.EACCES, f"{path} is not executable; {interpreted}run: chmod +x {path}"
