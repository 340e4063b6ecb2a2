# SPDX-License-Identifier: Apache-2.0
"""One run of a subscriber's program, as the publisher's program sees it: the guard, and what it tells.

A is the publisher's program here, and B the subscriber's; the guard is B's parent. A holds one end of the lifeline (see
guard.py). Nothing inherits it: it is closed by exec, and by a fork at once, so that it ends with A and not with A's
children.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framebus._util import fds, lifetime
from framebus._util.child import fate
from framebus._util.json_lines import JsonLines
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
        return fate(self.status)


class Child:
    """The subscriber's program, started once. Its methods may be called by different threads."""

    def __init__(self, launch: Launch, program: str) -> None:
        """Starts the guard, which starts B. Raises OSError where that can't be done."""
        self._pid: int | None = None
        self._leaves = not launch.stop_with_publisher
        self._lifeline, self._theirs = fds.socketpair()
        self._lines = JsonLines(self._lifeline)
        lifetime.forget_in_children(self)
        theirs = self._theirs
        settings = {"kill_timeout": launch.kill_timeout, "leave": self._leaves}
        command = [sys.executable, "-I", "-S", str(_GUARD), str(theirs.fileno()), json.dumps(settings), program]
        try:
            self._guard = subprocess.Popen(
                [*command, *launch.argv[1:]],
                stdin=subprocess.DEVNULL,
                cwd=launch.cwd,
                env={**os.environ, **(launch.env or {})},
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
        told = self._lines.read() or {}
        self._pid = told.get("pid")
        return self._ended(told) if self._pid is None else self._pid

    def wait(self) -> Exited:
        """Waits until B has ended."""
        return self._ended(self._lines.read() or {})

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
