# SPDX-License-Identifier: Apache-2.0
"""A program may end at any moment, also while its other threads wait for frames or for room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.run_forked import run_forked

HEAD = """
import sys, threading
import numpy as np, framebus
name = sys.argv[1]
inside = threading.Event()
def forever(call):
    inside.set()
    while True:
        call()
def begin(call):
    threading.Thread(target=forever, args=(call,), daemon=True).start()
    inside.wait()
"""
WAITS = {
    "recv": "pub = framebus.Publisher(name); sub = framebus.Subscriber(name); begin(sub.recv)",
    "short recv": "pub = framebus.Publisher(name); sub = framebus.Subscriber(name)\n"
    "def short():\n    try: sub.recv(timeout=0.001)\n    except framebus.Timeout: pass\nbegin(short)",
    "iteration": "pub = framebus.Publisher(name); sub = framebus.Subscriber(name); begin(lambda: next(sub))",
    "send": "pub = framebus.Publisher(name, on_full='block', slots=2); sub = framebus.Subscriber(name, every=True)\n"
    "begin(lambda: pub.send(np.zeros(10)))",
    "large send": "pub = framebus.Publisher(name); begin(lambda: pub.send(np.zeros((1080, 1920, 3), np.uint8)))",
    "connecting": "begin(lambda: framebus.Subscriber(name, connect_timeout=60))",
}


FORKED = 4  # times


@pytest.mark.parametrize("wait", list(WAITS))
def test_program_ends_cleanly_while_a_daemon_thread_is_inside(channel_name: str, tmp_path: Path, wait: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"{HEAD}{WAITS[wait]}\n")
    command = [str(program), channel_name]
    check(subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60), channel_name)
    program.write_text(f"{program.read_text()}sys.exit()\n")  # takes the whole interpreter apart in a forked one, too
    for _ in range(FORKED):
        check(run_forked((), command), channel_name)


def check(done: subprocess.CompletedProcess[str], channel_name: str) -> None:
    assert done.returncode == 0, done.stderr
    # A thread that comes out of a call at this very moment may still say that its end is closed; nothing else.
    assert done.stderr == "" or "Exception in thread" in done.stderr
    assert "terminate called" not in done.stderr
    assert list(Path("/dev/shm").glob(f"framebus.{channel_name}*")) == []
