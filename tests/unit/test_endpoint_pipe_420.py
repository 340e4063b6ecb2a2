# SPDX-License-Identifier: Apache-2.0
"""pipe: mode=byte with YCbCr 4:2:0, as cameras and ffmpeg have it: raw and YUV4MPEG2, in and out, sample for sample."""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.waiting import WATCHDOG_S

import framebus

SIZES = [(66, 50), (64, 48), (2, 2), (34, 6)]
NAMES = {
    "I420": "YCbCr420_8_YY_CbCr_Planar", "YV12": "YCbCr420_8_YY_CrCb_Planar",
    "NV12": "YCbCr420_8_YY_CbCr_Semiplanar", "NV21": "YCbCr420_8_YY_CrCb_Semiplanar",
}  # fmt: skip
CODES = {name: getattr(cv2, f"COLOR_YUV2BGR_{name}") for name in NAMES}


def planes_of(width: int, height: int) -> dict[str, Any]:
    random = np.random.default_rng(width * height)
    half = (-(-height // 2), -(-width // 2))
    shapes = {"y": (height, width), "u": half, "v": half}
    return {name: random.integers(0, 256, shape, np.uint8) for name, shape in shapes.items()}


def bytes_of(planes: dict[str, Any], name: str) -> bytes:
    """The image as the format is defined, plane by plane or pair by pair."""
    y, u, v = (planes[plane].tobytes() for plane in "yuv")
    if name in ("I420", "YV12"):
        return y + (u + v if name == "I420" else v + u)
    pairs = zip(u, v, strict=True) if name == "NV12" else zip(v, u, strict=True)
    return y + bytes(sample for pair in pairs for sample in pair)


def y4m_of(planes: dict[str, Any], extra: str = "") -> bytes:
    height, width = planes["y"].shape
    head = f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg{extra}\nFRAME\n".encode()
    return head + bytes_of(planes, "I420")


def read(stream: bytes, options: str) -> framebus.Frame:
    reading, writing = os.pipe()
    os.write(writing, stream)
    os.close(writing)
    with framebus.source(f"pipe:fd/{reading}?mode=byte&{options}") as source:  # type: ignore[attr-defined]
        frame: framebus.Frame = source.recv(WATCHDOG_S)
        return frame


def written(options: str, arrays: Any, **given: Any) -> bytes:
    reading, writing = os.pipe()
    with framebus.sink(f"pipe:fd/{writing}?mode=byte{options}") as sink:  # type: ignore[attr-defined]
        sink.send(arrays, timeout=WATCHDOG_S, **given)
    with os.fdopen(reading, "rb") as file:
        return file.read()


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_raw_images_go_in_and_out_by_either_name(name: str, width: int, height: int) -> None:
    sent = bytes_of(planes_of(width, height), name)
    for said in (name, NAMES[name]):
        frame = read(sent, f"width={width}&height={height}&pixel_format={said}")
        assert (frame.pixel_format, frame.array.shape) == (NAMES[name], (height * 3 // 2, width))
        assert frame.array.tobytes() == sent
        assert written("", frame.array, pixel_format=frame.pixel_format) == sent
        assert written(f"&width={width}&height={height}&pixel_format={said}", frame.array) == sent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "height"), [(65, 50), (66, 49), (65, 49), (1, 1)])
def test_odd_sizes_are_refused_with_the_way_that_there_is(name: str, width: int, height: int) -> None:
    with pytest.raises(framebus.InvalidUrl, match=r"even width and height, got .*format=y4m"):
        framebus.source(f"pipe:?mode=byte&width={width}&height={height}&pixel_format={name}")


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_yuv4mpeg2_becomes_one_array_and_comes_from_one(name: str, width: int, height: int) -> None:
    planes = planes_of(width, height)
    frame = read(y4m_of(planes), f"format=y4m&pixel_format={name}")
    assert (frame.pixel_format, list(frame.arrays), frame.meta) == (NAMES[name], ["image"], {})
    assert frame.array.tobytes() == bytes_of(planes, name)
    assert (cv2.cvtColor(frame.array, CODES[name]) == cv2.cvtColor(
        np.frombuffer(bytes_of(planes, "I420"), np.uint8).reshape(-1, width), cv2.COLOR_YUV2BGR_I420
    )).all()  # fmt: skip
    stream = written("&format=y4m", frame.array, pixel_format=frame.pixel_format)
    assert stream.split(b"\n", 2)[2] == bytes_of(planes, "I420")
    assert b" C420jpeg " in stream
    back = read(stream, "format=y4m")
    assert {plane: array.tolist() for plane, array in back.arrays.items()} == {
        plane: array.tolist() for plane, array in planes.items()
    }
    assert written(f"&format=y4m&pixel_format={name}", frame.array) == stream


def test_full_range_of_yuv4mpeg2_stays_full_range() -> None:
    planes = planes_of(66, 50)
    frame = read(y4m_of(planes, " XCOLORRANGE=FULL"), "format=y4m&pixel_format=I420")
    assert frame.meta == {"color_range": "full"}
    stream = written("&format=y4m", frame.array, pixel_format=frame.pixel_format, meta=frame.meta)
    assert b"XCOLORRANGE=FULL" in stream


@pytest.mark.parametrize(("width", "height"), [(65, 50), (66, 49), (65, 49)])
def test_odd_sizes_of_yuv4mpeg2_stay_planes(width: int, height: int) -> None:
    planes = planes_of(width, height)
    frame = read(y4m_of(planes), "format=y4m")
    assert {name: array.shape for name, array in frame.arrays.items()} == {
        name: array.shape for name, array in planes.items()
    }
    assert written("&format=y4m", frame.arrays).split(b"\n", 2)[2] == bytes_of(planes, "I420")
    with pytest.raises(framebus.EndpointError, match="even width and height; leave pixel_format out"):
        read(y4m_of(planes), "format=y4m&pixel_format=I420")


def test_what_yuv4mpeg2_has_not_in_420_is_not_made_420() -> None:
    stream = b"YUV4MPEG2 W2 H2 C444\nFRAME\n" + bytes(12)
    with pytest.raises(framebus.EndpointError, match="444 of 2x2 can't become YCbCr420_8_YY_CbCr_Planar"):
        read(stream, "format=y4m&pixel_format=I420")


def test_a_frame_goes_from_a_pipe_through_a_channel_into_a_capture(channel_name: str) -> None:
    planes = planes_of(66, 50)
    frame = read(bytes_of(planes, "I420"), "width=66&height=50&pixel_format=yuv420p")
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send(frame.array, pixel_format=frame.pixel_format)
        assert capture.get(framebus.CAP_PROP_FRAME_HEIGHT) == 50
        assert capture.get(framebus.CAP_PROP_FOURCC) == int.from_bytes(b"YU12", "little")
        assert (capture.read()[1] == cv2.cvtColor(frame.array, cv2.COLOR_YUV2BGR_I420)).all()
        capture.release()
