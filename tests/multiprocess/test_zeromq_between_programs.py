# SPDX-License-Identifier: Apache-2.0
"""tcp:// and ipc:// between programs: death that is told, ends at the end of a program, floods, slow receivers, keys.

What every endpoint promises is in tests/conformance/test_zeromq.py.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.harness import Programs
from tests.support.started import PYTHON, Started
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus.testing import Receiver, Refused, Sender, specimen

pytest.importorskip("zmq", reason='needs pyzmq: pip install "framebus[zmq]"')
import zmq.auth

MODES = pytest.mark.parametrize("mode", ["latest", "every"])
LONG = 60.0  # against hangs only
BIG = (1080, 1920, 3)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/socket"


@MODES
@pytest.mark.parametrize("binds", ["sink", "source"])
def test_a_killed_sender_is_told_where_reconnect_is_off(url: str, mode: str, binds: str) -> None:
    source_binds = binds == "source"
    options = f"?mode={mode}&bind={str(source_binds).lower()}&reconnect=false"
    with Sender(f"{url}?mode={mode}&wait_for=1&bind={str(not source_binds).lower()}", wait=False) as sender:
        with framebus.source(url + options) as source:
            sender.answer()
            sender.send(1)
            assert source.recv(LONG).seq == 1
            sender.kill()
            for _ in range(2):
                with pytest.raises(framebus.PublisherDied, match="start it again"):
                    source.recv(LONG)


@MODES
def test_a_program_that_ends_without_closing_has_said_the_end(url: str, mode: str) -> None:
    program = f"""
import framebus, numpy
sink = framebus.sink({url!r}, mode={mode!r}, wait_for=1)
for number in range(3):
    sink.send(numpy.full({BIG}, number, numpy.uint8), timeout=60)
"""
    with framebus.source(url, mode=mode) as source:
        with Started(*PYTHON, "-c", program) as sender:
            seqs = [frame.seq for frame in source]
            assert seqs == [1, 2, 3] if mode == "every" else seqs[-1] == 3
            assert sender.output() == ""


def test_a_program_whose_frames_nobody_takes_ends_after_linger(url: str) -> None:
    program = f"""
import framebus, numpy
with framebus.sink({url!r}, mode="every", linger=0.3) as sink:
    try:
        while True:
            sink.send(numpy.zeros({BIG}, numpy.uint8), timeout=0.2)
    except framebus.Timeout:
        pass
"""
    with Receiver(f"{url}?mode=every") as receiver:
        receiver.freeze()
        done = subprocess.run([sys.executable, "-W", "error", "-c", program], timeout=LONG, check=False)
        assert done.returncode == 0
        receiver.resume()


def test_a_sink_interrupted_while_its_array_is_on_its_way_never_sends_a_changed_one(url: str) -> None:
    program = f"""
import framebus, numpy, os, signal, threading
image = numpy.zeros({BIG}, numpy.uint8)
sink = framebus.sink({url!r}, mode="every")
while not sink.closed:  # an interrupt between two calls does not count
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        while True:
            image[:] = 1
            sink.send(image)
    except KeyboardInterrupt:
        pass
image[:] = 2
print("changed", flush=True)
"""
    with framebus.source(f"{url}?mode=every&reconnect=false") as source:
        with Started(sys.executable, "-c", program) as sender:
            assert sender.line() == "changed"
            values = set()
            with contextlib.suppress(framebus.PublisherDied):
                for frame in source:
                    values |= set(np.unique(frame.array))
            assert values == {1}


def test_one_slow_receiver_neither_slows_the_sender_nor_the_other_receiver(url: str) -> None:
    with Sender(f"{url}?wait_for=2") as sender, Receiver(url) as slow, framebus.source(url) as quick:
        sender.send(1, timeout=LONG)
        assert quick.recv(LONG).seq == 1
        slow.freeze()
        for number in range(2, 40):
            sender.send(number, [("image", "|u1", BIG, "C")])
            assert quick.recv(LONG).seq == number
        slow.resume()
        seqs = [slow.recv(LONG)["seq"]]
        while seqs[-1] < 39:
            seqs.append(slow.recv(LONG)["seq"])
        assert seqs == sorted(set(seqs))
        assert len(seqs) < 39, "it was never behind"


def test_frames_from_before_a_receiver_died_are_not_waited_for(url: str) -> None:
    with Sender(f"{url}?mode=every") as sender:
        with Receiver(f"{url}?mode=every") as first:
            sender.send(1)
            first.recv(LONG)
            first.kill()
        with framebus.source(url, mode="every") as second:
            numbers = []
            for number in range(2, 12):
                sender.send(number, timeout=LONG)
            while not numbers or numbers[-1] < 11:
                numbers.append(second.recv(LONG).seq)
            assert numbers == sorted(set(numbers))


# A receiver that is stopped


@pytest.fixture(params=["ipc", "tcp"])
def frozen(request: pytest.FixtureRequest, url: str) -> Iterator[tuple[framebus.Sink, Receiver]]:
    """A sink of every frame and the only one that receives from it, which has been stopped."""
    with framebus.sink(url if request.param == "ipc" else "tcp://127.0.0.1:0", mode="every") as sink:
        with Receiver(sink.url, mode="every") as receiver:
            sink.send(image(0))
            receiver.recv(LONG)
            receiver.freeze()
            yield sink, receiver


def image(number: int) -> NDArray[np.uint8]:
    return specimen.make(specimen.FIRST + number, "|u1", BIG)


def test_a_frame_that_found_no_room_in_time_is_never_sent_and_no_other_is_lost(
    frozen: tuple[framebus.Sink, Receiver],
) -> None:
    sink, receiver = frozen
    sent = []
    for number in range(1, 200):
        try:
            sink.send(image(number), timeout=0.1)
            sent.append(specimen.FIRST + number)
        except framebus.Timeout:
            if number > len(sent) + 3:  # four did not find any
                break
    assert 0 < len(sent) < 100, "it was not full"
    receiver.resume()
    receiver.begin_collect(timeout=LONG)
    for number in range(200, 205):
        sink.send(image(number), timeout=LONG if number % 2 else None)
        sent.append(specimen.FIRST + number)
    sink.close()
    report = receiver.answer()
    assert report["numbers"] == sent
    assert report["not_whole"] == []
    assert report["ended"]["error"] == "ChannelClosed"


def test_close_ends_a_send_that_waits_for_a_receiver_that_stands_still(frozen: tuple[framebus.Sink, Receiver]) -> None:
    sink, receiver = frozen
    sent: list[int] = []
    errors: list[BaseException] = []
    array = np.empty(BIG, np.uint8)

    def send() -> None:
        try:
            for number in range(1, 200):
                array[:] = image(number)
                sink.send(array)
                sent.append(specimen.FIRST + number)
        except framebus.Error as error:
            array[:] = 0  # it is this program's again
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    before = -1
    while before != len(sent):  # until it does not get on any more
        before = len(sent)
        thread.join(0.5)
    sink.close()
    thread.join(LONG)
    assert [type(error) for error in errors] == [framebus.ChannelClosed]
    receiver.resume()
    report = receiver.collect(timeout=1.0)
    assert report["not_whole"] == []
    assert report["numbers"] == sent[: len(report["numbers"])]  # with the connection may go what was on its way


# Garbage without end


@MODES
def test_a_flood_of_garbage_holds_back_neither_timeouts_nor_close_nor_ctrl_c(
    url: str, mode: str, programs: Programs
) -> None:
    flood = programs.start("zeromq_flood", address=url, mode=mode)
    flood.expect("ready")
    with Receiver(url, mode=mode) as receiver:
        flood.expect("flooding")
        for timeout in (0.2, 0):
            with pytest.raises(Refused) as refused:
                receiver.recv(timeout)
            assert refused.value.error == "Timeout"
        assert receiver.statistics()["refused"] > 0
        receiver.close()
    with Receiver(url, mode=mode) as receiver:
        receiver.tell("recv", timeout=None)
        receiver.expect("waiting")
        # pyzmq loses an interrupt that comes while it frees a message, and here it does little else: press again.
        state = Path(f"/proc/{receiver.pid}/stat")
        deadline = time.monotonic() + WATCHDOG_S
        while state.read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < deadline:
            receiver.interrupt()
            time.sleep(0.05)
        assert receiver.wait() in (-signal.SIGINT, 128 + signal.SIGINT)
        assert "KeyboardInterrupt" in receiver.errors()
    flood.kill()


# Keys


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    for name in ("server", "client", "stranger"):
        zmq.auth.create_certificates(tmp_path, name)
    return tmp_path


@MODES
@pytest.mark.parametrize("binds", ["sink", "source"])
def test_frames_go_to_who_has_the_key(keys: Path, mode: str, binds: str) -> None:
    server = {"curve_secret_key": f"{keys}/server.key_secret"}
    client = {"curve_server_key": f"{keys}/server.key", "curve_secret_key": f"{keys}/client.key_secret"}
    if binds == "sink":
        sink = framebus.sink("tcp://127.0.0.1:0", mode=mode, wait_for=1, **server)
        source = framebus.source(sink.url, mode=mode, **client)
    else:
        source = framebus.source("tcp://127.0.0.1:0", mode=mode, bind=True, **server)
        sink = framebus.sink(source.url, mode=mode, bind=False, wait_for=1, **client)
    with sink, source:
        sink.send(np.arange(100_000), meta={"secret": True}, timeout=LONG)
        frame = source.recv(LONG)
        assert frame.meta == {"secret": True}
        assert (frame.array == np.arange(100_000)).all()


@MODES
@pytest.mark.parametrize("wrong", [{}, {"curve_server_key": "stranger.key"}], ids=["no key", "another key"])
def test_a_wrong_key_gets_no_frames_and_is_told_why(keys: Path, mode: str, wrong: dict[str, str]) -> None:
    given = {name: f"{keys}/{file}" for name, file in wrong.items()}
    with framebus.sink("tcp://127.0.0.1:0", mode=mode, curve_secret_key=f"{keys}/server.key_secret") as sink:
        with framebus.source(sink.url, mode=mode, **given) as source:
            deadline = time.monotonic() + LONG
            while True:
                assert time.monotonic() < deadline, "nothing was said about the key"
                with pytest.raises((framebus.EndpointError, framebus.Timeout)) as told:
                    source.recv(0.2)
                if "key" in str(told.value):
                    break
            with contextlib.suppress(framebus.Timeout):
                sink.send(np.zeros(100), timeout=0.2)
            with pytest.raises(framebus.Error):
                source.recv(0.2)
            assert source.statistics().frames == 0


def test_a_key_that_cannot_be_read_is_said_with_what_makes_one(keys: Path) -> None:
    (keys / "noise").write_text("no key")
    for file in ("noise", "missing"):
        with pytest.raises(framebus.EndpointError, match="create_certificates"):
            framebus.sink("tcp://127.0.0.1:0", curve_secret_key=f"{keys}/{file}")
    with pytest.raises(framebus.EndpointError, match="key_secret"):
        framebus.sink("tcp://127.0.0.1:0", curve_secret_key=f"{keys}/server.key")
    with pytest.raises(framebus.EndpointError, match="curve_server_key="):
        framebus.source("tcp://127.0.0.1:7", curve_secret_key=f"{keys}/client.key_secret")
    with pytest.raises(framebus.EndpointError, match="curve_secret_key="):
        framebus.sink("tcp://127.0.0.1:0", curve_server_key=f"{keys}/server.key")
