# SPDX-License-Identifier: Apache-2.0
"""`framebus run`: starts program B when a channel has its first frame and keeps it alive, from outside of program A."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Annotated, NoReturn

from cyclopts import Parameter

import framebus
from framebus.cli import output
from framebus.launch import FirstFramePin, OnExit, has_closed

LOOK_S = 0.2  # between two looks whether program A has closed the channel
FOREVER_S = 10.0 * 365 * 86400
NO_PROGRAM = 127  # what a shell reports for a command that it does not find


def run(
    channel: str,
    /,
    *command: str,
    on_exit: OnExit = "restart",
    limit: int = 10,
    grace: float = 5.0,
    leave: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Start a program B when a channel has its first frame, and keep it alive.

    For example: framebus run camera0 -- python algo.py

    It waits for program A and its first frame, which is kept until B has fetched it if B asks for history. B is started
    again whenever it ends, after a pause that doubles from 0.1 to 10 seconds. When A closes the channel, B has a
    second to end by itself and is then ended with SIGTERM; when A dies, B waits for the next A as any subscriber does.

    Exit status: that of B where B ended last, 128 and the signal's number where a signal did it, 127 if there is no
    such program; 0 where B had to be ended because A has closed the channel; 130 after Ctrl-C, 143 after
    SIGTERM and 129 after SIGHUP, which end B too.

    Parameters
    ----------
    channel
        The channel whose first frame starts B.
    command
        Program and arguments, after "--".
    on_exit
        What to do when B ends: "restart" it; "stop": end too; "ignore": wait for the channel to close.
    limit
        How often to start B again in a row; one that has run for 10 seconds begins a new row.
    grace
        Seconds from SIGTERM to SIGKILL when B is ended.
    leave
        Leave B running when the channel closes, or at Ctrl-C.
    """
    if not command:
        _fail(f"there is no program to start; write: framebus run {channel} -- python algo.py", 2)
    _show_log()
    try:
        launch = framebus.Launch(
            command, on_exit=on_exit, max_restarts=limit, kill_timeout=grace, stop_with_publisher=not leave
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
