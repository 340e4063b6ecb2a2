# SPDX-License-Identifier: Apache-2.0
"""`dde:` on a message bus of its own: names, buses that are not there or go, and how ends end."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.bus import PrivateBus, message_bus, needs_bus
from tests.support.descriptors import open_descriptors

import framebus
from framebus._util import names
from framebus.endpoint.kinds.dde import interface

pytestmark = needs_bus

# Names


@pytest.mark.parametrize(
    ("service", "bus_name"),
    [
        ("camera0", "org.framebus.dde.camera0"),
        ("left-hand.depth_map", "org.framebus.dde.left-hand.depth_map"),
        ("2.4th", "org.framebus.dde._2._4th"),
        ("a..b.", "org.framebus.dde.a._.b._"),
        ("a._2", "org.framebus.dde.a.__2"),
        ("9" * 128, "org.framebus.dde._" + "9" * 128),
    ],
)
def test_every_channel_name_is_a_name_on_the_bus(service: str, bus_name: str, session_bus: PrivateBus) -> None:  # noqa: ARG001
    assert interface.bus_name(service) == bus_name
    assert len(interface.bus_name("0" + ".0" * 63 + "0")) <= 255
    framebus.sink(f"dde:{service}").close()  # the bus itself checks it


def test_two_names_never_share_a_name_on_the_bus() -> None:
    alphabet = ["a", "1", "_", ".", "-"]
    made: list[str] = [""]
    for _ in range(5):
        made = [name + letter for name in made for letter in alphabet]
    valid = [name for name in made if name[0] in "a1"]
    assert len({interface.bus_name(name) for name in valid}) == len(valid)


def test_what_is_no_channel_name_is_no_service(session_bus: PrivateBus) -> None:  # noqa: ARG001
    with pytest.raises(framebus.InvalidName, match="not a name for a service"):
        framebus.sink("dde:a b")
    assert names.check("a", "a service") == "a"


def test_a_name_that_is_taken_is_refused_with_pid_and_command(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    command = Path("/proc/self/comm").read_text().strip()
    for first, second in (("", ""), ("?mode=poke", "")):
        opener = framebus.source if first else framebus.sink
        with opener(f"dde:{service}{first}"):
            with pytest.raises(framebus.ChannelInUse, match=rf"process {os.getpid()} \({command}\)"):
                framebus.sink(f"dde:{service}{second}")


# The bus


def test_without_a_bus_the_error_names_variable_and_option(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(framebus.EndpointError, match=r"DBUS_SESSION_BUS_ADDRESS is not set; .*\?bus=ADDRESS"):
        framebus.sink("dde:camera0")


@pytest.mark.parametrize("address", ["unix:path={}/nothing", "nonsense", "unix:path={}"])
def test_an_address_with_no_bus_is_named(address: str, tmp_path: Path) -> None:
    address = address.format(tmp_path)
    with pytest.raises(framebus.EndpointError, match=f"no message bus at {address}"):
        framebus.sink("dde:camera0", bus=address)


def test_a_server_that_is_no_bus_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "bus"))
        server.listen()

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"220 mail server ready\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(framebus.EndpointError, match="no message bus at"):
            framebus.sink("dde:camera0", bus=f"unix:path={tmp_path}/bus")
        thread.join()


def test_the_bus_of_the_option_comes_before_that_of_the_session(session_bus: PrivateBus, service: str) -> None:
    with message_bus() as other, framebus.sink(f"dde:{service}?bus={other.address}") as sink:
        with pytest.raises(framebus.ChannelNotFound):
            framebus.source(f"dde:{service}")
        with framebus.source(f"dde:{service}", bus=other.address) as source:
            sink.send(b"x")
            assert bytes(source.recv(30).array) == b"x"
    assert session_bus.process.poll() is None


def test_the_usual_place_of_the_session_is_found(
    own_bus: PrivateBus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: str
) -> None:
    path = own_bus.address.partition("path=")[2].partition(",")[0]
    (tmp_path / "bus").symlink_to(path)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}?bus={own_bus.address}") as source:
        sink.send(b"x")
        assert bytes(source.recv(30).array) == b"x"


def send_until_it_fails(end: framebus.Sink) -> None:
    while True:  # until this end has heard of it, too
        end.send(b"x")


def test_when_the_bus_goes_both_ends_say_so_and_close(own_bus: PrivateBus, service: str) -> None:
    sink, source = framebus.sink(f"dde:{service}"), framebus.source(f"dde:{service}")
    taking = framebus.source(f"dde:{service}-in?mode=poke")
    poking = framebus.sink(f"dde:{service}-in?mode=poke")
    ended: list[type[BaseException]] = []

    def wait(end: framebus.Source) -> None:
        try:
            end.recv()
        except framebus.Error as error:
            ended.append(type(error))

    threads = [threading.Thread(target=wait, args=[end]) for end in (source, taking)]
    for thread in threads:
        thread.start()
    own_bus.process.kill()
    for thread in threads:
        thread.join()
    assert ended == [framebus.EndpointError] * 2
    for end in (sink, poking):
        with pytest.raises(framebus.EndpointError, match="is gone"):
            send_until_it_fails(end)
    for one in (sink, source, taking, poking):
        one.close()


def test_a_bus_that_stands_still_stops_no_sink_and_is_not_taken_for_broken(own_bus: PrivateBus, service: str) -> None:
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        before = open_descriptors()
        os.kill(own_bus.process.pid, signal.SIGSTOP)
        image = np.zeros(8, np.uint8)
        for number in range(5_000):  # announcements of far more than a socket takes
            image[0] = number % 256
            sink.send(image)
        with pytest.raises(framebus.Timeout):
            source.recv(0.01)
        os.kill(own_bus.process.pid, signal.SIGCONT)
        frame = source.recv(30)
        assert frame.seq > 0
        sink.send(b"again")
        while bytes(source.recv(30).array) != b"again":
            pass
        frame.release()
        del frame
        assert open_descriptors() <= before + 1, "the newest frame alone is kept"


# Ends


@pytest.mark.parametrize("query", ["", "?mode=poke"])
def test_closing_ends_a_wait_in_another_thread(query: str, session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    server: Any = framebus.sink(f"dde:{service}") if not query else None
    source = framebus.source(f"dde:{service}{query}")
    ended: list[BaseException] = []
    waiting = threading.Event()

    def wait() -> None:
        waiting.set()
        try:
            source.recv()
        except framebus.Error as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    source.close()
    thread.join()
    assert isinstance(ended[0], framebus.ChannelClosed)
    if server is not None:
        server.close()


def test_no_thread_stays_behind(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    before = threading.active_count(), open_descriptors()
    for _ in range(3):
        with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
            sink.send(b"x")
            source.recv(30)
        with suppress(framebus.ChannelNotFound):
            framebus.source(f"dde:{service}")
    assert (threading.active_count(), open_descriptors()) == before


def test_a_forked_child_is_refused_and_keeps_nobody_alive(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                for use in (lambda: sink.send(b"x"), lambda: source.recv(0)):
                    try:
                        use()
                    except framebus.Error as error:
                        status = 0 if "can't be used by a child" in str(error) else 2
                sink.close()
                source.close()
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        sink.send(b"still here")
        assert bytes(source.recv(30).array) == b"still here"


@pytest.mark.parametrize("opener", [framebus.sink, framebus.source], ids=["advise", "poke"])
def test_an_end_that_is_collected_in_the_thread_of_its_bus_is_closed(
    opener: Any,
    session_bus: PrivateBus,  # noqa: ARG001
    service: str,
) -> None:
    url = f"dde:{service}?mode={'poke' if opener is framebus.source else 'advise'}"
    end: Any = opener(url)
    bus = end._server.service.bus
    thread, end.itself = bus._thread, end  # only the collector can find it now
    del end
    bus.soon(gc.collect)
    del bus
    thread.join()
    opener(url).close()  # the name is free again
