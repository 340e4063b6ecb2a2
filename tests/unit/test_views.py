# SPDX-License-Identifier: Apache-2.0
"""A fetched array is shared memory that belongs to whoever looks at it, until the last look.

Each kind of thing that can be kept of a frame is kept, everything else is dropped, and the channel is made to
overwrite whatever it may with a marker.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import framebus

Array = npt.NDArray[Any]

PICTURE = np.random.default_rng(5).integers(0, 200, (48, 64), dtype=np.uint8)
MARKER = np.full((48, 64), 0xEE, np.uint8)

# What is kept of a frame. All are views: while one of them lives, the frame is held.
KEPT: dict[str, Callable[[framebus.Frame], Any]] = {
    "the frame": lambda frame: frame,
    "the array": lambda frame: frame.array,
    "the named array": lambda frame: frame.arrays["image"],
    "a slice": lambda frame: frame.array[7:31, 5::3],
    "a slice of a slice": lambda frame: frame.array[7:31][::-1][:, 10:20],
    "the transposed array": lambda frame: frame.array.T,
    "the array in another dtype": lambda frame: frame.array.view(np.uint32),
    "the array in another shape": lambda frame: frame.array.reshape(-1),
    "asarray of the frame": np.asarray,
    "a memoryview": lambda frame: frame.array.data,
    "a slice of a memoryview": lambda frame: frame.array.reshape(-1).data[100:2000:7],
    "frombuffer": lambda frame: np.frombuffer(frame.array, np.uint16),
    "from_dlpack of the frame": np.from_dlpack,
    "from_dlpack of the array": lambda frame: np.from_dlpack(frame.array),
    "an iterator over rows": lambda frame: iter(frame.array),
}


def overwrite(publisher: framebus.Publisher) -> None:
    """Send as many frames as it takes to use every slot that may be used many times over."""
    for _ in range(200):
        publisher.send(MARKER)


def grow(publisher: framebus.Publisher) -> None:
    """Make the channel move to larger slots, and use all of them."""
    publisher.send(np.full((1080, 1920), 0xEE, np.uint8))
    overwrite(publisher)


def content(kept: Any) -> bytes:
    """The bytes of what was kept; an iterator is looked at by way of a copy of itself."""
    if isinstance(kept, type(iter(PICTURE))):
        return b"".join(row.tobytes() for row in kept)
    return np.asarray(kept).tobytes()


@pytest.mark.parametrize("take", KEPT.values(), ids=KEPT.keys())
def test_what_is_kept_of_a_frame_stays_as_it_was_whatever_happens(
    channel_name: str, take: Callable[[framebus.Frame], Any]
) -> None:
    publisher = framebus.Publisher(channel_name)
    subscriber = framebus.Subscriber(channel_name)
    publisher.send(PICTURE)
    frame = subscriber.recv(5.0)
    kept, expected = take(frame), content(take(frame.copy()))
    del frame
    gc.collect()
    overwrite(publisher)
    grow(publisher)
    subscriber.close()
    del subscriber
    gc.collect()
    overwrite(publisher)
    publisher.close()
    with framebus.Publisher(channel_name) as successor:
        overwrite(successor)
    assert content(kept) == expected


@pytest.mark.parametrize("take", KEPT.values(), ids=KEPT.keys())
def test_slot_is_held_until_the_last_view_is_gone(channel_name: str, take: Callable[[framebus.Frame], Any]) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        frame = subscriber.recv(5.0)
        assert subscriber.statistics().held == 1
        kept = take(frame)
        del frame
        gc.collect()
        assert subscriber.statistics().held == 1
        overwrite(publisher)
        assert subscriber.statistics().held == 1
        del kept
        gc.collect()
        assert subscriber.statistics().held == 0
        assert publisher.statistics().held == 0


def test_views_of_one_frame_count_once_and_the_last_one_frees_the_slot(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=1) as subscriber:
        publisher.send({"color": np.stack([PICTURE] * 3, 2), "depth": PICTURE.astype(np.uint16)})
        frame = subscriber.recv(5.0)
        views = [frame.arrays["color"][..., 0], frame.arrays["depth"].T, frame.arrays["depth"].data]
        del frame
        while views:
            assert subscriber.statistics().held == 1
            views.pop()
        assert subscriber.statistics().held == 0


def test_arrays_of_a_frame_keep_each_other_valid(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send({"color": np.stack([PICTURE] * 3, 2), "depth": PICTURE.astype(np.uint16)})
        depth = subscriber.recv(5.0).arrays["depth"]
        overwrite(publisher)
        np.testing.assert_array_equal(depth, PICTURE)


@pytest.mark.parametrize("take", [np.asarray, np.from_dlpack, lambda frame: frame.arrays["image"]])
def test_all_ways_to_the_array_lead_to_the_same_memory(channel_name: str, take: Callable[[Any], Array]) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        frame = subscriber.recv(5.0)
        assert take(frame).ctypes.data == frame.array.ctypes.data


def test_two_subscribers_of_a_program_look_at_one_copy(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name) as one, framebus.Subscriber(channel_name) as other:
            publisher.send(PICTURE)
            first, second = one.recv(5.0), other.recv(5.0)
            first.release()
            overwrite(publisher)
            np.testing.assert_array_equal(second.array, PICTURE)
            assert (one.statistics().held, other.statistics().held) == (0, 1)


def try_to_write(array: Array) -> None:
    array[0] = 1


def try_to_fill(array: Array) -> None:
    array.fill(1)


def try_to_add(array: Array) -> None:
    np.add(array, 1, out=array)


def try_to_sort(array: Array) -> None:
    array.sort()


def try_to_unlock(array: Array) -> None:
    array.flags.writeable = True


def try_to_unlock_by_method(array: Array) -> None:
    array.setflags(write=True)


def try_to_copy_into(array: Array) -> None:
    np.copyto(array, 1)


ATTEMPTS = [
    try_to_write,
    try_to_fill,
    try_to_add,
    try_to_sort,
    try_to_unlock,
    try_to_unlock_by_method,
    try_to_copy_into,
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.__name__)
@pytest.mark.parametrize("take", KEPT.values(), ids=KEPT.keys())
def test_writing_raises_value_error_also_through_the_owners_of_a_view(
    channel_name: str, take: Callable[[framebus.Frame], Any], attempt: Callable[[Array], None]
) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        kept = take(subscriber.recv(5.0))
        owner = next(kept) if isinstance(kept, type(iter(PICTURE))) else np.asarray(kept)
        while isinstance(owner, np.ndarray):
            with pytest.raises(ValueError, match=r"read-only|WRITEABLE"):
                attempt(owner)
            owner = owner.base


def test_memoryview_of_an_array_is_read_only(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        view = subscriber.recv(5.0).array.data
        assert view.readonly
        with pytest.raises(TypeError, match="read-only"):
            view[0, 0] = 1


def test_released_frame_gives_its_slot_back_and_says_so_when_it_is_used(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=1) as subscriber:
        publisher.send(PICTURE, meta={"exposure_us": 900})
        frame = subscriber.recv(5.0)
        frame.release()
        frame.release()
        assert subscriber.statistics().held == 0
        for use in (lambda: frame.array, lambda: frame.arrays, lambda: np.asarray(frame), frame.copy):
            with pytest.raises(framebus.FrameReleased, match="release"):
                use()
        assert frame.seq == 1
        assert "1" in repr(frame)


def test_view_taken_before_release_stays_as_it_was(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        with subscriber.recv(5.0) as frame:
            view = frame.array[10:20]
        overwrite(publisher)
        np.testing.assert_array_equal(view, PICTURE[10:20])
        del view
        assert subscriber.statistics().held == 0


def test_end_of_a_with_block_releases_the_frame(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        with subscriber.recv(5.0) as frame:
            assert frame.array[0, 0] == PICTURE[0, 0]
            assert subscriber.statistics().held == 1
        assert subscriber.statistics().held == 0
        with pytest.raises(framebus.FrameReleased):
            _ = frame.array


def test_pillow_image_made_from_a_view_stays_as_it_was(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        image = Image.fromarray(subscriber.recv(5.0).array)
        overwrite(publisher)
        np.testing.assert_array_equal(np.asarray(image), PICTURE)
