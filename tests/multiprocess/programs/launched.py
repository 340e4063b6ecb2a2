# SPDX-License-Identifier: Apache-2.0
"""A launched subscriber's program: it does one thing and writes its answers into a file, a line each.

`run` is one of the functions here; the first line it writes is always its process id.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, NoReturn

OPTIONS: dict[str, Any] = json.loads(sys.argv[1])
JOURNAL = os.open(OPTIONS.pop("journal"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(text: object) -> None:
    """Write one line, in a single system call."""
    os.write(JOURNAL, f"{text}\n".encode())


def sleep_until_killed() -> NoReturn:
    """Wait without a limit; a handler runs at once, also for a signal that came just before the wait."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    while True:
        os.read(reading, 1)


def fetch(limit: int | None = None, **subscription: Any) -> None:
    """Fetch frames and note their numbers, `limit` of them or until the channel closes."""
    import framebus  # not in the others, which start in a tenth of the time without it

    with framebus.Subscriber(**subscription) as subscriber:
        for count, frame in enumerate(subscriber, 1):
            note(frame.seq)
            if count == limit:
                sys.exit(7)
        note(f"dropped {subscriber.statistics().dropped}")


def end(status: int = 0, lines: int = 0, text: str = "line") -> None:
    """Write lines to both outputs and end."""
    for number in range(lines):
        os.write(1 + number % 2, os.fsencode(f"{text} {number}\n"))
    sys.exit(status)


def write(count: int) -> None:
    """Write that many bytes, without an end of line, then wait."""
    sys.stdout.write("x" * count)
    sys.stdout.flush()
    note("written")
    wait()


def wait() -> None:
    """Wait without a limit, and note it if a SIGTERM comes."""

    def noted(*_: object) -> None:
        note("SIGTERM")
        sys.exit(0)

    signal.signal(signal.SIGTERM, noted)
    note("waiting")
    sleep_until_killed()


def ignore_sigterm() -> None:
    """Wait without a limit, whatever SIGTERM says."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("waiting")
    sleep_until_killed()


def with_a_child(ends: bool = False) -> None:
    """Start a child that waits, as a script that wraps another program does."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note(child.pid)
    if ends:
        os._exit(0)
    child.wait()


def into_the_background() -> None:
    """Leave a process in a session of its own, that keeps both outputs, and end."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        note(os.getpid())
        os.write(writing, b"!")
        time.sleep(600)
    os.read(reading, 1)
    os._exit(0)


def daemon(ends: bool = False, ignores: bool = False) -> None:
    """Start a daemon as daemons are started: forked twice, in a session of its own, its outputs closed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            for descriptor in (0, 1, 2):
                os.close(descriptor)
            if ignores:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                note(os.getpid())
            else:
                signal.signal(signal.SIGTERM, lambda *_: [note("daemon: SIGTERM"), os._exit(0)])
                note(os.getpid())
            os.write(writing, b"!")
            sleep_until_killed()
        os._exit(0)
    os.waitpid(child, 0)
    os.read(reading, 1)
    if ends:
        os._exit(0)
    time.sleep(600)


def starts_another_at_sigterm(generations: int) -> None:
    """At SIGTERM start another in a session of its own that does the same, and end."""

    def multiply(*_: object) -> None:
        nonlocal generations
        generations -= 1
        # Until the child has noted itself: Python forgets a signal that comes to a child before fork() has returned.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        if generations == 0 or os.fork() != 0:
            os._exit(0)
        os.setsid()
        note(os.getpid())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    signal.signal(signal.SIGTERM, multiply)
    note("waiting")
    sleep_until_killed()


def many(count: int) -> None:
    """Start as many children, each in a session of its own."""
    for _ in range(count):
        if os.fork() == 0:
            os.setsid()
            note(os.getpid())
            time.sleep(600)
    time.sleep(600)


def with_a_stopped_child() -> None:
    """Start a child in a session of its own that stops."""
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, lambda *_: [note("stopped: SIGTERM"), os._exit(0)])
        os.kill(os.getpid(), signal.SIGSTOP)
        sleep_until_killed()
    os.waitpid(child, os.WUNTRACED)
    note(child)
    time.sleep(600)


def under_another_subreaper() -> None:
    """Become a subreaper as an init for containers does, with a daemon below."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
    daemon()


def run(argv: list[str]) -> None:
    """Start a program in a session of its own, and wait."""
    note(subprocess.Popen(argv, start_new_session=True).pid)
    time.sleep(600)


def signals() -> None:
    """Note which signals are blocked and ignored, as the kernel has it; Python's own doing is undone."""
    with open("/proc/self/status", encoding="utf-8") as status:
        masks = dict(line.split(":") for line in status if line.startswith("Sig"))
    ignored = int(masks["SigIgn"], 16)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        ignored &= ~(1 << (number - 1))
    note(f"blocked {int(masks['SigBlk'], 16):x} ignored {ignored:x}")
    wait()


note(os.getpid())
globals()[OPTIONS.pop("run")](**OPTIONS)
