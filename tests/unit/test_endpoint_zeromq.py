# SPDX-License-Identifier: Apache-2.0
"""tcp:// and ipc:// inside one process: frames, memory, order, ends, threads, fork.

The peers are real sockets. What no sink of framebus sends is in test_endpoint_zeromq_garbage.py, what needs a second
program, or one that is killed, in tests/multiprocess/test_zeromq_between_programs.py.
"""

from __future__ import annotations

import contextlib
import gc
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from tests.support.waiting import wait_until

import framebus

pytest.importorskip("zmq", reason='needs pyzmq: pip install "framebus[zmq]"')

LONG = 30.0  # against hangs only
IMAGE = np.arange(640 * 480, dtype=np.uint32).reshape(480, 640)
MODES = pytest.mark.parametrize("mode", ["latest", "every"])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/socket"


# Frames


@MODES
@pytest.mark.parametrize("copy", [True, False])
def test_the_caller_may_change_the_array_after_send(url: str, mode: str, copy: bool) -> None:
    with framebus.sink(url, mode=mode, copy=copy, wait_for=1) as sink, framebus.source(url, mode=mode) as source:
        image = np.full((1080, 1920, 3), 1, np.uint8)
        for value in (1, 2, 3):
            image[:] = value
            sink.send(image)
            image[:] = 99
            assert (source.recv(LONG).array == value).all()


@MODES
@pytest.mark.parametrize("copy", [True, False])
def test_the_caller_may_change_all_of_several_arrays_after_send(url: str, mode: str, copy: bool) -> None:
    with framebus.sink(url, mode=mode, copy=copy, wait_for=1) as sink, framebus.source(url, mode=mode) as source:
        for value in (1, 2, 3):
            arrays = {
                "image": np.full((1080, 1920, 3), value, np.uint8),
                "depth": np.full((1080, 1920), value, np.uint16),
                "last": np.full(4, value, np.float32),  # so small that ZeroMQ needs it no longer at once
            }
            sink.send(arrays)
            for array in arrays.values():
                array[:] = 99
            received = source.recv(LONG).arrays
            assert [(array == value).all() for array in received.values()] == [True] * 3


@MODES
def test_memory_of_copies_is_used_again_only_when_they_have_left(url: str, mode: str) -> None:
    with framebus.sink(url, mode=mode, copy=True, wait_for=1) as sink, framebus.source(url, mode=mode) as source:
        for seq in range(1, 60):
            shape = (480, 640, 3) if seq % 10 < 7 else (300 + seq, 640)
            sizes = {"image": shape, "other": 100_000, "last": 4}  # the last is no sign that the others have left
            sink.send({name: np.full(size, seq, np.uint16) for name, size in sizes.items()})
            for _ in range(0 if seq % 3 else 3 if mode == "every" else 1):
                frame = source.recv(LONG)
                assert all((array == frame.seq).all() for array in frame.arrays.values())


@MODES
def test_received_arrays_are_read_only_views_that_outlive_the_ends(url: str, mode: str) -> None:
    with framebus.sink(url, mode=mode, wait_for=1) as sink, framebus.source(url, mode=mode) as source:
        sink.send({"a": IMAGE, "b": IMAGE + 1}, timeout=LONG)
        frame = source.recv(LONG)
        kept = frame.arrays["b"][10:20]
        owner = kept.base
        assert not kept.flags.owndata
        assert not kept.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            kept.flags.writeable = True
        del frame
        for _ in range(20):
            sink.send({"a": IMAGE * 0, "b": IMAGE * 0}, timeout=LONG)
            source.recv(LONG)
    gc.collect()
    assert owner is not None
    assert np.array_equal(kept, IMAGE[10:20] + 1)


@MODES
def test_an_array_that_lies_askew_in_what_came_is_aligned_all_the_same(url: str, mode: str) -> None:
    with framebus.sink(url, mode=mode, wait_for=1) as sink, framebus.source(url, mode=mode) as source:
        for size in range(1, 40):
            sink.send({"n": np.zeros(size, np.uint8), "x": np.full(3, 0.5), "l": np.zeros(2, np.clongdouble)})
            arrays = source.recv(LONG).arrays
            assert all(array.flags.aligned and not array.flags.writeable for array in arrays.values())
            assert (arrays["x"] == 0.5).all()


def test_latest_gives_the_newest_and_counts_what_it_skipped(url: str) -> None:
    with framebus.sink(url, wait_for=1) as sink, framebus.source(url) as source:
        sink.send(IMAGE, timeout=LONG)
        assert source.recv(LONG).seq == 1
        for _ in range(99):
            sink.send(IMAGE)
        last = source.recv(LONG)
        while last.seq < 100:
            last = source.recv(LONG)
        found = source.statistics()
        assert found.frames + found.dropped == 100
        with pytest.raises(framebus.Timeout):
            source.recv(0)


def test_latest_keeps_the_last_frame_before_a_pause_for_a_receiver_that_did_not_ask(url: str) -> None:
    with framebus.sink(url, wait_for=1) as sink, framebus.source(url) as source:
        for number in range(200):
            sink.send(np.full((480, 640), number, np.uint16))
        wait_until(lambda: source._newest.frame is not None and source._newest.frame.seq == 200)
        assert (source.recv(LONG).array == 199).all()


def test_every_blocks_at_the_high_water_mark_and_loses_nothing(url: str) -> None:
    with framebus.sink(url, mode="every", hwm=2) as sink, framebus.source(url, mode="every", hwm=2) as source:
        sent = 0
        with contextlib.suppress(framebus.Timeout):
            while sent < 1000:
                sink.send(np.full((1080, 1920), sent, np.uint16), timeout=0.2)
                sent += 1
        assert 2 <= sent < 1000
        assert [int(source.recv(LONG).array[0, 0]) for _ in range(sent)] == list(range(sent))
        with pytest.raises(framebus.Timeout):
            source.recv(0.05)
        sink.send(IMAGE, timeout=LONG)
        assert source.recv(LONG).seq == sent + 1
        assert source.statistics().dropped == 0


def test_a_sender_without_receivers_waits_as_long_as_it_may(url: str) -> None:
    with framebus.sink(url, mode="every") as sink:
        with pytest.raises(framebus.Timeout, match="room"):
            sink.send(IMAGE, timeout=0.05)


def test_wait_for_waits_for_a_receiver_and_says_how_many_were_missing(url: str) -> None:
    with framebus.sink(url, wait_for=1) as sink:
        with pytest.raises(framebus.Timeout, match="fewer than 1"):
            sink.send(IMAGE, timeout=0.05)
        with framebus.source(url) as source:
            sink.send(IMAGE, timeout=LONG)
            assert source.recv(LONG).seq == 1


def test_a_relay_hands_on_all_of_a_frame(url: str, tmp_path: Path) -> None:
    other = f"ipc://{tmp_path}/other"
    with (
        framebus.sink(url, mode="every") as first,
        framebus.source(url, mode="every") as from_,
        framebus.sink(other, mode="every") as to,
        framebus.source(other, mode="every") as last,
    ):
        first.send(
            {"c": IMAGE, "d": IMAGE[::2, ::3]},
            meta={"gain": 2},
            pixel_format="Mono16",
            timestamp_ns=5,
            wall_time_ns=6,
            seq=77,
        )
        assert framebus.relay(from_, to, limit=1).frames == 1
        frame = last.recv(LONG)
        assert (frame.seq, frame.timestamp_ns, frame.wall_time_ns, frame.meta) == (77, 5, 6, {"gain": 2})
        assert list(frame.arrays) == ["c", "d"]
        assert np.array_equal(frame.arrays["d"], IMAGE[::2, ::3])


# Ends


@MODES
def test_close_is_told_after_the_last_frame_and_a_new_sender_is_received(url: str, mode: str) -> None:
    with framebus.source(url, mode=mode) as source:
        for _ in range(3):
            with framebus.sink(url, mode=mode, wait_for=1) as sink:
                sink.send(IMAGE, timeout=LONG)
            assert [frame.seq for frame in source] == [1]
            with pytest.raises(framebus.ChannelClosed):
                source.recv(LONG)


@MODES
def test_each_of_several_receivers_is_told_the_end(url: str, mode: str) -> None:
    sources = [framebus.source(url, mode=mode) for _ in range(3)]
    received: list[int] = []
    threads = [threading.Thread(target=lambda s=s: received.extend(frame.seq for frame in s)) for s in sources]
    for thread in threads:
        thread.start()
    with framebus.sink(url, mode=mode, wait_for=3) as sink:
        for _ in range(30):
            sink.send(IMAGE, timeout=LONG)
    for thread, source in zip(threads, sources, strict=True):
        thread.join(LONG)
        assert not thread.is_alive(), "a receiver still waits after the end"
        source.close()
    assert sorted(received) == list(range(1, 31)) if mode == "every" else received.count(30) == 3


@MODES
def test_a_sink_that_is_forgotten_is_closed(url: str, mode: str) -> None:
    sink = framebus.sink(url, mode=mode, wait_for=1)
    with framebus.source(url, mode=mode) as source:
        sink.send(IMAGE, timeout=LONG)
        alive = weakref.ref(sink)
        del sink
        gc.collect()
        assert alive() is None
        assert [frame.seq for frame in source] == [1]


@MODES
def test_a_source_that_is_forgotten_leaves_no_thread(url: str, mode: str) -> None:
    before = set(threading.enumerate())  # one of an earlier test may end meanwhile
    source = framebus.source(url, mode=mode)
    alive = weakref.ref(source)
    del source
    gc.collect()
    assert alive() is None
    assert set(threading.enumerate()) - before == set()


@MODES
def test_close_in_another_thread_ends_a_recv_that_waits(url: str, mode: str) -> None:
    source = framebus.source(url, mode=mode)
    errors: list[BaseException] = []

    def receive() -> None:
        try:
            source.recv()
        except framebus.Error as error:
            errors.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    source.close()
    thread.join(LONG)
    assert [type(error) for error in errors] == [framebus.ChannelClosed]


def test_close_in_another_thread_ends_a_send_that_waits(url: str) -> None:
    sink = framebus.sink(url, mode="every")
    errors: list[BaseException] = []

    def send() -> None:
        try:
            sink.send(IMAGE)
        except framebus.Error as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    sink.close()
    thread.join(LONG)
    assert [type(error) for error in errors] == [framebus.ChannelClosed]


def test_threads_may_share_both_ends(url: str) -> None:
    count, threads = 40, 4
    with framebus.sink(url, mode="every") as sink, framebus.source(url, mode="every") as source:
        seen: list[int] = []

        def send(first: int) -> None:
            for number in range(first, first + count):
                sink.send(np.full((300, 400), number, np.uint16), timeout=LONG)

        def receive() -> None:
            for _ in range(count):
                array = source.recv(LONG).array
                assert (array == array[0, 0]).all()
                seen.append(int(array[0, 0]))

        running = [threading.Thread(target=send, args=(i * count,)) for i in range(threads)]
        running += [threading.Thread(target=receive) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(LONG)
        assert sorted(seen) == list(range(count * threads))


@MODES
def test_a_forked_child_is_refused_and_leaves_the_parents_ends_alone(url: str, mode: str) -> None:
    with framebus.sink(url, mode=mode, wait_for=1) as sink, framebus.source(url, mode=mode) as source:
        sink.send(IMAGE, timeout=LONG)
        assert source.recv(LONG).seq == 1
        child = os.fork()
        if child == 0:
            status = 1
            try:
                for call in (lambda: sink.send(IMAGE), lambda: source.recv(1.0)):
                    with pytest.raises(framebus.Error, match="open another one in the child"):
                        call()
                source.close()
                sink.close()
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        sink.send(IMAGE, timeout=LONG)
        assert source.recv(LONG).seq == 2
