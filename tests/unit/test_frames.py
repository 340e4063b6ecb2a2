# SPDX-License-Identifier: Apache-2.0
"""What comes with the pixels: number, times, metadata, pixel format; and private copies of all of it."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

import framebus

PICTURE = np.arange(48 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(48, 64, 3)

Ends = tuple[framebus.Publisher, framebus.Subscriber]


@pytest.fixture
def ends(channel_name: str) -> Iterator[Ends]:
    """A publisher and a subscriber of one channel."""
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        yield publisher, subscriber


def test_send_returns_the_number_of_the_frame_and_the_first_is_one(ends: Ends) -> None:
    publisher, subscriber = ends
    for number in range(1, 20):
        assert publisher.send(PICTURE) == number
        assert subscriber.recv(5.0).seq == number


def test_times_are_those_of_the_moment_of_sending(ends: Ends) -> None:
    publisher, subscriber = ends
    before = (time.monotonic_ns(), time.time_ns())
    publisher.send(PICTURE)
    after = (time.monotonic_ns(), time.time_ns())
    frame = subscriber.recv(5.0)
    assert before[0] <= frame.timestamp_ns <= after[0]
    assert before[1] <= frame.wall_time_ns <= after[1]


def test_times_given_by_the_publisher_arrive_as_they_are(ends: Ends) -> None:
    publisher, subscriber = ends
    publisher.send(PICTURE, timestamp_ns=123_456_789_012_345, wall_time_ns=1_700_000_000_000_000_001)
    frame = subscriber.recv(5.0)
    assert (frame.timestamp_ns, frame.wall_time_ns) == (123_456_789_012_345, 1_700_000_000_000_000_001)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"exposure_us": 900},
        {"camera": {"gain": 1.5, "names": ["left", "right"], "on": True, "lens": None}},
        {"größe": "3 µm", "emoji": "📷", "quote": "'\"\\"},
        {"large": 2**63, "small": -(2**70), "long": "x" * 100_000},
    ],
    ids=["empty", "one", "nested", "unicode", "large"],
)
def test_metadata_arrives(ends: Ends, meta: dict[str, object]) -> None:
    publisher, subscriber = ends
    publisher.send(PICTURE, meta=meta)
    assert subscriber.recv(5.0).meta == meta


def test_metadata_belongs_to_its_frame_only(ends: Ends) -> None:
    publisher, subscriber = ends
    publisher.send(PICTURE, meta={"number": 1}, pixel_format="RGB8")
    assert (subscriber.recv(5.0).meta, publisher.send(PICTURE)) == ({"number": 1}, 2)
    frame = subscriber.recv(5.0)
    assert (frame.meta, frame.pixel_format) == ({}, None)


@pytest.mark.parametrize("pixel_format", ["Mono8", "Mono16", "BGR8", "RGB8", "BayerRG8", "BGRa8", "Coord3D_C16"])
def test_pixel_format_arrives(ends: Ends, pixel_format: str) -> None:
    publisher, subscriber = ends
    publisher.send(PICTURE, pixel_format=pixel_format)
    assert subscriber.recv(5.0).pixel_format == pixel_format


def test_copy_is_private_and_outlives_everything(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, hold=1) as subscriber:
            publisher.send({"color": PICTURE, "depth": PICTURE[..., 0]}, meta={"a": 1}, pixel_format="RGB8")
            frame = subscriber.recv(5.0)
            copy = frame.copy()
            told = (frame.seq, frame.timestamp_ns, frame.wall_time_ns, frame.meta, frame.pixel_format)
            assert copy.array.ctypes.data != frame.array.ctypes.data
            del frame
            assert subscriber.statistics().held == 0
        for _ in range(100):
            publisher.send(np.zeros_like(PICTURE))
    assert (copy.seq, copy.timestamp_ns, copy.wall_time_ns, copy.meta, copy.pixel_format) == told
    assert list(copy.arrays) == ["color", "depth"]
    np.testing.assert_array_equal(copy.array, PICTURE)
    np.testing.assert_array_equal(copy.arrays["depth"], PICTURE[..., 0])


def test_frame_is_an_array_to_numpy(ends: Ends) -> None:
    publisher, subscriber = ends
    publisher.send(PICTURE)
    frame = subscriber.recv(5.0)
    assert np.asarray(frame).ctypes.data == frame.array.ctypes.data
    assert np.array(frame).ctypes.data != frame.array.ctypes.data
    assert np.array(frame).flags.writeable
    assert np.asarray(frame, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.mean(frame, axis=(0, 1)), PICTURE.mean(axis=(0, 1)))


def test_frame_is_a_read_only_tensor_to_dlpack(ends: Ends) -> None:
    publisher, subscriber = ends
    publisher.send(PICTURE)
    frame = subscriber.recv(5.0)
    assert tuple(frame.__dlpack_device__()) == (1, 0)
    tensor = np.from_dlpack(frame)
    np.testing.assert_array_equal(tensor, PICTURE)
    assert not tensor.flags.writeable


def test_representation_names_what_the_frame_is(ends: Ends) -> None:
    publisher, subscriber = ends
    for _ in range(42):
        publisher.send({"color": PICTURE, "depth": PICTURE[..., 0].astype(np.uint16)}, pixel_format="RGB8")
    text = repr(subscriber.recv(5.0))
    for part in ("Frame", "42", "color", "48", "64", "uint8", "depth", "uint16", "RGB8"):
        assert part in text


def test_who_is_called_while_a_frame_is_released_finds_it_released(channel_name: str) -> None:
    found: list[tuple[bool, str]] = []
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(np.zeros(4, np.uint8))
        frame = subscriber.recv(30.0)
        reference = weakref.ref(frame.array, lambda _: found.append((frame.released, repr(frame))))
        frame.release()
        assert found == [(True, "<Frame 1 released>")]
        assert reference() is None
        assert subscriber.statistics().held == 0
