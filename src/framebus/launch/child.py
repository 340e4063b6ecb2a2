# SPDX-License-Identifier: Apache-2.0
"""One run of program B, as program A sees it: the guard that is B's parent, and what it tells.

A holds one end of the lifeline (see guard.py). Nothing inherits it: it is closed by exec, and by a fork at once, so
that it ends with A and not with A's children.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebus._util import fds
from framebus.launch.program import Launch

_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Exited:
    """How a run ended.

    Attributes:
        status: as subprocess has it; None where it is unknown.
        lines: the last lines of its output.
        failure: why it did not run at all.
        left: the processes that it has started and that could not be ended, each with its name and process id.
    """

    status: int | None
    lines: tuple[str, ...] = ()
    failure: str | None = None
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.failure is not None:
            return f"could not be started: {self.failure}"
        if self.status is None and self.left:
            return "could not be ended"
        if self.status is None:
            return "was killed together with its guard"
        if self.status >= 0:
            return f"ended with status {self.status}"
        try:
            return f"was ended by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"was ended by signal {-self.status}"


class Child:
    """Program B, started once. Its methods may be called by different threads."""

    def __init__(self, launch: Launch, program: str) -> None:
        """Starts the guard, which starts B. Raises OSError where that can't be done."""
        self._unread = b""
        self._pid: int | None = None
        self._leaves = not launch.stop_with_publisher
        self._lifeline, self._theirs = fds.socketpair()
        _running.add(self)
        theirs = self._theirs
        settings = {"kill_timeout": launch.kill_timeout, "leave": self._leaves}
        command = [sys.executable, "-I", "-S", str(_GUARD), str(theirs.fileno()), json.dumps(settings), program]
        try:
            self._guard = subprocess.Popen(
                [*command, *launch.argv[1:]],
                stdin=subprocess.DEVNULL,
                cwd=launch.cwd,
                env=_environment(launch.env),
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is for A alone
            )
        except BaseException:
            self._lifeline.close()
            raise
        finally:
            theirs.close()

    def pid(self) -> int | Exited:
        """Waits until B runs and returns its process id, or how it ended without having run."""
        told = self._read()
        self._pid = told.get("pid")
        return self._ended(told) if self._pid is None else self._pid

    def wait(self) -> Exited:
        """Waits until B has ended."""
        return self._ended(self._read())

    def let_go(self) -> None:
        """Ends B, SIGTERM first, without waiting for it; B started to be left runs on."""
        with contextlib.suppress(OSError):  # it has ended, or wait() has closed the lifeline just now
            self._lifeline.shutdown(socket.SHUT_WR)

    def forget(self) -> None:
        """Closes the lifeline in a forked child; the parent's is another."""
        self._lifeline.close()
        self._theirs.close()

    def _ended(self, told: dict[str, Any]) -> Exited:
        self._lifeline.close()
        self._reap()
        if not told:
            self._end_group()
            return Exited(None)
        left = tuple(told.get("left", ()))
        return Exited(told.get("status"), tuple(told.get("lines", ())), told.get("failure"), left)

    def _end_group(self) -> None:
        """Kills what was in B's process group when the guard was killed; the kernel has killed B itself."""
        if self._pid is not None and not self._leaves:
            with contextlib.suppress(OSError):  # the group is empty, or another user's
                os.killpg(self._pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Leaves no zombie behind. A guard that leaves B stays as long as something writes to B's output."""
        if self._leaves:
            threading.Thread(target=self._guard.wait, name="framebus launch guard", daemon=True).start()
        else:
            self._guard.wait()

    def _read(self) -> dict[str, Any]:
        while b"\n" not in self._unread:
            try:
                chunk = self._lifeline.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                return {}
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        told: dict[str, Any] = json.loads(line)
        return told


def _environment(extra: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if extra is None else {**os.environ, **extra}


_running: weakref.WeakSet[Child] = weakref.WeakSet()


def _forget_all() -> None:
    for child in list(_running):
        child.forget()
    _running.clear()


os.register_at_fork(after_in_child=_forget_all)
