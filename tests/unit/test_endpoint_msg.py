# SPDX-License-Identifier: Apache-2.0
"""Message queues within one process: room, priorities, places, what is left behind."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.msg_parts import message_of, parts_of

import framebus
from framebus.endpoint import EndpointStatistics
from framebus.endpoint.kinds.msg import parts
from framebus.endpoint.kinds.msg.queue import Queue
from framebus.endpoint.kinds.msg.source_sink import MsgSink, MsgSource

posix_ipc = pytest.importorskip("posix_ipc", reason='needs posix_ipc; run: pip install "framebus[msg]"')

SMALL = np.arange(60, dtype=np.uint8)
LARGE = np.arange(100_000, dtype=np.uint32)
ROOM = 8192


def has_queues() -> str | None:
    """Says why there are no message queues here, if there are none."""
    try:
        queue = Queue(f"test-{time.monotonic_ns()}", receives=True, depth=None, part_bytes=None)
    except framebus.Error as error:
        return str(error)
    queue.leave()
    return None


WHY_NOT = has_queues()
needs_queues = pytest.mark.skipif(
    WHY_NOT is not None, reason=f"{WHY_NOT}; a kernel with CONFIG_POSIX_MQUEUE=y has them"
)


@pytest.fixture
def name(channel_name: str) -> Iterator[str]:
    yield channel_name
    assert not exists(channel_name), "the last one out did not remove the queue"


def exists(name: str) -> bool:
    try:
        posix_ipc.MessageQueue(f"/framebus.{name}").close()
    except posix_ipc.ExistentialError:
        return False
    return True


def open_source(name: str, **options: Any) -> MsgSource:
    source = framebus.source(f"msg:{name}", **options)
    assert isinstance(source, MsgSource)
    return source


def open_sink(name: str, **options: Any) -> MsgSink:
    sink = framebus.sink(f"msg:{name}", **options)
    assert isinstance(sink, MsgSink)
    return sink


@needs_queues
@pytest.mark.parametrize("first", ["source", "sink"])
def test_a_frame_arrives_whichever_end_comes_first(name: str, first: str) -> None:
    if first == "source":
        source, sink = open_source(name), open_sink(name)
    else:
        sink, source = open_sink(name), open_source(name)
    with source, sink:
        sink.send(
            {"a": SMALL, "b": SMALL[:0]}, meta={"x": [1, "ü"]}, pixel_format="Mono8", timestamp_ns=3, wall_time_ns=4
        )
        frame = source.recv(10)
        assert {name: array.tolist() for name, array in frame.arrays.items()} == {"a": SMALL.tolist(), "b": []}
        assert (frame.seq, frame.meta, frame.pixel_format) == (1, {"x": [1, "ü"]}, "Mono8")
        assert (frame.timestamp_ns, frame.wall_time_ns) == (3, 4)


@needs_queues
def test_large_frames_of_several_sinks_mix_and_arrive_whole(name: str) -> None:
    with open_source(name) as source:
        sinks = [open_sink(name) for _ in range(4)]

        def send(sink: MsgSink, value: int) -> None:
            with sink:
                for number in range(10):
                    sink.send(LARGE + value + number)

        threads = [threading.Thread(target=send, args=(sink, i * 1000)) for i, sink in enumerate(sinks)]
        for thread in threads:
            thread.start()
        seen: list[int] = []
        for frame in source:
            assert (frame.array - frame.array[0] == LARGE).all()
            seen.append(int(frame.array[0]))
        for thread in threads:
            thread.join()
        assert sorted(seen) == [i * 1000 + number for i in range(4) for number in range(10)]
        assert source.statistics() == EndpointStatistics(40, 40 * LARGE.nbytes, 0, 0)


@needs_queues
def test_a_frame_of_a_higher_priority_overtakes_one_that_is_half_sent(name: str) -> None:
    with open_source(name, depth=8) as source, open_sink(name, priority=20) as urgent:
        slow = Queue(name, receives=False, depth=None, part_bytes=None)
        ordinary = parts_of(message_of(1, 3 * ROOM), 1, place=slow.place, part_bytes=ROOM)
        for part in ordinary[:2]:
            assert slow.put(part, 0)
        urgent.send(SMALL)
        for part in ordinary[2:]:
            assert slow.put(part, 0)
        assert [source.recv(10).array.nbytes for _ in range(2)] == [SMALL.nbytes, 3 * ROOM]
        slow.leave()


@needs_queues
def test_a_frame_that_does_not_fit_is_dropped_as_a_whole_and_counted_at_both_ends(name: str) -> None:
    with open_source(name, depth=5) as source, open_sink(name, on_full="drop") as sink:
        for size in (1, ROOM, ROOM, ROOM, 1, 1):  # parts: 1 2 - (2) - (2) 1 (1)
            sink.send(np.zeros(size, np.uint8))
        found = [source.recv(10).array.nbytes for _ in range(3)]
        assert found == [1, ROOM, ROOM]
        sink.send(SMALL)
        assert source.recv(10).array.nbytes == SMALL.nbytes
        assert sink.statistics().dropped == source.statistics().dropped == 3


@needs_queues
def test_a_frame_larger_than_the_queue_is_not_begun_where_nobody_receives(name: str) -> None:
    with open_sink(name, on_full="drop") as sink:
        sink.send(LARGE)
        assert sink.statistics().dropped == 1
        assert sink._queue.waiting() == 0


@needs_queues
def test_a_begun_frame_whose_receiver_stops_is_given_up_and_the_next_one_is_found(name: str) -> None:
    with open_source(name) as source, open_sink(name, on_full="drop") as sink:
        sink.send(LARGE)
        sink.send(LARGE)
        assert sink.statistics().dropped == 2
        with pytest.raises(framebus.Timeout):
            source.recv(0)
        sink.send(SMALL)
        assert (source.recv(10).array == SMALL).all()
        assert source.statistics().dropped == 2


@needs_queues
def test_a_full_queue_raises_with_the_figures_if_asked_to(name: str) -> None:
    with open_source(name, depth=3), open_sink(name, on_full="raise") as sink:
        for _ in range(3):
            sink.send(SMALL)
        with pytest.raises(
            framebus.ChannelFull, match="3 messages of at most 3, and its receiver is behind"
        ) as refusal:
            sink.send(SMALL, timeout=0)
        assert not isinstance(refusal.value, TimeoutError), "no time was waited for room"


@needs_queues
def test_blocking_ends_with_the_timeout_and_the_half_frame_never_arrives(name: str) -> None:
    with open_source(name) as source, open_sink(name) as sink:
        with pytest.raises(framebus.ChannelFullTimeout, match=r"no room for a frame in .* within 0.05 s"):
            sink.send(LARGE, timeout=0.05)
        with pytest.raises(framebus.Timeout):
            source.recv(0)
        sink.send(SMALL)
        assert (source.recv(10).array == SMALL).all()
        assert source.statistics().dropped == sink.statistics().dropped == 1


@needs_queues
def test_garbage_is_counted_and_skipped(name: str) -> None:
    with open_source(name) as source, open_sink(name) as sink:
        foreign = posix_ipc.MessageQueue(f"/framebus.{name}")
        foreign.send(b"hello")
        foreign.send(b"")
        foreign.close()
        sink.send(SMALL)
        assert (source.recv(10).array == SMALL).all()
        assert source.statistics().refused == 2


@needs_queues
def test_a_second_receiver_is_refused_and_may_come_when_the_first_has_gone(name: str) -> None:
    with open_source(name):
        with pytest.raises(framebus.EndpointError, match="has a receiver already"):
            open_source(name)
    open_source(name).close()


@needs_queues
def test_one_sender_more_than_can_be_told_apart_is_refused(name: str) -> None:
    sinks = [open_sink(name) for _ in range(parts.MAX_SENDERS)]
    with pytest.raises(framebus.EndpointError, match="64 senders already"):
        open_sink(name)
    sinks[10].close()
    open_sink(name).close()
    for sink in sinks:
        sink.close()


@needs_queues
def test_the_source_ends_when_the_last_sender_has_closed_and_goes_on_with_the_next(name: str) -> None:
    with open_source(name) as source:
        one, other = open_sink(name), open_sink(name)
        one.send(SMALL)
        one.close()
        assert source.recv(10).seq == 1
        with pytest.raises(framebus.Timeout):
            source.recv(0)
        other.close()
        for timeout in (10, 0):
            with pytest.raises(framebus.ChannelClosed, match="all senders"):
                source.recv(timeout)
        with open_sink(name) as third:
            with pytest.raises(framebus.Timeout):
                source.recv(0)
            third.send(SMALL)
            assert source.recv(10).seq == 1


@needs_queues
def test_a_queue_that_killed_programs_left_is_not_used_again(name: str) -> None:
    left = posix_ipc.MessageQueue(f"/framebus.{name}", posix_ipc.O_CREX, max_messages=4, max_message_size=1024)
    left.send(parts_of(message_of(1, 900), 1, part_bytes=1024)[0])
    left.close()
    with open_sink(name) as sink, open_source(name) as source:
        assert sink._queue.part_bytes != 1024
        sink.send(SMALL)
        assert (source.recv(10).array == SMALL).all()
        assert source.statistics().dropped == 0


@needs_queues
def test_many_ends_that_come_and_go_at_once_leave_nothing_and_meet_in_one_queue(name: str) -> None:
    failures: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(200):
                Queue(name, receives=False, depth=2, part_bytes=256).leave()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@needs_queues
def test_close_from_another_thread_ends_a_wait(name: str) -> None:
    with open_source(name) as source:
        caught: list[BaseException] = []

        def receive() -> None:
            try:
                source.recv()
            except framebus.Error as error:
                caught.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        source.close()
        thread.join()
        assert [type(error) for error in caught] == [framebus.ChannelClosed]


@needs_queues
@pytest.mark.parametrize(
    "options", [{"depth": 1000, "part_bytes": 1 << 20}, {"depth": 1 << 30}, {"part_bytes": 1 << 30}]
)
def test_a_queue_that_the_system_does_not_allow_is_refused_with_the_limits(name: str, options: dict[str, int]) -> None:
    with pytest.raises(
        framebus.EndpointError, match=r"can't be made for .* \(ulimit -q\); the system allows \d+ messages"
    ):
        open_sink(name, **options)


@needs_queues
def test_messages_too_small_for_a_head_are_refused(name: str) -> None:
    with pytest.raises(framebus.EndpointError, match="messages of 100 bytes; expected 256 or more"):
        open_sink(name, part_bytes=100)


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "x" * 129])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(framebus.InvalidName, match="not a name for a queue"):
        framebus.source(f"msg:{name}")


def test_a_priority_out_of_range_is_refused(channel_name: str) -> None:
    with pytest.raises(ValueError, match="priority must be 0 to 31, got 32"):
        framebus.sink(f"msg:{channel_name}?priority=32")


def test_without_posix_ipc_the_error_says_how_to_get_it(channel_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "posix_ipc", None)
    with pytest.raises(framebus.EndpointError, match=r'needs posix_ipc.* run: pip install "framebus\[msg\]"'):
        framebus.source(f"msg:{channel_name}")
