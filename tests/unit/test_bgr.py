# SPDX-License-Identifier: Apache-2.0
"""Which arrays become BGR images, how large these are, and what is left as it is; test_opencv.py has the rest."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import framebus

WIDTH, HEIGHT = 7, 5


def samples(*shape: int, dtype: str = "uint8") -> npt.NDArray[Any]:
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


BGR = samples(HEIGHT, WIDTH, 3)
GRAY = samples(HEIGHT, WIDTH)
ALPHA = np.full((HEIGHT, WIDTH, 1), 77, np.uint8)
GRAY_AS_BGR = np.stack([GRAY, GRAY, GRAY], axis=2)


@pytest.mark.parametrize(
    ("pixel_format", "sent", "expected"),
    [
        ("BGR8", BGR, BGR),
        ("RGB8", BGR[..., ::-1], BGR),
        ("BGRa8", np.concatenate([BGR, ALPHA], axis=2), BGR),
        ("RGBa8", np.concatenate([BGR[..., ::-1], ALPHA], axis=2), BGR),
        ("Mono8", GRAY, GRAY_AS_BGR),
        ("Mono8", GRAY[..., np.newaxis], GRAY_AS_BGR),
        (None, BGR, BGR),
        (None, GRAY, GRAY_AS_BGR),
        (None, np.concatenate([BGR, ALPHA], axis=2), BGR),
    ],
)
def test_image_is_bgr_whatever_order_was_sent(
    channel_name: str, pixel_format: str | None, sent: npt.NDArray[Any], expected: npt.NDArray[Any]
) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send(sent, pixel_format=pixel_format)
        ok, image = capture.read()
        assert (ok, image.dtype, image.shape) == (True, np.uint8, expected.shape)
        assert (image == expected).all()
        given = np.zeros_like(expected)
        assert capture.retrieve(given)[1] is given
        assert (given == expected).all()
        assert capture.set(framebus.CAP_PROP_CONVERT_RGB, 0)
        assert (capture.retrieve()[1] == sent).all()
        assert capture.retrieve()[1].shape == sent.shape


@pytest.mark.parametrize(
    ("pixel_format", "sent"),
    [
        ("Mono16", samples(HEIGHT, WIDTH, dtype="uint16")),
        ("Coord3D_C16", samples(HEIGHT, WIDTH, dtype="uint16")),
        ("Confidence8", GRAY),
        ("RGB8", GRAY),
        ("RGB8_Planar", samples(3, HEIGHT, WIDTH)),
        ("YCbCr420_8_YY_CbCr_Semiplanar", samples(HEIGHT, WIDTH)),
        (None, samples(HEIGHT, WIDTH, 3, dtype="float32")),
        (None, samples(HEIGHT, WIDTH, 2)),
        (None, samples(4)),
        (None, samples(1, 2, 3, 4)),
    ],
)
def test_what_is_no_picture_of_8_bits_is_given_as_it_was_sent(
    channel_name: str, pixel_format: str | None, sent: npt.NDArray[Any]
) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send(sent, pixel_format=pixel_format)
        ok, image = capture.read()
        assert (ok, image.shape, image.dtype) == (True, sent.shape, sent.dtype)
        assert (image == sent).all()
        assert image.flags.writeable


def test_bayer_without_opencv_is_an_error_that_says_what_to_install(channel_name: str) -> None:
    code = f"""
import sys
sys.modules["cv2"] = None
import framebus, numpy
with framebus.Publisher({channel_name!r}) as pub:
    capture = framebus.VideoCapture({channel_name!r})
    pub.send(numpy.zeros((4, 4), numpy.uint8), pixel_format="BayerRG8")
    try:
        capture.read()
    except framebus.NotInstalled as error:
        print(error)
    capture.set(framebus.CAP_PROP_CONVERT_RGB, 0)
    print(capture.retrieve()[1].shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert 'pip install "framebus[opencv]"' in done.stdout
    assert done.stdout.endswith("(4, 4)\n")


@pytest.mark.parametrize(
    ("pixel_format", "shape", "size"),
    [("RGB8_Planar", (3, 8, 6), (6, 8)), ("YCbCr420_8_YY_CbCr_Semiplanar", (12, 6), (6, 8)), (None, (9,), (0, 0))],
)
def test_size_is_that_of_the_picture_and_not_of_the_array(
    channel_name: str, pixel_format: str | None, shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send(np.zeros(shape, np.uint8), pixel_format=pixel_format)
        assert (capture.get(framebus.CAP_PROP_FRAME_WIDTH), capture.get(framebus.CAP_PROP_FRAME_HEIGHT)) == size
