# SPDX-License-Identifier: Apache-2.0
"""The process between program A and one run of program B: it is B's parent, and ends B when A is gone.

    python guard.py DESCRIPTOR '{"grace": 5, "leave": false}' PROGRAM ARGUMENTS...

DESCRIPTOR is one end of a socket pair, the leash; A has the other. When A lets go of it, or dies in any way, the leash
ends, and B gets SIGTERM, then SIGKILL after the grace. Neither a signal handler nor a thread of A is needed for that,
which is why there is a process. The other way go two lines of JSON: B's process id, then how it ended and what it said.

B is in a session of its own: Ctrl-C in the terminal reaches A alone, which then ends B; and what B starts is in B's
process group and ends with it, however B itself ended. With "leave" nothing is ever ended, and this process stays
to pass on what B writes. B's output goes on to A's own as it comes. Should this process be killed, B is killed with it.

Standard library only, and nothing of framebus: it is to start fast and stay small.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from types import FrameType
from typing import NoReturn

LINES = 20  # of each of B's outputs that are told to A, those of standard error last, so that no chatter hides an error
LINE_BYTES = 1000  # of each
END_OF_OUTPUT_S = 1.0  # for what B has written to come through, once it has ended; its children may keep the pipe open
PR_SET_PDEATHSIG = 1


class Told(Exception):
    """A signal asks this process to end."""


def start(command: list[str], leave: bool) -> subprocess.Popen[bytes]:
    """Starts B; with `leave` it outlives this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    guard = os.getpid()

    def die_with_guard() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != guard:
            os._exit(1)

    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=None if leave else die_with_guard,  # safe: this process has one thread yet
    )


def pass_on(source: int, target: int, last: deque[bytes]) -> None:
    """Copies B's output to ours until it ends, and keeps its last lines. Reads on where nobody takes ours."""
    rest = b""
    while chunk := os.read(source, 1 << 16):
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        last.extend(line[:LINE_BYTES] for line in lines if line)
        rest = rest[:LINE_BYTES]
        while chunk and target >= 0:
            try:
                chunk = chunk[os.write(target, chunk) :]
            except OSError:  # whoever read our output is gone
                target = -1
    if rest:
        last.append(rest)


def wait(process: subprocess.Popen[bytes], leash: socket.socket) -> None:
    """Returns when B has ended or the leash has, or at a SIGTERM, as a service manager sends it to every process."""

    def tell(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Told

    ended, at_end = os.pipe()

    def watch() -> None:
        process.wait()
        os.close(at_end)

    threading.Thread(target=watch, daemon=True).start()
    try:
        signal.signal(signal.SIGTERM, tell)
        select.select([leash.fileno(), ended], [], [])
    except Told:
        pass
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def end_group(group: int, grace_s: float) -> None:
    """Ends B and what it has started: SIGTERM, and SIGKILL for what is left after the grace."""
    deadline = time.monotonic() + grace_s
    there = signal_group(group, signal.SIGTERM)
    while there and time.monotonic() < deadline:
        time.sleep(0.01)
        there = signal_group(group, 0)
    if there:
        signal_group(group, signal.SIGKILL)


def signal_group(group: int, number: int) -> bool:
    """Sends a signal, 0 for none; says whether there was anybody to get it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # not ours to end: it has become another user's
        return False
    return True


def report(leash: socket.socket, **content: object) -> None:
    """Tells A; where A is gone, nobody needs to know."""
    with contextlib.suppress(OSError):
        leash.sendall(json.dumps(content).encode() + b"\n")


def main() -> None:
    """Runs B and ends when B, its process group and its output have ended."""
    leash = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    leave = bool(settings["leave"])
    if not leave and select.select([leash], [], [], 0)[0]:
        report(leash, failure="it was to end before it had begun")
        return
    try:
        process = start(sys.argv[3:], leave)
    except OSError as error:
        report(leash, failure=str(error))
        return
    report(leash, pid=process.pid)
    last: list[deque[bytes]] = []
    pumps = []
    for pipe, target in ((process.stdout, 1), (process.stderr, 2)):
        assert pipe is not None
        last.append(deque(maxlen=LINES))
        pumps.append(threading.Thread(target=pass_on, args=(pipe.fileno(), target, last[-1]), daemon=True))
        pumps[-1].start()
    wait(process, leash)
    if not leave:
        end_group(process.pid, float(settings["grace"]))
    status = process.wait()
    deadline = time.monotonic() + END_OF_OUTPUT_S
    for pump in pumps:
        pump.join(max(0.0, deadline - time.monotonic()))
    report(leash, status=status, lines=[line.decode(errors="replace") for each in last for line in each])
    leash.close()
    if leave:
        for pump in pumps:
            pump.join()  # what B has left behind may go on writing
    os._exit(0)  # a thread may still be writing to a terminal or a pipe that takes nothing


if __name__ == "__main__":
    main()
