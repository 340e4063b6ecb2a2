# SPDX-License-Identifier: Apache-2.0
"""A frame is pickled and deep-copied as its copy: all that it carries, in private and writable memory."""

from __future__ import annotations

import concurrent.futures
import copy
import gc
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import WATCHDOG_S

import framebus

PICTURE = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)
DEPTH = np.linspace(-1, 1, 48 * 64, dtype=np.float16).reshape(48, 64)
META = {"exposure_us": 900, "camera": {"gain": 1.5, "names": ["left", "größe"]}, "none": None}
PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)

WAYS: dict[str, Callable[[framebus.Frame], framebus.Frame]] = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    **{f"protocol {n}": lambda frame, n=n: pickle.loads(pickle.dumps(frame, n)) for n in PROTOCOLS},
    "a pickled copy()": lambda frame: pickle.loads(pickle.dumps(frame.copy())),
}


@pytest.fixture
def frame(channel_name: str) -> Iterator[framebus.Frame]:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send({"color": PICTURE, "depth": DEPTH}, meta=META, pixel_format="RGB8", timestamp_ns=2**62 + 1)
        with subscriber.recv(WATCHDOG_S) as received:
            yield received


def facts(frame: framebus.Frame) -> tuple[object, ...]:
    arrays = [(name, a.dtype.str, a.shape, a.tobytes()) for name, a in frame.arrays.items()]
    return frame.seq, frame.timestamp_ns, frame.wall_time_ns, frame.meta, frame.pixel_format, arrays


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_all_that_a_frame_carries_arrives_in_private_writable_memory(
    frame: framebus.Frame, way: Callable[[framebus.Frame], framebus.Frame]
) -> None:
    found = way(frame)
    assert type(found) is framebus.Frame
    assert facts(found) == facts(frame)
    assert found.meta is not frame.meta
    assert found.meta["camera"] is not frame.meta["camera"]
    for name, array in found.arrays.items():
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert array.flags.aligned
        assert not np.shares_memory(array, frame.arrays[name])
        array[...] = 0
    np.testing.assert_array_equal(frame.array, PICTURE)
    assert repr(found) == repr(frame)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_what_was_restored_holds_no_slot_and_outlives_the_channel(
    channel_name: str, way: Callable[[framebus.Frame], framebus.Frame]
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, hold=1) as subscriber:
            publisher.send(PICTURE)
            frame = subscriber.recv(WATCHDOG_S)
            found = way(frame)
            frame.release()
            gc.collect()
            assert subscriber.statistics().held == 0
        for _ in range(20):
            publisher.send(np.zeros_like(PICTURE))
    np.testing.assert_array_equal(found.array, PICTURE)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<u2", ">u2", "<i4", ">f4", "f2", "<f8", "g", ">c8", "<c16", "u8"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (4, 0, 3), (3, 4, 2, 2)])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_dtype_and_shape_that_a_channel_carries_is_restored(
    channel_name: str, dtype: str, shape: tuple[int, ...], protocol: int
) -> None:
    count = int(np.prod(shape))
    sent = (np.arange(count) % 2 if dtype == "?" else np.arange(count) * 3).astype(dtype).reshape(shape)
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(sent)
        frame = subscriber.recv(WATCHDOG_S)
        found = pickle.loads(pickle.dumps(frame, protocol)).array
        assert (found.dtype.str, found.shape, found.flags.writeable) == (frame.array.dtype.str, sent.shape, True)
    np.testing.assert_array_equal(found, sent)


def test_buffers_out_of_band_are_shared_memory_itself_and_are_copied_once_where_they_arrive(
    frame: framebus.Frame,
) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(frame, 5, buffer_callback=buffers.append)
    assert len(data) < 2000, "the pixels are in the stream"
    for buffer, array in zip(buffers, frame.arrays.values(), strict=True):
        assert np.shares_memory(np.frombuffer(buffer.raw(), np.uint8), array), "they were copied to be pickled"
    for given in (buffers, [bytearray(buffer.raw()) for buffer in buffers]):
        found = pickle.loads(data, buffers=given)
        assert facts(found) == facts(frame)
        assert not any(np.shares_memory(array, found.arrays[name]) for name, array in frame.arrays.items())
        found.array[0] = 0


def test_buffers_out_of_band_of_a_copy_become_the_arrays(frame: framebus.Frame) -> None:
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(frame.copy(), 5, buffer_callback=buffers.append)
    given = [bytearray(buffer.raw()) for buffer in buffers]
    found = pickle.loads(data, buffers=given)
    assert facts(found) == facts(frame)
    given[0][0] ^= 255
    assert found.array.flat[0] == given[0][0], "one more copy was made"


@pytest.mark.parametrize("order", ["F", "reversed", "sliced"])
def test_arrays_of_a_frame_that_a_program_made_become_contiguous(order: str) -> None:
    array = {"F": np.asfortranarray(PICTURE), "reversed": PICTURE[::-1], "sliced": PICTURE[::2, 1:-1]}[order]
    made = framebus.Frame({"image": array}, seq=1, timestamp_ns=2, wall_time_ns=3)
    for protocol in PROTOCOLS:
        found = pickle.loads(pickle.dumps(made, protocol))
        assert found.array.flags.c_contiguous
        np.testing.assert_array_equal(found.array, array)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_released_frame_is_refused_with_what_to_do(
    frame: framebus.Frame, way: Callable[[framebus.Frame], framebus.Frame]
) -> None:
    frame.release()
    with pytest.raises(framebus.FrameReleased, match=r"has been released; use it before release\(\)"):
        way(frame)


def brightest(frame: framebus.Frame) -> tuple[int, Any, framebus.Frame]:
    frame.array[0, 0] = 255
    return int(frame.array.max()), frame.meta, frame


def pass_on(incoming: Any, outgoing: Any) -> None:
    for frame in iter(incoming.get, None):
        outgoing.put((frame.seq, frame.meta, frame))


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_frames_go_through_queues_and_pools_of_processes(channel_name: str, method: str) -> None:
    context = multiprocessing.get_context(method)
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        frames = []
        for number in range(3):
            publisher.send(np.full_like(PICTURE, number), meta={"number": number})
            frames.append(subscriber.recv(WATCHDOG_S).copy() if number else subscriber.recv(WATCHDOG_S))
        there, back = context.Queue(), context.Queue()
        child = context.Process(target=pass_on, args=(there, back))
        child.start()
        for number, frame in enumerate(frames):
            there.put(frame)
            seq, meta, found = back.get(timeout=WATCHDOG_S)
            assert (seq, meta) == (number + 1, {"number": number})
            assert facts(found) == facts(frame)
        there.put(None)
        child.join()
        assert child.exitcode == 0
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
            top, meta, found = pool.submit(brightest, frames[0]).result(WATCHDOG_S)
        assert (top, meta, found.array[0, 0].tolist()) == (255, {"number": 0}, [255] * 3)
        assert (frames[0].array == 0).all()
