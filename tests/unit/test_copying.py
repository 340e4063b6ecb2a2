# SPDX-License-Identifier: Apache-2.0
"""What arrives is what numpy says the array is, whatever its strides; and a long copy leaves the interpreter alone.

The copies themselves, byte by byte and up to the last one, are checked by tests/cpp/test_copy.cpp.
"""

from __future__ import annotations

import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import framebus

Array = npt.NDArray[Any]
CASES_PER_SEED = 60
DTYPES = ["?", "u1", "i1", "<u2", ">u2", "<i4", ">f4", "<f8", ">c8", "<c16", "f2", "g"]


@pytest.fixture
def pair(channel_name: str) -> Iterator[tuple[framebus.Publisher, framebus.Subscriber]]:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        yield publisher, subscriber


def random_array(random: np.random.Generator) -> Array:
    """A view of random bytes: cut, stepped, turned, broadcast, of any order, now and then not aligned."""
    dtype = np.dtype(str(random.choice(DTYPES)))
    dimensions = int(random.integers(0, 6))
    shape = random.integers(1, 80 if dimensions < 4 else 9, dimensions)
    if dimensions and random.random() < 0.5:
        shape[-1] = random.integers(1, 5)
    shift = int(random.integers(0, 2)) * int(random.integers(0, 16))
    count = int(np.prod(shape))
    data = random.integers(0, 2 if dtype.kind == "b" else 256, shift + count * dtype.itemsize, np.uint8)
    array: Array = np.ndarray(tuple(shape), dtype, data.data, shift)
    for axis in range(dimensions):
        if random.random() < 0.4:
            begin = int(random.integers(0, 1 + array.shape[axis] // 3))
            array = array.swapaxes(0, axis)[begin :: int(random.integers(1, 4))].swapaxes(0, axis)
        if random.random() < 0.3:
            array = np.flip(array, axis)
    if random.random() < 0.5:
        array = array.transpose(random.permutation(dimensions))
    if dimensions and random.random() < 0.1:
        array = np.broadcast_to(array[..., :1], (*array.shape[:-1], int(random.integers(0, 9))))
    if random.random() < 0.1:
        array = np.asfortranarray(array)
    return array


@pytest.mark.parametrize("seed", range(8))
def test_any_view_arrives_as_numpy_would_copy_it(
    pair: tuple[framebus.Publisher, framebus.Subscriber], seed: int
) -> None:
    publisher, subscriber = pair
    random = np.random.default_rng(seed)
    for case in range(CASES_PER_SEED):
        sent = random_array(random)
        publisher.send(sent)
        received = subscriber.recv(5.0).array
        what = f"case {case}: shape {sent.shape}, strides {sent.strides}, {sent.dtype}"
        assert (received.shape, received.dtype, received.flags.c_contiguous) == (sent.shape, sent.dtype, True), what
        # Byte by byte, since not every value equals itself.
        assert received.tobytes() == sent.tobytes(), what


@pytest.fixture(scope="module")
def picture() -> Array:
    return np.random.default_rng(3).integers(0, 256, (2160, 1337, 4), dtype=np.uint8)


@pytest.mark.parametrize("height", [1200, 2160], ids=["that stays in the cache", "that goes past the cache"])
@pytest.mark.parametrize(
    "view",
    [
        lambda a: a,
        lambda a: a[1:-1, 3:-5],
        lambda a: a[::-1],
        lambda a: a[:, ::-1],
        lambda a: a[..., ::-1],
        lambda a: a[..., 2::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: a.transpose(2, 0, 1),
    ],
    ids=["whole", "crop", "upside down", "mirrored", "swapped", "swapped part", "turned", "planes"],
)
def test_a_large_picture_arrives(
    pair: tuple[framebus.Publisher, framebus.Subscriber],
    picture: Array,
    height: int,
    view: Callable[[Array], Array],
) -> None:
    publisher, subscriber = pair
    sent = view(picture[:height])
    expected = np.ascontiguousarray(sent)
    for _ in range(3):  # also into slots that were used before
        publisher.send(sent)
        assert np.array_equal(subscriber.recv(5.0).array, expected)


@pytest.fixture
def quick_switching() -> Iterator[None]:
    """Threads hand the interpreter over almost at once, so what runs while another call has let go of it is short."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("quick_switching")
@pytest.mark.parametrize(
    ("size", "view"),
    [
        (6000, lambda a: a),
        (6000, lambda a: a[:, ::-1]),
        (6000, lambda a: a[..., ::-1]),
        (2500, lambda a: a.transpose(1, 0, 2)),
    ],
    ids=["whole", "mirrored", "swapped", "turned"],
)
def test_other_threads_run_while_a_large_array_is_copied(
    pair: tuple[framebus.Publisher, framebus.Subscriber], size: int, view: Callable[[Array], Array]
) -> None:
    publisher, _ = pair
    # Some ten milliseconds of copying, in which a thread counts far beyond this. If the copy kept the interpreter, it
    # could count only in the microseconds in which send() lets go of it to publish. The median, since either thread may
    # have to wait for a processor.
    enough = 5_000
    large = view(np.zeros((size, size, 3), np.uint8))
    for _ in range(2):
        publisher.send(large)  # growing lets go of the interpreter too
    counted, done = 0, threading.Event()

    def count() -> None:
        nonlocal counted
        while not done.is_set():
            counted += 1

    thread = threading.Thread(target=count)
    thread.start()
    found = 0.0
    for _ in range(40):  # on a busy machine the thread may get no processor during most of the copies
        counts = []
        for _ in range(7):
            before = counted
            publisher.send(large)
            counts.append(counted - before)
        found = max(found, statistics.median(counts))
        if found > enough:
            break
    done.set()
    thread.join()
    assert found > enough
