# SPDX-License-Identifier: Apache-2.0
"""A child that is forked while threads of its parent wait, copy, close or import does not wait for any of them.

Each test is a program of its own with real forks: its threads use one kind of end all the time, and meanwhile it forks
children that close what they have inherited, or forget it, and end. A child that waits for a thread of its parent never
ends; the program gives up on it after PATIENCE, which is a watchdog. What the threads do once the fork has happened is
nothing to the child: they rest until the next one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.support.bus import message_bus, needs_bus
from tests.support.run_forked import run_forked

HEAD = """
import os, select, signal, sys, threading, time
import numpy as np, framebus
from framebus import _core
name, rest = sys.argv[1], sys.argv[2:]
image = np.zeros((48, 64, 3), np.uint8)
PATIENCE = 60
stopping = False
forking, working = threading.Event(), []
def in_thread(work):
    inside = threading.Event()
    working.append(inside)
    def forever():
        while not stopping:
            if not forking.is_set():
                inside.clear()
                forking.wait()
            inside.set()
            try: work()
            except framebus.Error: pass
    threading.Thread(target=forever, daemon=True).start()
def in_child(work, after=0.0):
    forking.set()
    for inside in working: inside.wait()
    time.sleep(after)
    child = os.fork()
    if child: forking.clear()
    if child == 0:
        try: work()
        except SystemExit as end: status = end.code or 0
        except BaseException:
            import traceback; traceback.print_exc(); status = 1
        else: status = 0
        sys.exit(status) if status == 0 else os._exit(status)
    number = os.pidfd_open(child)
    if not select.select([number], [], [], PATIENCE)[0]:
        os.kill(child, signal.SIGKILL)
        raise SystemExit("a child waits for a thread that it does not have")
    os.close(number)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""

SHM = "pub = framebus.Publisher(name); sub = framebus.Subscriber(name); ends = [pub, sub]\n"
WORK = {
    "recv": SHM + "in_thread(lambda: sub.recv(0.001)); in_thread(lambda: pub.send(image))",
    "recv waits": SHM + "in_thread(lambda: sub.recv())",
    "iteration": SHM + "in_thread(lambda: next(sub)); in_thread(lambda: pub.send(image))",
    "wait": SHM + "in_thread(lambda: framebus.wait([sub], 0.001)); in_thread(lambda: pub.send(image))",
    "fileno": SHM + "sub.fileno(); in_thread(lambda: sub.try_recv()); in_thread(lambda: pub.send(image))",
    "statistics": SHM + "in_thread(sub.statistics); in_thread(pub.statistics)",
    "asyncio": SHM + "import asyncio\n"
    "in_thread(lambda: asyncio.run(sub.recv_async(0.01))); in_thread(lambda: pub.send(image))",
    "open and close": SHM + "in_thread(lambda: framebus.Subscriber(name).close())\n"
    "in_thread(lambda: framebus.Publisher(name + '.2').close())",
    "frames": SHM + "in_thread(lambda: sub.recv(0.01).array.sum()); in_thread(lambda: pub.send(image))",
    "VideoCapture": SHM + "capture = framebus.VideoCapture(name)\nin_thread(lambda: capture.read()); "
    "in_thread(lambda: pub.send(image))",
}
ENDPOINTS = {
    "pattern": ("pattern:bars?fps=500", None),
    "pipe": ("pipe:fd/{r}", "pipe:fd/{w}"),
    "msg": ("msg:{name}", "msg:{name}"),
    "mailslot": ("mailslot:{name}", "mailslot:{name}"),
    "baseimage": ("baseimage:{name}", "baseimage:{name}"),
    "zeromq latest": ("ipc://{folder}/l", "ipc://{folder}/l"),
    "zeromq every": ("ipc://{folder}/e?mode=every", "ipc://{folder}/e?mode=every&copy=true"),
    "dde": ("dde:{name}", "dde:{name}"),
    "dde poke": ("dde:{name}?mode=poke", "dde:{name}?mode=poke"),
}
ENDPOINT = """
source_url, sink_url, sink_first = rest[0], rest[1], rest[2] == "True"
if "{r}" in source_url:
    r, w = os.pipe()
    source_url, sink_url = source_url.format(r=r), sink_url.format(w=w)
sink = None
if sink_url and sink_first: sink = framebus.sink(sink_url)
if sink_url.startswith("baseimage"): sink.send(image)
source = framebus.source(source_url)
if sink_url and not sink_first: sink = framebus.sink(sink_url)
ends = [source, sink] if sink else [source]
for _ in range(2): in_thread(lambda: source.recv(0.003))
if sink: in_thread(lambda: sink.send(image, timeout=0.003))
"""
FORKS = """
for i in range(12):
    in_child((lambda: None) if i % 3 == 0 else (lambda: [end.close() for end in ends]) if i % 3 == 1 else
             (lambda: sys.exit(0 if _core.end_long_calls() else "there is a thread inside")),
             after=0.002 * (1 + i % 4))  # not to wait for anything: so that the threads are somewhere else
stopping = True
print("done", flush=True)
os._exit(0)
"""


PYTHON = ("-W", "ignore::DeprecationWarning")


def check(program: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Runs a program in a fork of an interpreter that has imported numpy and framebus."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        done = run_forked(PYTHON, [file.name, *arguments], env)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


def check_from_the_start(program: str, *arguments: str) -> None:
    """Runs a program in an interpreter that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, *PYTHON, "-c", program, *arguments], capture_output=True, text=True, timeout=300
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr


@pytest.fixture
def leftovers(channel_name: str) -> Iterator[None]:
    """The programs end by os._exit(), so that they end whatever their threads do."""
    yield
    for folder in ("/dev/shm", "/dev/mqueue"):
        for path in Path(folder).glob(f"*{channel_name}*"):
            path.unlink()


@pytest.mark.usefixtures("leftovers")
@pytest.mark.parametrize("work", list(WORK))
def test_a_child_waits_for_no_thread_that_uses_a_channel(channel_name: str, work: str) -> None:
    check(HEAD + WORK[work] + FORKS, channel_name)


@pytest.mark.usefixtures("leftovers")
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=needs_bus) if kind.startswith("dde") else kind for kind in ENDPOINTS]
)
def test_a_child_waits_for_no_thread_that_uses_an_endpoint(channel_name: str, tmp_path: Path, kind: str) -> None:
    source, sink = (
        "" if url is None else url.replace("{name}", channel_name).replace("{folder}", str(tmp_path))
        for url in ENDPOINTS[kind]
    )
    sink_first = kind not in ("dde poke", "mailslot", "msg")
    arguments = (channel_name, source, sink, str(sink_first))
    with message_bus() if kind.startswith("dde") else nullcontext() as bus:
        env = None if bus is None else {"DBUS_SESSION_BUS_ADDRESS": bus.address}
        check(HEAD + ENDPOINT + FORKS, *arguments, env=env)


VIDEO = """
folder = rest[0]
with framebus.sink(f"video:{folder}/a.mkv") as sink:
    for number in range(9): sink.send(image, timestamp_ns=number * 10**7)
source = framebus.source(f"video:{folder}/a.mkv?pace=fast&loop=true")
sink = framebus.sink(f"video:{folder}/b.mkv?fps=25")
source.recv(), sink.send(image)
def is_refused(use):
    try: use()
    except framebus.ForkedChild as error: assert "was opened by the parent process" in str(error), error
    else: raise AssertionError("the child could use it")
if rest[1] == "in use":
    in_thread(source.recv); in_thread(lambda: sink.send(image))
for work in (lambda: is_refused(source.recv), lambda: is_refused(lambda: sink.send(image)), sink.close, source.close,
             lambda: sys.exit(0), lambda: globals().pop("sink") and None):
    in_child(work)
if rest[1] == "idle":
    assert source.recv().array.shape == image.shape
    sink.send(image); sink.close()
    with framebus.source(f"video:{folder}/b.mkv?pace=fast") as read: assert sum(1 for _ in read) == 2
    assert sorted(os.listdir(folder)) == ["a.mkv", "b.mkv"]
print("done", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("state", ["idle", "in use"])
def test_a_child_waits_for_no_thread_of_a_video(tmp_path: Path, state: str) -> None:
    """Codecs have threads of their own, for which they wait when they are used, closed or freed."""
    pytest.importorskip("av", reason='needs PyAV; run: pip install "framebus[video]"')
    check(HEAD + VIDEO, "unused", str(tmp_path), state)


IMPORTS = {
    "framebus.endpoint.kinds.pattern": "use_it = lambda: framebus.source('pattern:bars').recv()",
    "zmq.backend": "use_it = lambda: framebus.source('tcp://127.0.0.1:9').close()",
    "posix_ipc": "use_it = lambda: framebus.source('msg:' + name).close()",
}
IMPORTING = """
pub = framebus.Publisher(name); pub.send(image)
begun, go_on = threading.Event(), threading.Event()
class Slow:
    # Finds nothing, but holds up one import until the fork is about to come.
    def find_spec(self, module, path=None, target=None):
        if module == rest[0] and threading.current_thread() is not threading.main_thread():
            begun.set(); go_on.wait()
sys.meta_path.insert(0, Slow())
threading.Thread(target=use_it, daemon=True).start()
begun.wait()
os.register_at_fork(before=go_on.set)  # runs before those that were registered earlier
in_child(use_it)
print("done", flush=True)
os._exit(0)
"""


@pytest.mark.usefixtures("leftovers")
@pytest.mark.parametrize("module", list(IMPORTS))
def test_a_child_can_import_what_a_thread_of_its_parent_was_importing(channel_name: str, module: str) -> None:
    check_from_the_start(HEAD + IMPORTS[module] + IMPORTING, channel_name, module)


def test_what_waits_in_an_event_loop_is_there_from_the_start_and_asyncio_is_not() -> None:
    """So no first recv_async() imports anything while another thread forks; and the package needs no asyncio."""
    check_from_the_start(
        "import sys, framebus\nif 'framebus.channel.aio' in sys.modules and 'asyncio' not in sys.modules: print('done')"
    )
