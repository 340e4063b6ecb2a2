# SPDX-License-Identifier: Apache-2.0
"""`dde:` without a mode: a service is asked for its newest frame, and advises of newer ones."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.support.bus import PrivateBus, needs_bus
from tests.support.descriptors import open_descriptors
from tests.support.foreign_dde import FRAMES, ForeignCaller, ForeignListener, ForeignService

import framebus
from framebus.endpoint.kinds.dde import interface

pytestmark = needs_bus

INVALID_ARGUMENTS = "org.freedesktop.DBus.Error.InvalidArgs"


def test_a_late_source_gets_the_newest_frame_and_no_other(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink:
        for number in range(5):
            sink.send(np.full(3, number))
        with framebus.source(f"dde:{service}") as source:
            assert source.recv(30).array[0] == 4
            with pytest.raises(framebus.Timeout):
                source.recv(0.01)


def test_what_came_after_a_timeout_is_not_given_for_the_newest(session_bus: PrivateBus, service: str) -> None:
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        with pytest.raises(framebus.Timeout):
            source.recv(0.01)  # leaves its question with the service
        with ForeignListener(session_bus.address, service) as listener:
            for number in range(1, 6):
                sink.send(np.full(3, number))
                listener.wait_for(number)
        assert source.recv(30).seq == 5


def test_polling_with_try_recv_finds_frames(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        for number in range(1, 4):
            sink.send(np.full(3, number))
            frame = None
            while frame is None:
                frame = source.try_recv()
            assert frame.seq == number
        assert source.try_recv() is None


def test_skipped_frames_are_counted_as_dropped(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        sink.send(b"1")
        source.recv(30)
        for _ in range(4):
            sink.send(b"x")
        while source.recv(30).seq != 5:
            pass
        found = source.statistics()
        assert found.frames + found.dropped == 5


def test_the_last_frame_is_received_after_the_sink_was_closed(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        sink.send(b"first")
        source.recv(30)
        sink.send(b"last")
        sink.close()
        assert [bytes(frame.array) for frame in source] == [b"last"]
        with pytest.raises(framebus.ChannelClosed, match="has been closed by its program"):
            source.recv(30)
        with framebus.sink(f"dde:{service}") as next_one:
            next_one.send(b"next")
            assert bytes(source.recv(30).array) == b"next"


def test_a_view_stays_after_everything_is_closed(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        image = np.arange(1 << 20, dtype=np.int32)
        sink.send({"a": image, "b": image[:5]})
        frame = source.recv(30)
        kept, part = frame.arrays["a"], frame.arrays["b"][1:3]
        image[:] = -1
        sink.send(image)
        frame.release()
        del frame
    gc.collect()
    assert np.array_equal(kept, np.arange(1 << 20, dtype=np.int32))
    assert part.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        kept.flags.writeable = True


def test_no_descriptor_stays_when_frames_are_gone(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}") as sink, framebus.source(f"dde:{service}") as source:
        sink.send(b"x")
        source.recv(30)
        before = open_descriptors()
        for _ in range(50):
            sink.send(b"x")
            source.recv(30)
        assert open_descriptors() == before


def test_an_older_question_of_a_program_is_superseded(session_bus: PrivateBus, service: str) -> None:
    with framebus.sink(f"dde:{service}"):
        foreign = ForeignCaller(session_bus.address, service, FRAMES)
        older = foreign.begin("Advise", "t", (0,))
        newer = foreign.begin("Advise", "t", (0,))
        assert foreign.answer(older) == interface.SUPERSEDED
        foreign.begin("Advise", "t", (0,))
        assert foreign.answer(newer) == interface.SUPERSEDED
        foreign.close()


@pytest.mark.parametrize(
    ("member", "signature", "body", "error"),
    [
        ("Request", None, (), interface.NO_FRAME),
        ("Request", "s", ("x",), INVALID_ARGUMENTS),
        ("Advise", None, (), INVALID_ARGUMENTS),
        ("Advise", "x", (-1,), INVALID_ARGUMENTS),
        ("Poke", None, (), "org.freedesktop.DBus.Error.UnknownMethod"),
        ("Nothing", None, (), "org.freedesktop.DBus.Error.UnknownMethod"),
    ],
)
def test_a_wrong_call_is_answered_with_an_error(
    member: str, signature: str | None, body: tuple[Any, ...], error: str, session_bus: PrivateBus, service: str
) -> None:
    with framebus.sink(f"dde:{service}"):
        foreign = ForeignCaller(session_bus.address, service, FRAMES)
        assert foreign.call(member, signature, body) == error
        foreign.close()


def test_a_service_that_lies_about_numbers_is_an_error_and_no_loop(session_bus: PrivateBus, service: str) -> None:
    foreign = ForeignService(session_bus.address, service)
    with framebus.source(f"dde:{service}") as source:
        foreign(bytes(64))  # one that is refused, and a good one
        assert source.recv(30).array.shape == (8, 8)
        foreign.number = 0
        foreign(bytes(64))
        with pytest.raises(framebus.EndpointError, match="answered with frame 1, and was asked for one after 2"):
            source.recv(30)
        assert source.statistics().refused == 1
    foreign.close()


def test_ends_of_different_modes_do_not_go_together(session_bus: PrivateBus, service: str) -> None:  # noqa: ARG001
    with framebus.sink(f"dde:{service}"), framebus.sink(f"dde:{service}?mode=poke") as sink:
        with pytest.raises(framebus.EndpointError, match="mode=poke"):
            sink.send(b"x", timeout=30)
    with framebus.source(f"dde:{service}?mode=poke"), framebus.source(f"dde:{service}") as source:
        with pytest.raises(framebus.EndpointError, match="mode=poke"):
            source.recv(30)


@pytest.mark.parametrize(
    ("opener", "query", "message"),
    [
        (framebus.source, "depth=3", "unless with mode=poke"),
        (framebus.source, "mode=poke&connect_timeout=1", "nothing that connect_timeout could wait for"),
        (framebus.sink, "connect_timeout=1", "nothing that connect_timeout could wait for"),
        (framebus.source, "mode=poke&depth=0", "depth must be 1 to 1024"),
        (framebus.source, "mode=push", "advise or poke"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    opener: Callable[[str], object],
    query: str,
    message: str,
    session_bus: PrivateBus,  # noqa: ARG001
) -> None:
    with pytest.raises(ValueError, match=message):
        opener(f"dde:camera0?{query}")


@pytest.mark.parametrize(("source_first", "query"), [(False, ""), (True, "?mode=poke")], ids=["advise", "poke"])
def test_connect_timeout_waits_for_the_service(
    source_first: bool,
    query: str,
    session_bus: PrivateBus,  # noqa: ARG001
    service: str,
) -> None:
    caller, server = (framebus.sink, framebus.source) if source_first else (framebus.source, framebus.sink)
    with pytest.raises(framebus.ChannelNotFound, match=f"no program offers the service '{service}'"):
        caller(f"dde:{service}{query}", connect_timeout=0.05)
    opened: list[Any] = []
    thread = threading.Thread(target=lambda: opened.append(caller(f"dde:{service}{query}", connect_timeout=60)))
    thread.start()
    with server(f"dde:{service}{query}"):
        thread.join()
        assert len(opened) == 1
        opened[0].close()
