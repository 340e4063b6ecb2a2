# SPDX-License-Identifier: Apache-2.0
"""The parent of a pipe's program, where our own process could lose the exit status: it reports that status.

    python reporter.py DESCRIPTOR PROGRAM ARGUMENTS...

A process that ignores SIGCHLD, or handles it in a way of its own, loses the exit status of its children; one that
blocks signals hands that down. This process has clean signals. It starts the program with its own standard input,
output and error, then closes the first two, so that the end of the pipe is seen. It writes two lines of JSON to
DESCRIPTOR: the process id or why there is none, then the status. SIGTERM is passed on; should this process be killed,
the kernel kills the program. A SIGHUP that is ignored stays ignored, as under nohup(1).

Standard library only, and nothing of framebus: so that it starts fast and stays small.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
OURS = {signal.SIGPIPE, signal.SIGXFSZ}  # ignored by Python, and by us; subprocess restores both for the program


def reset_signals() -> None:
    """Resets every signal to its default action, and unblocks it. Ctrl-C reaches the program itself: we wait for it."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *OURS}:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def report(descriptor: int, **content: object) -> None:
    """Sends one line to our process, if it is there."""
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps(content).encode() + b"\n")


def main() -> None:
    """Starts the program and ends when it has."""
    descriptor = int(sys.argv[1])
    reset_signals()
    libc = ctypes.CDLL(None)
    us = os.getpid()

    def die_with_us() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != us:
            os._exit(1)

    try:
        process = subprocess.Popen(sys.argv[2:], preexec_fn=die_with_us)  # safe: this process has one thread
    except OSError as error:
        report(descriptor, failure=str(error))
        return
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    report(descriptor, pid=process.pid)
    report(descriptor, status=process.wait())


if __name__ == "__main__":
    main()
