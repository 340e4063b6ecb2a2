# SPDX-License-Identifier: Apache-2.0
"""`framebus run`: starts a subscriber's program when a channel has its first frame, and supervises it."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Annotated, NoReturn

from cyclopts import Parameter

import framebus
from framebus.cli import output
from framebus.launch import FirstFramePin, OnExit, has_closed

LOOK_S = 0.2  # between two looks whether the publisher has closed the channel
FOREVER_S = 10.0 * 365 * 86400
NO_PROGRAM = 127  # what a shell reports for a command that it does not find


def run(
    channel: str,
    /,
    *command: str,
    on_exit: OnExit = "restart",
    max_restarts: Annotated[int, Parameter(name=("--max-restarts", "--limit"))] = 10,
    kill_timeout: Annotated[float, Parameter(name=("--kill-timeout", "--grace"))] = 5.0,
    leave: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Start a subscriber's program when a channel has its first frame, and restart it when it exits.

    For example: framebus run camera0 -- python algo.py

    It waits for the publisher's first frame, which is held until the program has fetched it if it asks for history. The
    program is restarted after a delay that doubles from 0.1 to 10 seconds. When the publisher closes the channel, the
    program has a second to exit and then gets SIGTERM. When the publisher dies, the program waits for the next one as
    any subscriber does.

    Exit status: that of the program's last run, or 128 and the signal's number if a signal ended it; 127 if there is no
    such program; 0 if it had to be ended because the channel was closed; 130 after Ctrl-C, 143 after SIGTERM and 129
    after SIGHUP, which end the program too.

    Parameters
    ----------
    channel
        The channel whose first frame starts the program.
    command
        Program and arguments, after "--".
    on_exit
        What to do when the program exits: "restart" it; "stop": exit too; "ignore": wait for the channel to close.
    max_restarts
        Restarts in a row; a run of 10 seconds begins a new row.
    kill_timeout
        Seconds from SIGTERM to SIGKILL when the program is ended.
    leave
        Leave the program running when the channel closes, or at Ctrl-C.
    """
    if not command:
        _fail(f"there is no program to start; write: framebus run {channel} -- python algo.py", 2)
    _show_log()
    try:
        launch = framebus.Launch(
            command,
            on_exit=on_exit,
            max_restarts=max_restarts,
            kill_timeout=kill_timeout,
            stop_with_publisher=not leave,
        )
        status = _supervise(launch, channel)
    except framebus.ProgramNotFound as error:
        _fail(str(error), NO_PROGRAM)
    except (ValueError, TypeError) as error:
        _fail(str(error), 2)
    except framebus.Error as error:
        _fail(str(error), 1)
    sys.exit(status)


def _supervise(launch: framebus.Launch, channel: str) -> int:
    with framebus.Launcher(launch, channel) as launcher:
        pin = FirstFramePin(channel, every=False, connect_timeout=FOREVER_S)
        closed = False
        try:
            pin.keep(None)
            launcher.start(pin)
            while not closed and not _is_over(launcher):
                closed = has_closed(channel)
        except BaseException:
            pin.release()
            launcher.stop(now=True)
            raise
        launcher.stop()
        [program] = launcher.programs
    if program.alive:
        return 0  # left
    return _shell_status(program.exit_code, closed)


def _is_over(launcher: framebus.Launcher) -> bool:
    """Waits a moment; says whether there is nothing more to supervise."""
    return launcher.wait(LOOK_S) and launcher.launches[0].on_exit != "ignore"


def _shell_status(code: int | None, closed: bool) -> int:
    if code is None:
        return NO_PROGRAM
    if closed and code in (-signal.SIGTERM, -signal.SIGKILL):
        return 0  # we did that
    return code if code >= 0 else 128 - code


def _show_log() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("framebus run: %(message)s"))
    log = logging.getLogger("framebus.launch")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    output = logging.getLogger("framebus.launch.output")
    output.addHandler(logging.NullHandler())
    output.propagate = False  # it has been passed on already


def _fail(message: str, status: int) -> NoReturn:
    output.fail("run", message, status)
