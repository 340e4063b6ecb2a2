# SPDX-License-Identifier: Apache-2.0
"""Signals that end a command: SIGTERM, and SIGHUP when its terminal is closed.

Promise: either ends a command as Ctrl-C does, through every `finally` and `with`, so that files are complete, channels
closed and programs that were started have ended. The exit status is 128 and the signal's number, as a shell has it for
a program that the signal has killed. A signal that is ignored when the command starts, as SIGHUP is under nohup(1),
stays ignored.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT
UNREAD = 128 + signal.SIGPIPE
_ENDING = (signal.SIGTERM, signal.SIGHUP)


def exit_at_signals() -> None:
    """Prepares this process, once, at its start.

    What it has inherited would change how programs end that it starts or waits for: no signal is blocked from now on,
    and SIGCHLD is not ignored.
    """
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _exit)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)  # a terminal sends SIGHUP twice: the second must not disturb the ending
    sys.exit(128 + number)
