# SPDX-License-Identifier: Apache-2.0
"""`dde:` with mode=poke: frames are put into a service, which takes nothing that could change or lies."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from tests.support.bus import PrivateBus, needs_bus
from tests.support.descriptors import open_descriptors
from tests.support.foreign_dde import ALL_SEALS, GOOD_DESCRIPTION, ForeignPoker, memory_with

import framebus
from framebus.endpoint.kinds.dde import interface

pytestmark = needs_bus

INVALID_ARGUMENTS = "org.freedesktop.DBus.Error.InvalidArgs"


def test_a_frame_that_found_no_room_is_never_received(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.source(f"dde:{service}?mode=poke&depth=2") as source:
        with framebus.sink(f"dde:{service}?mode=poke") as sink:
            for number in range(2):
                sink.send(np.full(3, number), timeout=30)
            for timeout in (0, 0.02, 0):
                with pytest.raises(framebus.Timeout, match="no room"):
                    sink.send(b"late", timeout=timeout)
            assert source.recv(30).array[0] == 0
            assert sink.send(np.full(3, 2), timeout=0) == 3
        assert [int(frame.array[0]) for frame in source] == [1, 2]


def test_an_interrupted_send_is_withdrawn(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.source(f"dde:{service}?mode=poke&depth=1") as source:
        with framebus.sink(f"dde:{service}?mode=poke") as sink:
            sink.send(b"first")
            main = threading.get_ident()
            server = source._server  # type: ignore[attr-defined]  # to see when the frame is parked

            def interrupt() -> None:
                while not server.parked:
                    os.sched_yield()
                signal.pthread_kill(main, signal.SIGINT)

            thread = threading.Thread(target=interrupt)
            thread.start()
            with pytest.raises(KeyboardInterrupt):
                sink.send(b"interrupted")
            thread.join()
        assert [bytes(frame.array) for frame in source] == [b"first"]


def test_several_programs_may_poke_and_the_last_one_ends_the_source(session_bus: PrivateBus, service: str) -> None:
    with framebus.source(f"dde:{service}?mode=poke&depth=8") as source:
        foreign = ForeignPoker(session_bus.address, service)
        assert foreign.poke(memory_with(bytes(range(64))), GOOD_DESCRIPTION) == ()
        foreign.close()  # nobody misses it
        first, second = (framebus.sink(f"dde:{service}?mode=poke") for _ in range(2))
        first.send(b"1")
        second.send(b"2")
        first.close()
        assert [source.recv(30).array.nbytes for _ in range(3)] == [64, 1, 1]
        with pytest.raises(framebus.Timeout):
            source.recv(0.01)
        second.close()
        with pytest.raises(framebus.ChannelClosed, match="all that they sent has been received"):
            source.recv(30)


def other_memory(kind: str) -> int:
    """A descriptor that must be refused."""
    if kind == "a pipe":
        read_end, write_end = os.pipe()
        os.close(write_end)
        return read_end
    if kind == "a file":
        return os.open(__file__, os.O_RDONLY)
    if kind == "/dev/zero":
        return os.open("/dev/zero", os.O_RDONLY)
    if kind == "huge pages":
        memory = os.memfd_create("huge", os.MFD_ALLOW_SEALING | os.MFD_HUGETLB)
        os.ftruncate(memory, 2 << 20)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, ALL_SEALS)
        return memory
    seals = {"no seals": 0, "may shrink": fcntl.F_SEAL_WRITE, "may be written": fcntl.F_SEAL_SHRINK}
    return memory_with(bytes(64), seals[kind])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("a pipe", "not a memfd"),
        ("a file", "not a memfd"),
        ("/dev/zero", "not a memfd"),
        ("no seals", "not sealed"),
        ("may shrink", "not sealed"),
        ("may be written", "not sealed"),
        ("huge pages", "huge pages"),
    ],
)
def test_memory_that_could_change_is_refused_and_counted(
    kind: str, says: str, session_bus: PrivateBus, service: str
) -> None:
    with framebus.source(f"dde:{service}?mode=poke") as source:
        foreign = ForeignPoker(session_bus.address, service)
        memory = other_memory(kind)
        before = open_descriptors()
        assert foreign.poke(os.dup(memory), GOOD_DESCRIPTION) == interface.MALFORMED
        assert says in foreign.last_error
        with suppress(OSError):
            os.ftruncate(memory, 0)  # would be SIGBUS for whoever had mapped it
        assert source.try_recv() is None
        assert source.statistics().refused == 1
        assert open_descriptors() == before
        os.close(memory)
        assert foreign.poke(memory_with(bytes(64)), GOOD_DESCRIPTION) == ()
        assert source.recv(30).pixel_format == "Mono8"
        foreign.close()


@pytest.mark.parametrize(
    ("content", "description"),
    [
        (63, GOOD_DESCRIPTION),
        (128, GOOD_DESCRIPTION),
        (0, GOOD_DESCRIPTION),
        (64, GOOD_DESCRIPTION.replace("[8,8]", "[8,80]")),
        (64, GOOD_DESCRIPTION.replace("[8,8]", "[4611686018427387904,8]")),
        (64, GOOD_DESCRIPTION.replace("[8,8]", "[-8,-8]")),
        (64, GOOD_DESCRIPTION.replace("|u1", "|O8")),
        (64, ""),
        (64, "[" * 50_000),
        (64, GOOD_DESCRIPTION.replace('{"a":1}', '{"a":"' + "x" * (3 << 20) + '"}')),
    ],
    ids=["short", "long", "empty", "lie", "overflow", "negative", "objects", "nothing", "deep", "too much metadata"],
)
def test_a_description_that_lies_is_refused(
    content: int, description: str, session_bus: PrivateBus, service: str
) -> None:
    with framebus.source(f"dde:{service}?mode=poke") as source:
        foreign = ForeignPoker(session_bus.address, service)
        assert foreign.poke(memory_with(bytes(content)), description) == interface.MALFORMED
        assert source.statistics().refused == 1
        assert source.try_recv() is None
        foreign.close()


def test_a_frame_larger_than_max_bytes_is_refused(session_bus: PrivateBus, service: str) -> None:
    with framebus.source(f"dde:{service}?mode=poke&max_bytes=63") as source:
        foreign = ForeignPoker(session_bus.address, service)
        assert foreign.poke(memory_with(bytes(64)), GOOD_DESCRIPTION) == interface.MALFORMED
        assert "larger max_bytes=" in foreign.last_error
        foreign.close()
        with framebus.sink(f"dde:{service}?mode=poke") as sink:
            with pytest.raises(framebus.EndpointError, match="refused the frame"):
                sink.send(bytes(64), timeout=30)
        assert source.statistics().refused == 2


@pytest.mark.parametrize(
    ("signature", "body"),
    [
        (None, ()),
        ("s", (GOOD_DESCRIPTION,)),
        ("sh", (GOOD_DESCRIPTION, 0)),
        ("hss", (0, GOOD_DESCRIPTION, "")),
        ("hhhhs", (0, 0, 0, 0, GOOD_DESCRIPTION)),
    ],
)
def test_descriptors_of_calls_that_are_none_are_closed(
    signature: str | None, body: tuple[Any, ...], session_bus: PrivateBus, service: str
) -> None:
    with framebus.source(f"dde:{service}?mode=poke") as source:
        foreign = ForeignPoker(session_bus.address, service)
        memory = memory_with(bytes(64))
        before = open_descriptors()
        body = tuple(memory if value == 0 else value for value in body)
        for _ in range(20):
            assert foreign.call("Poke", signature, body) == INVALID_ARGUMENTS
            assert foreign.call("Nothing", signature, body) == "org.freedesktop.DBus.Error.UnknownMethod"
        assert open_descriptors() == before
        os.close(memory)
        foreign.close()
        assert source.try_recv() is None


def test_many_programs_that_poke_what_nobody_fetches_are_refused_beyond_a_bound(
    session_bus: PrivateBus, service: str
) -> None:
    with framebus.source(f"dde:{service}?mode=poke&depth=1") as source:
        pokers = [ForeignPoker(session_bus.address, service) for _ in range(66)]
        memory = memory_with(bytes(64))
        calls = [poker.begin("Poke", "hs", (memory, GOOD_DESCRIPTION)) for poker in pokers[:65]]
        assert pokers[0].answer(calls[0]) == ()
        while len(source._server.parked) < 64:  # type: ignore[attr-defined]
            os.sched_yield()
        assert pokers[65].call("Poke", "hs", (memory, GOOD_DESCRIPTION)) == interface.BUSY
        assert pokers[5].call("Poke", "hs", (memory, GOOD_DESCRIPTION)) == interface.BUSY
        assert len([source.recv(30) for _ in range(65)]) == 65
        os.close(memory)
        for poker in pokers:
            poker.close()
