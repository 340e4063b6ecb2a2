# SPDX-License-Identifier: Apache-2.0
"""What programs do with SIGCHLD that costs them the exit status of their children. The test that calls it undoes it."""

from __future__ import annotations

import os
import signal


def ignore_sigchld() -> None:
    """The kernel then reaps every child at once, and waitpid() finds none."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def reap_every_child() -> None:
    """As in programs that have many children, and in libraries that should not."""
    signal.signal(signal.SIGCHLD, _reap_all)


def _reap_all(*_: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
