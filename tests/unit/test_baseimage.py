# SPDX-License-Identifier: Apache-2.0
"""Base images: the bytes, what is sent and what is refused. One process, real shared memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus import baseimage

SHARED_MEMORY = Path("/dev/shm")


def picture(*shape: int, dtype: str = "uint8") -> NDArray[Any]:
    """An array in which no two neighbours are alike."""
    return (np.arange(np.prod(shape)).reshape(shape) * 37 + 11).astype(dtype)


def memory_of(name: str, count: int) -> bytes:
    with (SHARED_MEMORY / name).open("rb") as file:
        return file.read(count)


def test_the_bytes_are_those_of_the_original_layout(channel_name: str) -> None:
    image = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[10, 11, 12], [13, 14, 15], [16, 17, 18]]], np.uint8)
    with baseimage.Writer(channel_name) as writer:
        writer.send(image)
        assert memory_of(channel_name, 34) == struct.pack("<4i", 18, 3, 2, 24) + bytes(range(1, 19))
        assert (SHARED_MEMORY / channel_name).stat().st_size == 2048 * 4096 * 4
        assert (SHARED_MEMORY / f"sem.{channel_name}Mutex").exists()


def test_a_windows_bitmap_has_padded_rows_from_the_bottom_up(channel_name: str) -> None:
    image = np.array([[[1, 2, 3]], [[4, 5, 6]]], np.uint8)
    with baseimage.Writer(channel_name, stride=4, bottom_up=True) as writer:
        writer.send(image)
        assert memory_of(channel_name, 24) == struct.pack("<4i", 8, 1, 2, 24) + bytes([4, 5, 6, 0, 1, 2, 3, 0])


IMAGES = {
    "8 bit": (picture(5, 7), "Mono8"),
    "8 bit with an axis for it": (picture(5, 7, 1), "Mono8"),
    "16 bit": (picture(5, 7, dtype="uint16"), "Mono16"),
    "16 bit of another byte order": (picture(5, 7, dtype=">u2"), "Mono16"),
    "24 bit": (picture(5, 7, 3), "BGR8"),
    "32 bit": (picture(5, 7, 4), "BGRa8"),
    "a part of another": (picture(20, 30, 3)[3:9, 5:16], "BGR8"),
    "every other row and column": (picture(20, 30, 3)[::2, ::3], "BGR8"),
    "turned": (picture(7, 5).T, "Mono8"),
    "mirrored": (picture(5, 7, 3)[:, ::-1], "BGR8"),
    "Fortran order": (np.asfortranarray(picture(5, 7, 3)), "BGR8"),
    "many strips": (picture(700, 1001, 3)[::-1], "BGR8"),
    "one row": (picture(1, 9, 3), "BGR8"),
}


@pytest.mark.parametrize("bottom_up", [False, True], ids=["top down", "bottom up"])
@pytest.mark.parametrize("stride", [1, 4])
@pytest.mark.parametrize(("image", "pixel_format"), IMAGES.values(), ids=IMAGES.keys())
def test_what_is_sent_is_received(
    channel_name: str, image: NDArray[Any], pixel_format: str, stride: int, bottom_up: bool
) -> None:
    before = image.copy()
    with baseimage.Writer(channel_name, stride=stride, bottom_up=bottom_up) as writer:
        with baseimage.Reader(channel_name, bottom_up=bottom_up) as reader:
            assert writer.send(image) == 1
            frame = reader.recv(WATCHDOG_S)
    expected = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
    np.testing.assert_array_equal(frame.array, expected)
    np.testing.assert_array_equal(image, before)
    assert frame.array.dtype == expected.dtype.newbyteorder("=")
    assert frame.array.flags.c_contiguous
    assert frame.array.flags.writeable
    assert (frame.pixel_format, frame.seq, frame.meta) == (pixel_format, 1, {})


@pytest.mark.parametrize(
    ("pixel_format", "order", "stored"), [("RGB8", [2, 1, 0], "BGR8"), ("RGBa8", [2, 1, 0, 3], "BGRa8")]
)
def test_red_first_is_written_blue_first(channel_name: str, pixel_format: str, order: list[int], stored: str) -> None:
    image = picture(5, 7, len(order))
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(image, pixel_format=pixel_format)
        frame = reader.recv(WATCHDOG_S)
    np.testing.assert_array_equal(frame.array, image[:, :, order])
    assert frame.pixel_format == stored


def test_the_reader_names_the_pixel_format_of_frames_of_that_depth_only(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name, pixel_format="BayerRG8") as reader:
        writer.send(picture(4, 4), pixel_format="BayerRG8")
        assert reader.recv(WATCHDOG_S).pixel_format == "BayerRG8"
        writer.send(picture(4, 4, 3))
        assert reader.recv(WATCHDOG_S).pixel_format == "BGR8"


@pytest.mark.parametrize("wrap", [bytes, memoryview, lambda data: {"image": data}], ids=["bytes", "view", "dict"])
def test_the_input_may_be_what_a_channel_takes(channel_name: str, wrap: Any) -> None:
    image = picture(3, 5)
    given = wrap(image)
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        if wrap is bytes:
            with pytest.raises(ValueError, match=r"shape \(15,\)"):
                writer.send(given)
        else:
            writer.send(given)
            np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, image)


REFUSED: list[tuple[Any, type[Exception], str]] = [
    (picture(4, 4).astype("float32"), TypeError, "float32"),
    (picture(4, 4).astype("int16"), TypeError, "int16"),
    (picture(4, 4).astype(bool), TypeError, "bool"),
    (picture(4, 4).astype("uint32"), TypeError, "uint32"),
    ([[1, 2], [3, 4]], TypeError, "list"),
    (picture(4), ValueError, "8, 16, 24 or 32"),
    (picture(4, 4, 2), ValueError, r"\(4, 4, 2\)"),
    (picture(4, 4, 3, dtype="uint16"), ValueError, "uint16"),
    (picture(4, 4, 2, dtype="uint16"), ValueError, "uint16"),
    (picture(4, 4, 4, 4), ValueError, "shape"),
    (picture(0, 4), ValueError, "shape"),
    ({"left": picture(4, 4), "right": picture(4, 4)}, ValueError, "left, right"),
]


@pytest.mark.parametrize(("image", "error", "text"), REFUSED)
def test_what_is_no_base_image_is_refused_and_changes_nothing(
    channel_name: str, image: Any, error: type[Exception], text: str
) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(picture(2, 2))
        before = memory_of(channel_name, 64)
        with pytest.raises(error, match=text):
            writer.send(image)
        assert memory_of(channel_name, 64) == before
        assert (reader.recv(WATCHDOG_S).seq, reader.try_recv()) == (1, None)


def test_a_pixel_format_of_another_depth_is_refused(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer:
        with pytest.raises(ValueError, match="RGB8 has 24 bits per pixel, the array 8"):
            writer.send(picture(4, 4), pixel_format="RGB8")
        with pytest.raises(ValueError, match="not known"):
            writer.send(picture(4, 4), pixel_format="Mono9")


def test_the_header_counts_so_2048_by_4096_by_32_bit_does_not_fit(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        with pytest.raises(framebus.FrameTooLarge, match=r"33554448 bytes.*16 more than .*\(33554432\)"):
            writer.send(np.zeros((4096, 2048, 4), np.uint8))
        assert reader.try_recv() is None
        writer.send(np.zeros((4096, 2048, 3), np.uint8))
        assert reader.recv(WATCHDOG_S).array.shape == (4096, 2048, 3)


def test_an_image_that_fits_to_the_byte_is_sent(channel_name: str) -> None:
    with baseimage.Writer(channel_name, capacity=16 + 12 * 5) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(picture(5, 4, 3))
        np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, picture(5, 4, 3))
        with pytest.raises(framebus.FrameTooLarge):
            writer.send(picture(61, 1))


def test_a_frame_does_not_change_when_others_come(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        kept = []
        for number in range(20):
            writer.send(np.full((100 + number, 100), number, np.uint8))
            kept.append(reader.recv(WATCHDOG_S))
    for number, frame in enumerate(kept):
        assert frame.seq == number + 1
        assert (frame.array == number).all()
        assert frame.array.shape == (100 + number, 100)


def test_times_of_receipt_are_those_of_the_clocks(channel_name: str) -> None:
    import time

    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(picture(4, 4))
        before = time.monotonic_ns(), time.time_ns()
        frame = reader.recv(WATCHDOG_S)
        after = time.monotonic_ns(), time.time_ns()
    assert before[0] <= frame.timestamp_ns <= after[0]
    assert before[1] <= frame.wall_time_ns <= after[1]


def test_nothing_is_mapped_so_nothing_can_be_mapped_twice(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        for _ in range(5):
            writer.send(picture(100, 100))
            reader.recv(WATCHDOG_S)
        inode = str((SHARED_MEMORY / channel_name).stat().st_ino)
        maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    assert len(maps) > 10
    assert [line for line in maps if line[4] == inode] == []


def test_statistics_count_what_was_done(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        for _ in range(3):
            writer.send(picture(4, 4))
        reader.recv(WATCHDOG_S)
    assert writer.statistics() == baseimage.WriterStatistics(frames=3, bytes=48, overwritten=2)
    assert reader.statistics() == baseimage.ReaderStatistics(frames=1, bytes=16)


BAD_NAMES = ["", ".hidden", "a/b", "../up", "/abs", "a\0b", "x" * 129, "名前"]
OTHERS_NAMES = ["framebus.camera0", "sem.BaseImage"]


@pytest.mark.parametrize("end", [baseimage.Writer, baseimage.Reader])
@pytest.mark.parametrize("name", BAD_NAMES + OTHERS_NAMES, ids=lambda name: ascii(name)[:24])
def test_a_name_that_is_none_is_refused(end: Any, name: str) -> None:
    before = set(SHARED_MEMORY.iterdir())
    expected = "belongs to channels and semaphores" if name in OTHERS_NAMES else "expected 1 to 128 of"
    with pytest.raises(framebus.InvalidName, match=expected):
        end(name)
    assert not [path for path in set(SHARED_MEMORY.iterdir()) - before if name and name in path.name]


OPTIONS: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (baseimage.Writer, {"capacity": 16}, ValueError, "capacity"),
    (baseimage.Writer, {"stride": 2}, ValueError, "stride must be 1 or 4"),
    (baseimage.Writer, {"mode": 0o1000}, ValueError, "mode"),
    (baseimage.Reader, {"stride": 2}, ValueError, "stride must be 1, 4 or None"),
    (baseimage.Reader, {"retries": -1}, ValueError, "retries"),
    (baseimage.Reader, {"settle": -0.1}, ValueError, "settle"),
    (baseimage.Reader, {"on_torn": "drop"}, ValueError, "on_torn"),
    (baseimage.Reader, {"acknowledge": "never"}, ValueError, "acknowledge"),
    (baseimage.Reader, {"pixel_format": "BGR9"}, ValueError, "BGR9"),
    (baseimage.Reader, {"connect_timeout": -1.0}, ValueError, "connect_timeout"),
    (baseimage.Reader, {"connect_timeout": float("nan")}, ValueError, "connect_timeout"),
    (baseimage.Writer, {"capacity": "much"}, TypeError, "capacity"),
]


@pytest.mark.parametrize(("end", "options", "error", "text"), OPTIONS)
def test_an_option_out_of_range_is_refused_before_anything_is_made(
    channel_name: str, end: Any, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        end(channel_name, **options)
    assert not (SHARED_MEMORY / channel_name).exists()


def test_a_negative_timeout_is_refused(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        with pytest.raises(ValueError, match="timeout"):
            reader.recv(-1)
        with pytest.raises(ValueError, match="timeout"):
            writer.send(picture(4, 4), timeout=float("nan"))
