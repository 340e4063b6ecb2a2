# SPDX-License-Identifier: Apache-2.0
"""Starts the subscriber programs of one channel, supervises them, and ends them.

Promise: after stop() every program that is to end with its publisher has exited, with all that it had started, and no
zombie is left; also where a program ignores SIGTERM. In a forked child none of this has an effect: the programs are the
parent's.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable

from framebus import _core
from framebus._util import names
from framebus.errors import Error
from framebus.launch.first_frame_pin import FirstFramePin
from framebus.launch.program import LaunchOption, find_program, launches_of
from framebus.launch.supervisor import Launched, Supervisor

KEEP_S = 30.0  # for every program to fetch its first frame; then the frame that is held for it is released
LOOK_S = 0.05  # between two looks whether they have

log = logging.getLogger("framebus.launch")


class Launcher:
    """Supervises one or several subscriber programs. What Publisher(launch=) and `framebus run` are made of.

        with framebus.Launcher(["python", "algo.py"], "camera0") as launcher:
            launcher.start()
            launcher.wait()

    A Launcher that is collected ends its programs too, without waiting for that.
    """

    def __init__(
        self, launch: LaunchOption, channel: str | None = None, *, on_stop: Callable[[str], None] | None = None
    ) -> None:
        """Finds the programs and starts nothing yet.

        Args:
            launch: program and arguments, a Launch, or a list of these.
            channel: the channel whose newest frame is kept while the programs start; its name is in the log too.
            on_stop: called in another thread with how a program exited that has on_exit="stop".

        Raises:
            InvalidName: the channel's name can't be one.
            ProgramNotFound: no such program, or not one that can be started; says where it was looked for.
            TypeError, ValueError: not a program and its arguments; says what to write.
        """
        self.launches = launches_of(launch)
        self.channel = None if channel is None else names.channel(channel)
        label = "" if channel is None else f" of {channel!r}"
        self._process = os.getpid()
        self._supervisors = [
            Supervisor(each, find_program(each), label, on_stop or _nobody_asks, lambda: _is_open(channel))
            for each in self.launches
        ]
        self._started = False
        self._stopped = threading.Event()
        self._fetched = threading.Event()  # set where no frame is held
        self._fetched.set()
        self._pins: list[FirstFramePin] = []
        self._let_go = weakref.finalize(self, _forget, self._process, self._supervisors, self._pins, self._stopped)
        self._let_go.atexit = False  # the lifeline ends with the process

    @property
    def programs(self) -> tuple[Launched, ...]:
        """What is known of each program; nothing in a forked child."""
        if os.getpid() != self._process:
            return ()
        return tuple(supervisor.status for supervisor in self._supervisors)

    def start(self, pin: FirstFramePin | None = None) -> None:
        """Starts every program, and again whenever it ends, as its Launch says. Keeps the frame of `pin` for them.

        Returns at once; the programs are started by threads. May be repeated, and then does nothing.
        """
        if self._started or self._stopped.is_set() or os.getpid() != self._process:
            return
        self._started = True
        if pin is not None:
            self._pins.append(pin)
            self._fetched.clear()
        for supervisor in self._supervisors:
            supervisor.start()
        if pin is not None:
            assert self.channel is not None
            threading.Thread(
                target=_release_when_fetched,
                args=(pin, self.channel, self._supervisors, self._stopped, self._fetched),
                name="framebus launch pin",
                daemon=True,
            ).start()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until every program has ended and will not be started again; says whether that is so."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for supervisor in self._supervisors:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not supervisor.wait(left):
                return False
        return True

    def wait_until_fetched(self) -> None:
        """Waits until each program has fetched a frame, will not, or takes longer than 30 seconds."""
        if os.getpid() == self._process:
            self._fetched.wait(KEEP_S)

    def stop(self, *, now: bool = False) -> None:
        """Ends the programs and waits for that; those that are to be left run on. May be repeated.

        Each has `shutdown_timeout` seconds to exit, as a program does when its channel is closed; none with `now`.
        Then it gets SIGTERM, and after its `kill_timeout` SIGKILL.
        """
        if os.getpid() != self._process:
            return
        self._stopped.set()
        for pin in self._pins:
            pin.release()
        ending = []
        for supervisor in self._supervisors:
            supervisor.begin_stop()
            if supervisor.launch.stop_with_publisher:
                ending.append(supervisor)
        began = time.monotonic()
        for supervisor in sorted(ending, key=lambda each: each.launch.shutdown_timeout):
            if not now:
                supervisor.wait(max(0.0, began + supervisor.launch.shutdown_timeout - time.monotonic()))
            supervisor.let_go()
        for supervisor in ending:
            supervisor.wait_for_exit()

    def let_go(self) -> None:
        """Begins to end the programs and waits for nothing; stop() may follow."""
        self._let_go()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def has_closed(channel: str | None) -> bool:
    """Whether the channel's publisher has closed it; False where there is no channel to look at."""
    if channel is None:
        return False
    report = _core.inspect(channel)
    return report is None or bool(report["closed"])


def _is_open(channel: str | None) -> bool:
    try:
        return not has_closed(channel)
    except Error as error:
        log.warning("can't see whether channel %r has been closed: %s", channel, error)
        return True


def _nobody_asks(_how: str) -> None:
    """Stands for on_stop where there is no channel to close."""


def _forget(process: int, supervisors: list[Supervisor], pins: list[FirstFramePin], stopped: threading.Event) -> None:
    if os.getpid() != process:
        return
    stopped.set()
    for pin in pins:
        pin.release()
    for supervisor in supervisors:
        supervisor.let_go()


def _release_when_fetched(
    pin: FirstFramePin, channel: str, supervisors: list[Supervisor], stopped: threading.Event, fetched: threading.Event
) -> None:
    """Releases the frame when each program has fetched one, will not, or takes too long."""
    deadline = time.monotonic() + KEEP_S
    try:
        while time.monotonic() < deadline and not stopped.wait(LOOK_S):
            if _all_have_fetched(channel, supervisors):
                return
    except Error as error:
        log.warning("can't see whether the subscriber's program of %r has attached: %s", channel, error)
    finally:
        fetched.set()
        pin.release()


def _all_have_fetched(channel: str, supervisors: list[Supervisor]) -> bool:
    report = _core.inspect(channel)
    readers = report["subscribers"] if report is not None else []
    sessions = {_session_of(reader["pid"]) for reader in readers if reader["alive"] and reader["frames"] > 0}
    return all(supervisor.wait(0) or supervisor.status.pid in sessions for supervisor in supervisors)


def _session_of(pid: int) -> int:
    """The session of a process, which is that of the launched program it belongs to; 0 where it has none."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0
