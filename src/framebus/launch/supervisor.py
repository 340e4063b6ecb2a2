# SPDX-License-Identifier: Apache-2.0
"""Supervises one launched program: starts it, waits for its exit, and does what `on_exit` says, in a thread of its own.

The thread sleeps in the kernel until the program exits, so the program costs the publisher nothing, and is restarted
while the publisher sends nothing. Events are logged to "framebus.launch", the last lines of the program's output to
"framebus.launch.output".
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from framebus.launch.child import Child, Exited
from framebus.launch.program import Launch

LONGEST_DELAY_S = 10.0
STEADY_S = 10.0  # a run of that length was not a failed start: the next exit begins a new row
LAST_RESORT_S = 5.0  # beyond the kill timeout, for a guard to tell that it is done

log = logging.getLogger("framebus.launch")
output_log = log.getChild("output")  # the program's output, which has been passed on already


@dataclass(frozen=True)
class Launched:
    """A launched program at the moment of asking.

    Attributes:
        argv: program and arguments.
        pid: its process id, or that of its latest run; None before the first.
        alive: whether it runs, as far as is known.
        starts: how often it has been started.
        exit_code: of the latest run that ended: a status, or minus the signal that ended it; None before and where
            it is unknown.
        last_lines: the last lines of that run, 20 at most of its standard output, then as many of its standard error.
        failure: why it will not be started again, None as long as it may be.
    """

    argv: tuple[str, ...]
    pid: int | None = None
    alive: bool = False
    starts: int = 0
    exit_code: int | None = None
    last_lines: tuple[str, ...] = ()
    failure: str | None = None


class Backoff:
    """The delay before each restart. It doubles until a run was steady; None: no more restarts."""

    def __init__(self, first_s: float, max_restarts: int) -> None:
        self._first_s = first_s
        self._max_restarts = max_restarts
        self.row = 0

    def after(self, ran_s: float) -> float | None:
        """Returns the delay after a run of `ran_s` seconds."""
        if ran_s >= STEADY_S:
            self.row = 0
        if self.row >= self._max_restarts:
            return None
        self.row += 1
        return float(min(LONGEST_DELAY_S, self._first_s * 2.0 ** min(self.row - 1, 64)))


class Supervisor:
    """One launched program. A supervisor knows nothing of the channel, and need not be waited for."""

    def __init__(
        self, launch: Launch, program: str, label: str, on_stop: Callable[[str], None], wanted: Callable[[], bool]
    ) -> None:
        """`on_stop` is called with how the program exited, in the supervisor's thread, where on_exit="stop".

        `wanted` says before each restart whether the program is still wanted.
        """
        self.launch = launch
        self._program = program
        self._label = label
        self._on_stop = on_stop
        self._wanted = wanted
        self._lock = threading.Lock()  # the two below, and that no run begins after stopping
        self._status = Launched(tuple(launch.argv))
        self._child: Child | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"framebus launch {launch}", daemon=True)

    @property
    def status(self) -> Launched:
        """The state of the program, as far as it is known."""
        with self._lock:
            return self._status

    def start(self) -> None:
        """Starts the program and supervises it from now on. Once."""
        self._thread.start()

    def begin_stop(self) -> None:
        """From now on the program is not restarted. May be repeated."""
        self._stopping.set()

    def let_go(self) -> None:
        """Begins to end the program, or leaves it. Does not wait."""
        self._stopping.set()
        with self._lock:
            if self._child is not None:
                self._child.let_go()

    def wait(self, seconds: float | None) -> bool:
        """Waits until the program has exited for good, or has been left; returns whether that is so."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)
        return self._thread.ident is None or not self._thread.is_alive()

    def wait_for_exit(self) -> None:
        """Waits for the exit of the program after let_go(). Logs an error if it does not exit."""
        if not self.wait(self.launch.kill_timeout + LAST_RESORT_S):
            log.error("%s does not end, not even by SIGKILL", self._who())

    def _run(self) -> None:
        backoff = Backoff(self.launch.restart_delay, self.launch.max_restarts)
        while True:
            began = time.monotonic()
            ended = self._one_run()
            if ended is None:
                return
            delay = backoff.after(time.monotonic() - began)
            if self._stopping.is_set() or not self._again(ended, delay, backoff.row):
                return
            assert delay is not None
            if self._stopping.wait(delay):
                return

    def _one_run(self) -> Exited | None:
        """Starts the program and waits for its exit; None where it was not to be started, or has been left."""
        with self._lock:
            if self._stopping.is_set():
                return None
            self._status = replace(self._status, starts=self._status.starts + 1)
            try:
                self._child = Child(self.launch, self._program)
                failure = None
            except OSError as error:
                failure = Exited(None, failure=str(error))
        ended = failure or self._follow()
        left = self._stopping.is_set() and not self.launch.stop_with_publisher
        with self._lock:
            self._child = None
            self._status = replace(self._status, alive=False, exit_code=ended.status, last_lines=ended.lines)
        self._log_exit(ended)
        return None if left else ended

    def _follow(self) -> Exited:
        child = self._child  # only this thread changes it
        assert child is not None
        pid = child.pid()
        if isinstance(pid, Exited):
            return pid
        with self._lock:
            self._status = replace(self._status, pid=pid, alive=True)
        log.info("%s has been started", self._who())
        return child.wait()

    def _log_exit(self, ended: Exited) -> None:
        fine = self._stopping.is_set() or ended.status == 0
        level = logging.INFO if fine else logging.WARNING
        log.log(level, "%s %s%s", self._who(), ended, "" if ended.lines or ended.failure else " without a word")
        if ended.lines:
            said = "".join(f"\n    {line}" for line in ended.lines)
            output_log.log(level, "the last lines of %s:%s", self._who(), said)
        if ended.left:
            which = ", ".join(ended.left)
            log.error("%s has left what may not be ended, or does not end: %s", self._who(), which)

    def _again(self, ended: Exited, delay: float | None, row: int) -> bool:
        """Returns whether to restart the program; otherwise does what `on_exit` says."""
        max_restarts = self.launch.max_restarts
        if self.launch.on_exit == "restart" and not self._wanted():
            return False
        if self.launch.on_exit == "restart" and delay is not None:
            log.info("%s is started again in %g s (%d of %d)", self._who(), delay, row, max_restarts)
            return True
        if self.launch.on_exit == "restart":
            failure = f"{ended}, and has been started again {max_restarts} times in a row, which is its limit"
            log.error("%s %s; it is not started any more", self._who(), failure)
        else:
            failure = f"{ended}, and on_exit={self.launch.on_exit!r}"
        with self._lock:
            self._status = replace(self._status, failure=failure)
        if self.launch.on_exit == "stop":
            self._on_stop(f"{self._who()} {ended}")
        return False

    def _who(self) -> str:
        pid = self.status.pid
        return f"the subscriber's program{self._label} ({self.launch}{'' if pid is None else f', pid {pid}'})"
