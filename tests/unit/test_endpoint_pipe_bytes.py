# SPDX-License-Identifier: Apache-2.0
"""mode=byte of pipe: raw pixels and YUV4MPEG2, as streams written out by hand and as a sink writes them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus.endpoint.kinds.pipe import y4m_header, ycbcr
from framebus.endpoint.kinds.pipe.raw import layout_of
from framebus.endpoint.wire import Malformed

BGR = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
RAW = "?mode=byte&width=64&height=48&pixel_format=BGR8"
Y4M = "?mode=byte&format=y4m"

Read = Callable[[bytes, str], Any]


@pytest.fixture
def read() -> Iterator[Read]:
    """Opens a source of a stream that is complete and fits into a pipe."""
    with contextlib.ExitStack() as opened:

        def opener(stream: bytes, options: str) -> Any:
            reading, writing = os.pipe()
            source = opened.enter_context(framebus.source(f"pipe:fd/{reading}{options}"))  # type: ignore[arg-type]
            assert os.write(writing, stream) == len(stream)
            os.close(writing)
            return source

        yield opener


def written(options: str, *frames: Any, **given: Any) -> bytes:
    """What a sink writes for these frames."""
    reading, writing = os.pipe()
    with framebus.sink(f"pipe:fd/{writing}{options}") as sink:  # type: ignore[attr-defined]
        for frame in frames:
            sink.send(frame, timeout=WATCHDOG_S, **given)
    with os.fdopen(reading, "rb") as file:
        return file.read()


@pytest.fixture
def sink() -> Iterator[Any]:
    """Opens a sink by its options; what it writes is read by nobody and fits into the pipe."""
    opened: list[Any] = []
    reading, writing = os.pipe()

    def opener(options: str) -> Any:
        opened.append(framebus.sink(f"pipe:fd/{writing}{options}"))
        return opened[0]

    yield opener
    os.close(reading)
    opened[0].close()


# Raw pixels


def test_raw_pixels_are_the_bytes_of_the_images_and_nothing_else(read: Read) -> None:
    assert written("?mode=byte", BGR, BGR[::-1]) == BGR.tobytes() + BGR[::-1].tobytes()
    frames = list(read(BGR.tobytes() + BGR[::-1].tobytes(), RAW))
    np.testing.assert_array_equal([frame.array for frame in frames], [BGR, BGR[::-1]])
    assert [(frame.seq, frame.pixel_format, list(frame.arrays)) for frame in frames] == [
        (1, "BGR8", ["image"]), (2, "BGR8", ["image"]),
    ]  # fmt: skip
    assert 0 < frames[0].timestamp_ns <= frames[1].timestamp_ns


def test_samples_of_two_bytes_are_little_endian_whatever_was_sent(read: Read) -> None:
    image = np.arange(12, dtype=">u2").reshape(3, 4)
    stream = written("?mode=byte", image)
    assert stream == image.astype("<u2").tobytes()
    frame = read(stream, "?mode=byte&width=4&height=3&pixel_format=Mono16").recv(WATCHDOG_S)
    np.testing.assert_array_equal(frame.array, image)


@pytest.mark.parametrize(
    ("pixel_format", "shape", "dtype"),
    [
        ("Mono8", (48, 64), "u1"),
        ("Mono12", (48, 64), "<u2"),
        ("BGRa8", (48, 64, 4), "u1"),
        ("RGB16", (48, 64, 3), "<u2"),
        ("RGB8_Planar", (3, 48, 64), "u1"),
        ("YUV422_8", (48, 64, 2), "u1"),
        ("Mono12p", (48, 96), "u1"),
        ("Coord3D_ABC32f", (48, 64, 3), "<f4"),
        ("YCbCr420_8_YY_CbCr_Semiplanar", (72, 64), "u1"),
        ("YCbCr420_8_YY_CrCb_Planar", (72, 64), "u1"),
        ("YCbCr422_8_YY_CbCr_Semiplanar", (96, 64), "u1"),
    ],
)
def test_a_pixel_format_says_what_an_image_is(pixel_format: str, shape: tuple[int, ...], dtype: str) -> None:
    found = layout_of(64, 48, pixel_format)
    assert (found.shape, found.dtype) == (shape, np.dtype(dtype))


def test_a_raw_stream_that_ends_between_images_is_closed_and_within_one_has_died(read: Read) -> None:
    whole = read(BGR.tobytes(), RAW)
    whole.recv(WATCHDOG_S)
    with pytest.raises(framebus.ChannelClosed):
        whole.recv(WATCHDOG_S)
    broken = read(BGR.tobytes() + b"x", RAW)
    broken.recv(WATCHDOG_S)
    with pytest.raises(framebus.PublisherDied, match="middle of a frame"):
        broken.recv(WATCHDOG_S)


@pytest.mark.parametrize(
    ("options", "first", "second", "given"),
    [
        ("?mode=byte", BGR, BGR[:40], {}),
        ("?mode=byte", BGR, BGR.astype(np.uint16), {}),
        ("?mode=byte&pixel_format=BGR8", BGR, BGR, {"pixel_format": "RGB8"}),
        (RAW, BGR, BGR.transpose(1, 0, 2), {}),
    ],
)
def test_a_raw_sink_refuses_what_its_reader_could_not_tell_apart(
    sink: Any, options: str, first: Any, second: Any, given: dict[str, str]
) -> None:
    opened = sink(options)
    opened.send(first)
    with pytest.raises(framebus.EndpointError, match="all must be alike"):
        opened.send(second, **given)


def test_bytes_carry_neither_metadata_nor_a_second_array_unless_they_may_be_lost(sink: Any) -> None:
    opened = sink("?mode=byte")
    with pytest.raises(framebus.EndpointError, match="2 arrays and metadata"):
        opened.send({"a": BGR, "b": BGR}, meta={"x": 1})
    assert written("?mode=byte&lossy", {"a": BGR, "b": BGR[:1]}, meta={"x": 1}) == BGR.tobytes()


# YUV4MPEG2


def stream_of(head: bytes, *frames: bytes) -> bytes:
    return b"YUV4MPEG2 " + head + b"\n" + b"".join(b"FRAME\n" + frame for frame in frames)


@pytest.mark.parametrize(
    ("space", "chroma"),
    [
        (b"", (2, 3)), (b" C420jpeg", (2, 3)), (b" C420mpeg2", (2, 3)), (b" C420paldv", (2, 3)), (b" C422", (3, 3)),
        (b" C444", (3, 5)), (b" C411", (3, 2)),
    ],
)  # fmt: skip
def test_planes_come_as_named_arrays_of_odd_sizes_too(read: Read, space: bytes, chroma: tuple[int, int]) -> None:
    size = 15 + 2 * chroma[0] * chroma[1]
    frames = list(read(stream_of(b"W5 H3 F30000:1001 Ip A1:1" + space, bytes(range(size)), bytes(size)), Y4M))
    assert len(frames) == 2
    assert {name: array.shape for name, array in frames[0].arrays.items()} == {"y": (3, 5), "u": chroma, "v": chroma}
    assert b"".join(array.tobytes() for array in frames[0].arrays.values()) == bytes(range(size))
    assert (frames[0].seq, frames[1].seq, frames[0].pixel_format, frames[0].meta) == (1, 2, None, {})


def test_planes_of_more_than_8_bits_and_alpha_come_too(read: Read) -> None:
    ten = read(stream_of(b"W4 H2 C420p10 XYSCSS=420P10", np.arange(12, dtype="<u2").tobytes()), Y4M).recv(WATCHDOG_S)
    assert [array.tolist() for array in ten.arrays.values()] == [[[0, 1, 2, 3], [4, 5, 6, 7]], [[8, 9]], [[10, 11]]]
    alpha = read(stream_of(b"W2 H1 C444alpha", bytes(range(8))), Y4M).recv(WATCHDOG_S)
    assert {name: array.tolist() for name, array in alpha.arrays.items()} == {
        "y": [[0, 1]], "u": [[2, 3]], "v": [[4, 5]], "a": [[6, 7]],
    }  # fmt: skip
    mono = read(stream_of(b"W2 H1 Cmono16", b"\1\0\2\0"), Y4M).recv(WATCHDOG_S)
    assert (mono.array.tolist(), mono.pixel_format) == ([[1, 2]], "Mono16")


def test_the_header_is_there_for_who_wants_to_know(read: Read) -> None:
    source = read(stream_of(b"W2 H1 F30000:1001 It A4:3 Cmono XCOLORRANGE=FULL", b"ab"), Y4M)
    source.recv(WATCHDOG_S)
    assert source.header == y4m_header.Header(2, 1, "mono", 8, Fraction(30000, 1001), True)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "begins with"),
        (b"RIFF", "begins with"),
        (b"YUV4MPEG2", "no width"),
        (b"YUV4MPEG2 W4", "no height"),
        (b"YUV4MPEG2 W4 H4 W4", "twice"),
        (b"YUV4MPEG2 W-4 H4", "wrong"),
        (b"YUV4MPEG2 W4 H0", "wrong"),
        (b"YUV4MPEG2 W4 H4.5", "wrong"),
        (b"YUV4MPEG2 W4 H4 C420p11", "wrong"),
        (b"YUV4MPEG2 W4 H4 C440", "wrong"),
        (b"YUV4MPEG2 W4 H4 F25", "wrong"),
        (b"YUV4MPEG2 W4 H4 Q1", "unknown"),
        (b"YUV4MPEG2 W9999999 H9999999", "wrong"),
        (b"YUV4MPEG2 W70000 H1", "the most is"),
        (b"YUV4MPEG2 W\xff H1", "wrong"),
        ("YUV4MPEG2 W4 H²".encode("latin-1"), "wrong"),
    ],
)
def test_a_first_line_that_is_none_is_malformed(line: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        y4m_header.parse(line)


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (b"", framebus.ChannelClosed),
        (b"YUV4MPEG2 W4 H", framebus.PublisherDied),
        (b"YUV4MPEG2 " + b"X" * 2000, framebus.EndpointError),
        (b"YUV4MPEG2 W65536 H65536 C444\nFRAME\n", framebus.EndpointError),
        (b"YUV4MPEG2 W2 H2 Cmono\n", framebus.ChannelClosed),
        (b"YUV4MPEG2 W2 H2 Cmono\nFRAME\nabc", framebus.PublisherDied),
        (b"YUV4MPEG2 W2 H2 Cmono\nFRAME", framebus.PublisherDied),
        (b"YUV4MPEG2 W2 H2 Cmono\nFRAMES\nabcd", framebus.EndpointError),
        (b"YUV4MPEG2 W2 H2 Cmono\n" + b"FRAME " + b"x" * 2000, framebus.EndpointError),
    ],
)
def test_a_broken_stream_ends_as_it_should(read: Read, stream: bytes, error: type[framebus.Error]) -> None:
    source = read(stream, Y4M)
    for _ in range(2):
        with pytest.raises(error):
            source.recv(WATCHDOG_S)
    assert source.statistics().refused == (error is framebus.EndpointError)


@pytest.mark.parametrize(
    ("space", "limits"),
    [(space, limits) for space in ("444", "422", "420jpeg", "411") for limits in (b"LIMITED", b"FULL")]
    + [("mono", b"FULL")],
)
def test_what_a_source_gives_a_sink_writes_back_as_it_was(read: Read, space: str, limits: bytes) -> None:
    header = y4m_header.parse(b"YUV4MPEG2 W6 H4 C" + space.encode())
    data = bytes(range(header.nbytes))
    stream = stream_of(
        b"W6 H4 F25:1 Ip A1:1 C" + space.encode() + b" XYSCSS=" + space.upper().encode() + b" XCOLORRANGE=" + limits,
        data, data[::-1],
    )  # fmt: skip
    frames = list(read(stream, Y4M))
    reading, writing = os.pipe()
    with framebus.sink(f"pipe:fd/{writing}{Y4M}") as sink:  # type: ignore[attr-defined]
        for frame in frames:
            sink.send(frame.arrays, meta=frame.meta, pixel_format=frame.pixel_format)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == stream


@pytest.mark.parametrize("pixel_format", ["RGB8", "BGR8"])
def test_colours_survive_the_way_to_ycbcr_and_back(read: Read, pixel_format: str) -> None:
    stream = written(f"{Y4M}&fps=30", BGR, pixel_format=pixel_format)
    assert stream.startswith(b"YUV4MPEG2 W64 H48 F30:1 Ip A1:1 C444 ")
    frame = read(stream, f"{Y4M}&pixel_format={pixel_format}").recv(WATCHDOG_S)
    assert frame.pixel_format == pixel_format
    assert np.abs(frame.array.astype(int) - BGR).max() <= 2  # limited range has fewer values than RGB


def test_three_channels_without_a_name_are_blue_green_and_red_in_y4m_too() -> None:
    assert written(f"{Y4M}&fps=30", BGR) == written(f"{Y4M}&fps=30", BGR, pixel_format="BGR8")


def test_colours_are_those_of_bt_601() -> None:
    # The corners of EBU bars at 100 %, limited range, as the standard's tables have them.
    rgb = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    known = np.array([[235, 16, 81, 145, 41], [128, 128, 90, 54, 240], [128, 128, 240, 34, 110]], np.uint8)
    np.testing.assert_array_equal(ycbcr.from_rgb(rgb)[:, 0], known)
    planes = tuple(known[:, None])
    assert np.abs(ycbcr.to_rgb(planes, full_range=False).astype(int) - rgb).max() <= 2  # type: ignore[arg-type]
    grey = tuple(np.full((1, 1), value, np.uint8) for value in (77, 128, 128))
    assert ycbcr.to_rgb(grey, full_range=True).tolist() == [[[77, 77, 77]]]  # type: ignore[arg-type]


def test_mono_stays_as_it_is_and_luma_of_limited_range_is_stretched(read: Read) -> None:
    image = BGR[:, :, 0]
    stream = written(Y4M, image, pixel_format="Mono8")
    for asked in ("", "&pixel_format=Mono8"):
        np.testing.assert_array_equal(read(stream, Y4M + asked).recv(WATCHDOG_S).array, image)
    limited = read(stream_of(b"W2 H1 C444", bytes([16, 235, 128, 128, 128, 128])), f"{Y4M}&pixel_format=Mono8")
    assert limited.recv(WATCHDOG_S).array.tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("frame", "given"),
    [
        (BGR.astype(np.uint16), {"pixel_format": "BGR8"}),
        (BGR[:, :, :2], {}),
        (BGR[:0, :, 0], {}),
        ({"y": BGR[:, :, 0], "u": BGR[:5, :, 0], "v": BGR[:5, :, 0]}, {}),
        ({"a": BGR[:, :, 0], "b": BGR[:, :, 0]}, {}),
        (BGR[:, :, 0], {"meta": {"x": 1}}),
    ],
)
def test_a_y4m_sink_refuses_what_it_can_not_write(sink: Any, frame: Any, given: dict[str, Any]) -> None:
    with pytest.raises(framebus.EndpointError):
        sink(Y4M).send(frame, **given)


def test_all_frames_of_a_y4m_stream_are_alike(sink: Any) -> None:
    opened = sink(Y4M)
    opened.send(BGR[:, :, 0])
    with pytest.raises(framebus.EndpointError, match="must be alike"):
        opened.send(BGR[1:, :, 0])


def test_a_first_frame_that_finds_no_room_does_not_take_the_header_with_it() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filling = os.write(writing, bytes(1 << 20))
    os.set_blocking(writing, True)
    with framebus.sink(f"pipe:fd/{writing}{Y4M}&buffer=4096") as sink:  # type: ignore[attr-defined]
        with pytest.raises(framebus.Timeout):
            sink.send(BGR[:, :, 0], timeout=0)
        os.read(reading, filling)
        sink.send(BGR[:, :, 0], timeout=0)
    with os.fdopen(reading, "rb") as file:
        assert file.read().startswith(b"YUV4MPEG2 ")
