# SPDX-License-Identifier: Apache-2.0
"""A program that ends normally leaves its channels, whatever it has left open, and the last one out removes the files.

C++ programs: programs/leaving.cpp. Python programs are given as text; each takes the name of a channel in which this
process has published a frame, says "ready" when it has done what can go wrong, and ends when it is told.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.support.compiled import CppPrograms
from tests.support.paths import PROGRAMS
from tests.support.started import Started

import framebus

IMAGE = np.full((48, 64), 7, np.uint8)


def files(name: str) -> list[str]:
    return sorted(path.name for path in Path("/dev/shm").glob(f"*{name}*"))


@contextmanager
def started(name: str, *command: object) -> Iterator[Started]:
    """A program that is ready. The channel has no publisher any more, so the program is the last one in it."""
    with Started(*command, name) as process:
        with framebus.Publisher(name) as publisher:
            publisher.send(IMAGE)
            line = process.line()
            assert line == "ready", process.finish()
        assert files(name), "the program is there, and so are the files"
        yield process


CPP = re.findall(r'\{"([^"]+)", \[', (PROGRAMS / "leaving.cpp").read_text(encoding="utf-8"))


@pytest.mark.parametrize("how", CPP)
def test_a_cpp_program_leaves_nothing(cpp_programs: CppPrograms, channel_name: str, how: str) -> None:
    with started(channel_name, cpp_programs["leaving"], how) as process:
        if how == "exit in a signal handler":
            process.send_signal(signal.SIGTERM)
        errors = process.finish("\n")[2]
    assert (process.returncode, errors) == (0, "")
    assert files(channel_name) == []


HEAD = """
import gc, multiprocessing, os, sys, threading
import numpy as np, framebus
name = sys.argv[1]
own = framebus.Publisher(name + ".own")
sub = framebus.Subscriber(name, hold=4, connect_timeout=20)
inside = threading.Event()
def in_thread(work):
    threading.Thread(target=work, daemon=True).start()
    inside.wait()
def hold():
    frame = sub.recv()
    array = frame.array
    inside.set()
    threading.Event().wait()
def read():
    while True:
        frame = sub.recv()
        inside.set()
class Circle:
    def __init__(self, frame):
        self.frame, self.me = frame, self
def wait():
    print("ready", flush=True)
    sys.stdin.readline()
"""
PYTHON = {
    "a daemon thread reads and keeps its last frame": "in_thread(read); wait()",
    "a daemon thread holds a frame": "in_thread(hold); wait()",
    "a daemon thread iterates": "in_thread(lambda: [inside.set() for frame in sub]); wait()",
    "a global holds a frame": "frame = sub.recv(); wait()",
    "a global holds an array": "array = sub.recv().array[1:]; wait()",
    "a built-in module holds a frame": "sys.kept = sub.recv(); wait()",
    "a cycle holds a frame": "gc.disable(); Circle(sub.recv()); wait()",
    "an array outlives its closed subscriber": "array = sub.recv().array; sub.close(); wait()",
    "a frame held by what is never freed": "import ctypes; frame = sub.recv(); "
    "ctypes.pythonapi.Py_IncRef(ctypes.py_object(frame)); wait()",
    "sys.exit": "in_thread(hold); wait(); sys.exit(0)",
    "sys.exit within a function": "def main():\n    frame = sub.recv(); wait(); sys.exit(0)\nmain()",
    "an exit handler that reads the array": "import atexit; array = sub.recv().array\n"
    "atexit.register(lambda: array.sum() == 7 * 48 * 64 or os._exit(9)); wait()",
    "an asyncio loop in a daemon thread": """
import asyncio
async def loop():
    async for frame in sub: inside.set()
in_thread(lambda: asyncio.run(loop())); wait()""",
    "a task that was woken goes on in a daemon thread": """
import asyncio, time
mine = framebus.Subscriber(name + ".own")
async def work():
    asyncio.get_running_loop().call_later(0.05, own.send, np.zeros(3))  # so that the task waits before
    await mine.recv_async()
    inside.set()
    while True: time.sleep(0.0001)
in_thread(lambda: asyncio.run(work())); wait()""",
    "a daemon thread converts what it sends": """
import time
class Slow:
    def __array__(self, *_, **__):
        inside.set()
        while True: time.sleep(0.0001)
in_thread(lambda: own.send(Slow())); wait()""",
    "a daemon thread lends by a mapping": """
import collections.abc, time
class Slow(collections.abc.Mapping):
    def __iter__(self):
        inside.set()
        while True: time.sleep(0.0001)
    def __getitem__(self, name): return (3, "uint8")
    def __len__(self): return 1
in_thread(lambda: own.loan(Slow())); wait()""",
    "a daemon thread converts a timeout and a time": """
import time
class Slow:
    def __float__(self):
        inside.set()
        while True: time.sleep(0.0001)
    __index__ = __float__
threading.Thread(target=lambda: own.send(np.zeros(3), timestamp_ns=Slow()), daemon=True).start()
in_thread(lambda: sub.recv(Slow())); wait()""",
    "a daemon thread encodes the metadata of a loan": """
import time
class Slow(dict):
    def __contains__(self, key):
        inside.set()
        while True: time.sleep(0.0001)
def lend():
    with own.loan((100,), meta=Slow(a=1)): pass
in_thread(lend); wait()""",
    "a VideoCapture in a daemon thread": """
capture = framebus.VideoCapture(name)
def grab():
    while True:
        capture.read(); inside.set()
in_thread(grab); wait()""",
    "a relay in a daemon thread": """
threading.Thread(target=lambda: framebus.relay(sub, own), daemon=True).start()
framebus.Subscriber(name + ".own").recv(20); wait()""",
    "framebus.wait in a daemon thread": """
def both():
    while True:
        framebus.wait([sub]); sub.try_recv(); inside.set()
in_thread(both); wait()""",
    "a loan in a daemon thread": """
def lend():
    with own.loan((100,)) as frame:
        inside.set(); threading.Event().wait()
in_thread(lend); wait()""",
    "send waits in a daemon thread": """
slow = framebus.Publisher(name + ".slow", on_full="block", slots=2)
behind = framebus.Subscriber(name + ".slow", every=True)
def fill():
    while True:
        slow.send(np.zeros(9)); inside.set()
in_thread(fill); sub.recv(20); wait()""",
}


@pytest.mark.parametrize("how", list(PYTHON))
def test_a_python_program_leaves_nothing(channel_name: str, how: str) -> None:
    with started(channel_name, sys.executable, "-c", HEAD + PYTHON[how]) as process:
        errors = process.finish("\n")[2]
    assert process.returncode == 0, errors
    # A thread that comes out of a call at this very moment may still say that its end is closed; nothing else. The end
    # of the process may cut that short, anywhere before the line that says so.
    begun = errors.startswith("Exception in thread")
    is_cut = begun and errors.splitlines()[-1].startswith(("Exception in thread", "Traceback", "  "))
    assert errors == "" or is_cut or ("Exception in thread" in errors and "closed" in errors)
    assert "terminate called" not in errors
    assert files(channel_name) == []


def test_an_unhandled_exception_leaves_nothing(channel_name: str) -> None:
    with started(channel_name, sys.executable, "-c", HEAD + "frame = sub.recv(); wait(); 1 / 0") as process:
        status, _, errors = process.finish("\n")
    assert (status, errors.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")
    assert files(channel_name) == []


CHILD = """
import multiprocessing, sys, threading
import numpy as np
if __name__ != "__main__" or multiprocessing.parent_process() is not None or EARLY:
    import framebus
inside = threading.Event()
def read(sub):
    while True:
        frame = sub.recv()
        inside.set()
def hold_in_daemon(sub):
    threading.Thread(target=read, args=(sub,), daemon=True).start()
    inside.wait()
def child(name, how, ready, go):
    global kept, sub, pub
    import framebus
    sub = framebus.Subscriber(name, hold=4, connect_timeout=20) if isinstance(name, str) else name
    pub = framebus.Publisher(sub.name + ".own")
    pub.send(np.zeros(9))
    if how == "holds": kept = sub.recv()
    elif how == "daemon": hold_in_daemon(sub)
    elif how == "thread": threading.Thread(target=late, args=(go,)).start()
    else: executor()
    ready.set()
    if how != "thread": go.wait()
def late(go):
    global kept
    kept = sub.recv()
    go.wait()
    assert pub.send(np.zeros(9)) == 2, "threads go on until they are done"
def executor():
    import concurrent.futures
    global pool, kept
    pool = concurrent.futures.ThreadPoolExecutor()
    kept = pool.submit(sub.recv).result()
if __name__ == "__main__":
    name, method, how, pickled = sys.argv[1:5]
    context = multiprocessing.get_context(method)
    if pickled == "pickled":
        import framebus
        sub = framebus.Subscriber(sys.argv[-1], connect_timeout=20)
    ready, go = context.Event(), context.Event()
    process = context.Process(target=child, args=(sub if pickled == "pickled" else sys.argv[-1], how, ready, go))
    process.start()
    ready.wait()
    if pickled == "pickled": sub.close()
    print("ready", flush=True)
    sys.stdin.readline()
    go.set()
    process.join()
    sys.exit(process.exitcode)
"""


# Arguments of a forked child are not pickled, and a Subscriber that it inherits is refused.
METHODS = [
    (method, opened)
    for method in ("fork", "spawn", "forkserver")
    for opened in ("by name", "pickled", "imported before")
    if (method, opened) != ("fork", "pickled")
]


@pytest.mark.parametrize("how", ["holds", "daemon", "thread", "executor"])
@pytest.mark.parametrize(("method", "opened"), METHODS)
def test_a_child_of_multiprocessing_leaves_nothing(
    channel_name: str, tmp_path: Path, method: str, how: str, opened: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(CHILD.replace("EARLY", str(opened == "imported before")), encoding="utf-8")
    arguments = ("-", method, how, "pickled" if opened == "pickled" else "-")
    with started(channel_name, sys.executable, program, *arguments) as process:
        errors = process.finish("\n")[2]
    assert (process.returncode, errors) == (0, "")
    assert files(channel_name) == []
