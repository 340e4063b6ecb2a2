# SPDX-License-Identifier: Apache-2.0
"""`dde:` with gdbus, a program of somebody else's, at the other end, and with programs that end as programs do."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from tests.support.bus import message_bus, needs_bus
from tests.support.foreign_dde import ALL_SEALS, FRAMES, GOOD_DESCRIPTION, PATH, POKES, ForeignCaller, memory_with
from tests.support.names import fresh_name
from tests.support.started import PYTHON, Started

import framebus
from framebus.testing.process import WATCHDOG_S

pytestmark = needs_bus


@pytest.fixture(scope="module", autouse=True)
def bus() -> Iterator[str]:
    with message_bus() as private, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", private.address)
        yield private.address


@pytest.fixture
def service() -> str:
    return fresh_name()


def gdbus(command: str, service: str, *arguments: str) -> list[str]:
    where = ["--session", "--dest", f"org.framebus.dde.{service}", "--object-path", PATH]
    return ["gdbus", command, *where, *arguments]


def call(service: str, method: str, *arguments: str, memory: int | None = None) -> subprocess.CompletedProcess[str]:
    """Calls a method as somebody would in a shell."""
    return subprocess.run(
        gdbus("call", service, "--method", method, *arguments),
        capture_output=True,
        text=True,
        timeout=WATCHDOG_S,
        pass_fds=[] if memory is None else [memory],
        check=False,
    )


def description_in(answer: str) -> dict[str, object]:
    """The JSON in what gdbus prints: (uint64 1, handle 0, '{...}')."""
    found: dict[str, object] = json.loads(answer[answer.index("'") + 1 : answer.rindex("'")])
    return found


# Another program at the other end


def test_another_program_requests_the_newest_frame(service: str) -> None:
    with framebus.sink(f"dde:{service}") as sink:
        nothing = call(service, f"{FRAMES}.Request")
        assert nothing.returncode != 0
        assert "org.framebus.Error.NoFrame: nothing has been sent" in nothing.stderr
        sink.send(b"older")
        sink.send({"a": np.zeros((2, 3), "<u2"), "b": np.zeros(4)}, meta={"on": True}, pixel_format="Mono16", seq=7)
        answer = call(service, f"{FRAMES}.Request").stdout
        assert answer.startswith("(uint64 2, handle 0, ")
        found = description_in(answer)
        assert {name: found[name] for name in ("seq", "pixel_format", "meta", "arrays")} == {
            "seq": 7,
            "pixel_format": "Mono16",
            "meta": {"on": True},
            "arrays": [
                {"name": "a", "dtype": "<u2", "shape": [2, 3]},
                {"name": "b", "dtype": "<f8", "shape": [4]},
            ],
        }


def test_another_program_is_advised_of_the_next_frame(service: str) -> None:
    with framebus.sink(f"dde:{service}") as sink:
        sink.send(b"older")
        command = gdbus("call", service, "--method", f"{FRAMES}.Advise", "1")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
            server = sink._server  # type: ignore[attr-defined]  # to see that it waits
            while not server._waiting:
                os.sched_yield()
            sink.send(b"newer")
            answer = waiting.communicate(timeout=WATCHDOG_S)[0]
        assert answer.startswith("(uint64 2, handle 0, ")
        assert description_in(answer)["seq"] == 2


def send_until(sink: framebus.Sink, heard: Callable[[], bool]) -> int:
    """Sends until the other program has heard of a frame: it listens only after it has said who is there."""
    stop, count = threading.Event(), 0

    def send() -> None:
        nonlocal count
        while not stop.wait(0.01):
            sink.send(b"x")
            count += 1

    sending = threading.Thread(target=send)
    sending.start()
    try:
        assert heard()
    finally:
        stop.set()
        sending.join()
    return count


def test_another_program_hears_of_changes_and_of_the_end(service: str) -> None:
    with subprocess.Popen(gdbus("monitor", service), stdout=subprocess.PIPE, text=True) as monitor:
        assert monitor.stdout is not None
        try:
            assert monitor.stdout.readline().startswith("Monitoring")
            assert "does not have an owner" in monitor.stdout.readline()
            with framebus.sink(f"dde:{service}") as sink:
                assert "is owned by" in monitor.stdout.readline()
                count = send_until(sink, lambda: monitor.stdout.readline().startswith(f"{PATH}: {FRAMES}.Changed "))
                sink.send(b"newest")
                newest = f"(uint64 {count + 1},)\n"
                while not (line := monitor.stdout.readline()).endswith(newest):
                    assert line.startswith(f"{PATH}: {FRAMES}.Changed ")
            assert monitor.stdout.readline().startswith(f"{PATH}: {FRAMES}.Last (uint64 {count + 1}, handle 0, ")
            assert monitor.stdout.readline() == f"{PATH}: {FRAMES}.Closed {newest}"
            assert "does not have an owner" in monitor.stdout.readline()
        finally:
            monitor.kill()


def test_another_program_pokes_a_frame(service: str) -> None:
    with framebus.source(f"dde:{service}?mode=poke") as source:
        memory = memory_with(bytes(range(64)))
        done = call(service, f"{POKES}.Poke", f"handle {memory}", GOOD_DESCRIPTION, memory=memory)
        os.close(memory)
        assert done.stdout == "()\n", done.stderr
        frame = source.recv(WATCHDOG_S)
        assert np.array_equal(frame.array, np.arange(64, dtype=np.uint8).reshape(8, 8))
        assert (frame.seq, frame.timestamp_ns, frame.wall_time_ns) == (1, 2, 3)
        assert (frame.meta, frame.pixel_format) == ({"a": 1}, "Mono8")


def test_another_program_that_pokes_garbage_is_told_what_is_wrong(service: str) -> None:
    with framebus.source(f"dde:{service}?mode=poke") as source:
        memory = memory_with(bytes(64), seals=0)
        done = call(service, f"{POKES}.Poke", f"handle {memory}", GOOD_DESCRIPTION, memory=memory)
        os.close(memory)
        assert "org.framebus.Error.Malformed: this is not a frame: its memfd is not sealed" in done.stderr
        assert source.statistics().refused == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("mode", "methods"),
    [("advise", ["Request", "Advise"]), ("poke", ["Poke", "Withdraw", "Initiate", "Terminate"])],
)
def test_another_program_finds_out_what_is_there(mode: str, methods: list[str], service: str) -> None:
    opener = framebus.sink if mode == "advise" else framebus.source
    with opener(f"dde:{service}?mode={mode}"):
        found = subprocess.run(
            gdbus("introspect", service), capture_output=True, text=True, timeout=WATCHDOG_S, check=True
        ).stdout
        for method in methods:
            assert f" {method}(" in found
        above = ["gdbus", "introspect", "--session", "--dest", f"org.framebus.dde.{service}", "--object-path", "/"]
        found = subprocess.run(
            [*above, "--recurse", "--only-properties"], capture_output=True, text=True, timeout=WATCHDOG_S, check=True
        ).stdout
        assert f"node {PATH} " in found


def test_another_program_reads_the_memory_and_cannot_change_it(bus: str, service: str) -> None:
    first, second = np.arange(7, dtype="<u2"), np.arange(6, dtype=">f4").reshape(2, 3)
    with framebus.sink(f"dde:{service}") as sink:
        sink.send({"first": first, "second": second})
        foreign = ForeignCaller(bus, service, FRAMES)
        with foreign.call("Request")[1].to_file("rb") as earlier:  # type: ignore[union-attr]
            earlier.read()
        _, memory, description = foreign.call("Request")
        with memory.to_file("rb") as file:
            content = file.read()
            assert fcntl.fcntl(file, fcntl.F_GET_SEALS) == ALL_SEALS
            writing = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDWR)
            for change in (lambda: os.pwrite(writing, b"x", 0), lambda: os.ftruncate(writing, 0)):
                with pytest.raises(PermissionError):
                    change()
            os.close(writing)
        foreign.close()
        assert content[:14] == first.tobytes()
        assert content[64:88] == second.tobytes(), "each array begins at a multiple of 64 bytes"
        assert [array["name"] for array in json.loads(description)["arrays"]] == ["first", "second"]


# Programs that end

GIVE = """
import sys, framebus
sink = framebus.sink(sys.argv[1])
sink.send(b"last")
print("sent", flush=True)
sys.stdin.readline()
"""
POKE = GIVE
TAKE = """
import sys, framebus
source = framebus.source(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
"""
FORK = """
import os, sys, framebus
sink = framebus.sink(sys.argv[1])
child = os.fork()
if child == 0:
    sys.stdin.readline()
    os._exit(0)
print(child, flush=True)
sys.stdin.readline()
"""


def test_a_program_that_ends_without_closing_its_sink_has_closed_it(service: str) -> None:
    with Started(*PYTHON, "-c", GIVE, f"dde:{service}") as giving:
        assert giving.line() == "sent"
        with framebus.source(f"dde:{service}") as source:
            giving.output("\n")
            assert bytes(source.recv(WATCHDOG_S).array) == b"last"
            with pytest.raises(framebus.ChannelClosed):
                source.recv(WATCHDOG_S)


def test_a_program_that_is_killed_has_not_closed_its_sink(service: str) -> None:
    with Started(*PYTHON, "-c", GIVE, f"dde:{service}") as giving:
        assert giving.line() == "sent"
        with framebus.source(f"dde:{service}") as source:
            assert bytes(source.recv(WATCHDOG_S).array) == b"last"
            giving.kill()
            with pytest.raises(framebus.PublisherDied):
                source.recv(WATCHDOG_S)


@pytest.mark.parametrize(("kill", "error"), [(False, framebus.ChannelClosed), (True, framebus.PublisherDied)])
def test_a_service_hears_how_who_poked_it_has_gone(kill: bool, error: type[framebus.Error], service: str) -> None:
    with framebus.source(f"dde:{service}?mode=poke") as source:
        with Started(*PYTHON, "-c", POKE, f"dde:{service}?mode=poke") as poking:
            assert poking.line() == "sent"
            if kill:
                poking.kill()
            else:
                poking.output("\n")
        assert bytes(source.recv(WATCHDOG_S).array) == b"last"
        with pytest.raises(error):
            source.recv(WATCHDOG_S)


@pytest.mark.parametrize("kill", [False, True])
def test_poking_a_service_that_has_gone_says_so_until_the_next_one_comes(kill: bool, service: str) -> None:
    url = f"dde:{service}?mode=poke"
    with Started(*PYTHON, "-c", TAKE, url) as taking:
        assert taking.line() == "ready"
        sink = framebus.sink(url)
        sink.send(b"x", timeout=WATCHDOG_S)
        if kill:
            taking.kill()
            taking.wait()
        else:
            taking.output("\n")
    with pytest.raises(framebus.ChannelClosed, match="no program receives what is poked there"):
        sink.send(b"x", timeout=WATCHDOG_S)
    with framebus.source(url) as source:
        sink.send(b"again", timeout=WATCHDOG_S)
        sink.close()
        assert [bytes(frame.array) for frame in source] == [b"again"]


def test_a_service_that_stands_still_is_a_timeout_and_goes_on_later(service: str) -> None:
    with Started(*PYTHON, "-c", GIVE, f"dde:{service}") as giving:
        assert giving.line() == "sent"
        with framebus.source(f"dde:{service}") as source:
            giving.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, giving.pid, os.WSTOPPED | os.WNOWAIT)
            for timeout in (0, 0.05):
                with pytest.raises(framebus.Timeout):
                    source.recv(timeout)
            with pytest.raises(framebus.ChannelInUse, match=f"process {giving.pid} "):
                framebus.sink(f"dde:{service}")
            giving.send_signal(signal.SIGCONT)
            assert bytes(source.recv(WATCHDOG_S).array) == b"last"


def test_a_child_does_not_keep_a_dead_parent_on_the_bus(service: str) -> None:
    with Started(*PYTHON, "-c", FORK, f"dde:{service}") as parent:
        child = int(parent.line())
        with framebus.source(f"dde:{service}") as source:
            parent.kill()
            parent.wait()
            os.kill(child, 0)  # it lives
            with pytest.raises(framebus.PublisherDied):
                source.recv(WATCHDOG_S)
        os.kill(child, signal.SIGKILL)
