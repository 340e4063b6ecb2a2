# SPDX-License-Identifier: Apache-2.0
"""The process between a publisher's program and one run of a subscriber's program that it has launched.

A is the publisher's program here, and B the subscriber's. This process is the parent of B.

    python guard.py DESCRIPTOR '{"kill_timeout": 5, "leave": false}' PROGRAM ARGUMENTS...

DESCRIPTOR is one end of a socket pair, the lifeline; A has the other. When A closes it, or dies in any way, the
lifeline ends, and B gets SIGTERM, then SIGKILL after the kill timeout. Neither a signal handler nor a thread of A is
needed for that, which is why there is a process. Two lines of JSON go the other way: B's process id, then how B exited
and its last output.

What ends with B. B is in a session of its own, so Ctrl-C in the terminal reaches A alone, which then ends B. This
process is a child subreaper (prctl(2)): every process that B starts stays its descendant, also a daemon that has forked
twice or a process in a session of its own. When B's first process has exited, all descendants are ended with the same
timeout: SIGTERM to each, SIGCONT so that a stopped one sees it, and SIGKILL to the rest. /proc is read repeatedly, so a
process that is started meanwhile is found as well. A process that forks and exits repeatedly is found by the kernel's
list of children, which takes no time to read. All have exited when waitpid(2) knows no child any more. A process of
another user may not be ended and is reported. With "leave" no process is ended, and this one stays to pass on what B
writes. B's output is passed on to A's outputs as it comes.

Signals. B begins as a program that a shell starts: no signal is blocked, ignored or handled, whatever A does with them.
The exception is SIGHUP: where A ignores it, as under nohup(1), so does B. SIGCHLD is this process's own, so the exit
status of B is known even where A ignores SIGCHLD or reaps every child.

Deaths. If A is killed, the lifeline ends. If this process is killed, the kernel kills B (PR_SET_PDEATHSIG), and A, if
it lives, kills B's process group; processes that have left that group run on.

Standard library only, and nothing of framebus, so that it starts fast and stays small.
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
from dataclasses import dataclass

LINES = 20  # of each of B's outputs that are told to A, those of standard error last, so that no chatter hides an error
LINE_BYTES = 1000  # of each
END_OF_OUTPUT_S = 1.0  # for what B has written to come through, once all have ended
LOOK_S = 0.02  # between two looks at what is left
OWN = "/proc/thread-self/children"  # of the main thread, which is the only one that has any
UNSEEN = "processes that start others faster than they can be found"
KILLED_S = 2.0  # for what got SIGKILL to be gone; longer only if the kernel can't end it
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)  # as a service manager sends them to every process
OURS = (signal.SIGPIPE, signal.SIGXFSZ)  # ignored by Python, and by us; subprocess restores both for B


class Signals:
    """The signals of this process, which come as bytes through a pipe, so that select() sees them."""

    def __init__(self) -> None:
        """Resets what was inherited. The mask comes last: what was blocked and pending is then seen here."""
        self._reading, writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *OURS}:
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            mine = number == signal.SIGCHLD or number in ENDING
            signal.signal(number, (lambda *_: None) if mine else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def wait(self, seconds: float | None, *also: socket.socket) -> bool:
        """Waits for a signal or for `also` to be readable; says whether this process is to end."""
        watched: list[int | socket.socket] = [self._reading, *also]
        ready = select.select(watched, [], [], seconds)[0]
        came = os.read(self._reading, 1 << 16) if self._reading in ready else b""
        return any(each in ready for each in also) or any(number in came for number in ENDING)


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; the time of its start tells it from a later one of the same id."""

    pid: int
    name: str
    state: str
    parent: int
    group: int
    started: str

    @classmethod
    def read(cls, pid: int) -> Process | None:
        """Returns None where it has ended or may not be seen."""
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                head, _, tail = stat.read().rpartition(")")
        except OSError:
            return None
        fields = tail.split()
        return cls(pid, head.partition("(")[2], fields[0], int(fields[1]), int(fields[2]), fields[19])


class Children:
    """B and all its descendants: they are descendants of this process, whatever they do."""

    def __init__(self, program: int) -> None:
        self._program = program
        self.status: int | None = None  # of B, as subprocess has it

    def reap(self) -> bool:
        """Leaves no zombie behind; says whether there is any child yet."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._program:
                self.status = os.waitstatus_to_exitcode(status)

    def descendants(self) -> list[Process]:
        """All that run at this moment, B first. Those that are started meanwhile may be missing.

        Where /proc is missing, or shows another pid namespace than ours, it is B's process group, named by -group.
        """
        if not shows_us():
            return [Process(-self._program, "process group of the program", "R", 0, self._program, "")]
        of: dict[int, list[Process]] = {}
        for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
            process = Process.read(pid)
            if process is not None:
                of.setdefault(process.parent, []).append(process)
        found = list(of.get(os.getpid(), ()))
        for process in found:  # grows as it goes
            found.extend(of.get(process.pid, ()))
        return [process for process in found if process.state not in "ZX"]

    def end(self, kill_timeout_s: float, signals: Signals) -> list[str]:
        """Ends all of them; returns what could not be ended."""
        deadline = time.monotonic() + kill_timeout_s
        asked: set[tuple[int, str]] = set()
        while self.reap():
            for process in self.descendants():
                if (process.pid, process.started) not in asked:
                    asked.add((process.pid, process.started))
                    send(process.pid, signal.SIGTERM)
                    send(process.pid, signal.SIGCONT)
            if time.monotonic() >= deadline:
                break
            signals.wait(max(0.0, min(LOOK_S, deadline - time.monotonic())))
        return self._kill(signals)

    def _kill(self, signals: Signals) -> list[str]:
        deadline = time.monotonic() + KILLED_S
        while self.reap():
            self._kill_own()
            left = self.descendants()
            mine = [process for process in left if send(process.pid, signal.SIGKILL)]
            for group in {process.group for process in mine} - {0, os.getpgrp()}:
                with contextlib.suppress(OSError):  # it has ended
                    os.killpg(group, signal.SIGKILL)  # at once, so that no fork within the group escapes
            if (left and not mine) or time.monotonic() >= deadline:
                return [f"{process.name} (pid {process.pid})" for process in left] or [UNSEEN]
            signals.wait(LOOK_S / 10)
        return []

    def _kill_own(self) -> None:
        """Kills children of this process, again and again, as the kernel lists them.

        A process that forks and ends at once, in a session of its own, needs less time than a walk through /proc. What
        it leaves is a child of this process by then, so the list, which is read within microseconds, has it.
        """
        if not shows_us():
            return
        until = time.monotonic() + LOOK_S
        with contextlib.suppress(OSError), open(OWN, "rb", buffering=0) as own:  # a kernel may have no such list
            while self.reap() and time.monotonic() < until:
                for pid in os.pread(own.fileno(), 1 << 16, 0).split():
                    send(int(pid), signal.SIGKILL)


def shows_us() -> bool:
    """Whether the process ids in /proc are those that we and kill(2) use."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def send(pid: int, number: int) -> bool:
    """Sends a signal, to a process group where it is -group; says whether this process may do that, or need not."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return True
    except PermissionError:  # it has become another user's
        return False
    return True


def start(command: list[str], leave: bool) -> subprocess.Popen[bytes]:
    """Starts B; with `leave` it outlives this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    guard = os.getpid()
    if not leave and libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this system has no child subreaper, which ends what the program starts")

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
    """Copies B's output to ours until it ends, and keeps its last lines. Reads on when our output has no reader."""
    rest = b""
    while chunk := os.read(source, 1 << 16):
        *lines, rest = re.split(rb"[\r\n]", rest + chunk)
        last.extend(line[:LINE_BYTES] for line in lines if line)
        rest = rest[:LINE_BYTES]
        while chunk and target >= 0:
            try:
                chunk = chunk[os.write(target, chunk) :]
            except OSError:  # the reader of our output has gone
                target = -1
    if rest:
        last.append(rest)


def report(lifeline: socket.socket, **content: object) -> None:
    """Sends one line to A, if A is there."""
    with contextlib.suppress(OSError):
        lifeline.sendall(json.dumps(content).encode() + b"\n")


def wait_and_end(
    process: subprocess.Popen[bytes], lifeline: socket.socket, signals: Signals, kill_timeout_s: float
) -> list[str]:
    """Returns when B and all that it has started have ended, with what could not be ended."""
    children = Children(process.pid)
    while children.reap() and children.status is None:
        if signals.wait(None, lifeline):
            break
    left = children.end(kill_timeout_s, signals)
    process.returncode = children.status
    return left


def wait_for_left(process: subprocess.Popen[bytes], signals: Signals) -> None:
    """Returns when B has exited; does nothing to end it."""
    children = Children(process.pid)
    while children.reap() and children.status is None:
        signals.wait(None)
    process.returncode = children.status


def main() -> None:
    """Runs B and ends when B, its descendants and its output have ended."""
    signals = Signals()
    lifeline = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    leave = bool(settings["leave"])
    if not leave and select.select([lifeline], [], [], 0)[0]:
        report(lifeline, failure="it was to end before it had begun")
        return
    try:
        process = start(sys.argv[3:], leave)
    except OSError as error:
        report(lifeline, failure=str(error))
        return
    report(lifeline, pid=process.pid)
    last: list[deque[bytes]] = []
    pumps = []
    for pipe, target in ((process.stdout, 1), (process.stderr, 2)):
        assert pipe is not None
        last.append(deque(maxlen=LINES))
        pumps.append(threading.Thread(target=pass_on, args=(pipe.fileno(), target, last[-1]), daemon=True))
        pumps[-1].start()
    left: list[str] = []
    if leave:
        wait_for_left(process, signals)
    else:
        left = wait_and_end(process, lifeline, signals, float(settings["kill_timeout"]))
    deadline = time.monotonic() + END_OF_OUTPUT_S
    for pump in pumps:
        pump.join(max(0.0, deadline - time.monotonic()))
    lines = [line.decode(errors="replace") for each in last for line in each]
    report(lifeline, status=process.returncode, lines=lines, left=left)
    lifeline.close()
    if leave:
        for pump in pumps:
            pump.join()  # what B has left behind may go on writing
    os._exit(0)  # a thread may still be writing to a terminal or a pipe that takes nothing


if __name__ == "__main__":
    main()
