# SPDX-License-Identifier: Apache-2.0
"""Pixel formats: the names of the convention, what they mean for an array, and what is said about other names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framebus.frames import pixel_format


@pytest.mark.parametrize(
    ("name", "bits", "channels", "dtype"),
    [
        ("Mono1p", 1, 1, None),
        ("Mono8", 8, 1, "uint8"),
        ("Mono8s", 8, 1, "int8"),
        ("Mono10p", 10, 1, None),
        ("Mono12", 16, 1, "uint16"),
        ("Mono12Packed", 12, 1, None),
        ("Mono16", 16, 1, "uint16"),
        ("BayerRG8", 8, 1, "uint8"),
        ("BayerGB12p", 12, 1, None),
        ("BayerGR10Packed", 12, 1, None),
        ("RGB8", 24, 3, "uint8"),
        ("BGR10", 48, 3, "uint16"),
        ("BGR10p", 30, 3, None),
        ("RGB565p", 16, 3, None),
        ("RGB8_Planar", 24, 3, "uint8"),
        ("BGRa8", 32, 4, "uint8"),
        ("RGBa16", 64, 4, "uint16"),
        ("YUV422_8", 16, 2, "uint8"),
        ("YCbCr422_8_CbYCrY", 16, 2, "uint8"),
        ("YCbCr2020_422_12p_CbYCrY", 24, 2, None),
        ("YCbCr420_8_YY_CbCr_Semiplanar", 12, 3, None),
        ("YCbCr420_8_YY_CbCr_Planar", 12, 3, None),
        ("YCbCr420_8_YY_CrCb_Planar", 12, 3, None),
        ("Coord3D_C16", 16, 1, "uint16"),
        ("Coord3D_AC32f", 64, 2, "float32"),
        ("Coord3D_ABC32f", 96, 3, "float32"),
        ("Coord3D_ABC10p_Planar", 30, 3, None),
        ("Confidence1", 8, 1, "uint8"),
        ("Confidence1p", 1, 1, None),
        ("Data32s", 32, 1, "int32"),
        ("Data64f", 64, 1, "float64"),
    ],
)
def test_a_name_says_bits_channels_and_dtype(name: str, bits: int, channels: int, dtype: str | None) -> None:
    assert pixel_format.FORMATS[name] == (name, bits, channels, dtype)


def test_every_format_is_consistent_and_fits_a_frame_description() -> None:
    for known in pixel_format.FORMATS.values():
        assert pixel_format.check(known.name) == known.name
        assert known.name.isascii()
        assert len(known.name) <= pixel_format.MAX_NAME_BYTES
        assert 1 <= known.channels <= 4
        if known.dtype is not None:
            assert np.dtype(known.dtype).itemsize * 8 * known.channels == known.bits_per_pixel


def test_no_name_is_given_twice() -> None:
    assert len(pixel_format.FORMATS) > 200
    families = sum(len(depths.split()) for _, _, depths in pixel_format._FAMILIES)
    assert len(pixel_format.FORMATS) == families + len(pixel_format._SINGLES)


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("mono8", "Mono8"),
        ("BGRA8", "BGRa8"),
        ("bgr24", "BGR8"),
        ("RGB", "RGB8"),
        ("gray16", "Mono16"),
        ("yuyv", "YUV422_8"),
        ("Z16", "Coord3D_C16"),
        ("I420", "YCbCr420_8_YY_CbCr_Planar"),
        ("nv12", "YCbCr420_8_YY_CbCr_Semiplanar"),
        ("BayerRG9", "BayerRG8"),
        ("Coord3D_ABC32", "Coord3D_ABC32f"),
    ],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(wrong: str, meant: str) -> None:
    with pytest.raises(ValueError, match="did you mean") as caught:
        pixel_format.check(wrong)
    assert f"'{meant}'" in str(caught.value)


@pytest.mark.parametrize(
    ("synonym", "name"),
    [
        ("I420", "YCbCr420_8_YY_CbCr_Planar"),
        ("i420", "YCbCr420_8_YY_CbCr_Planar"),
        ("IYUV", "YCbCr420_8_YY_CbCr_Planar"),
        ("YU12", "YCbCr420_8_YY_CbCr_Planar"),
        ("yuv420p", "YCbCr420_8_YY_CbCr_Planar"),
        ("yuv420", "YCbCr420_8_YY_CbCr_Planar"),
        ("YV12", "YCbCr420_8_YY_CrCb_Planar"),
        ("NV12", "YCbCr420_8_YY_CbCr_Semiplanar"),
        ("nv21", "YCbCr420_8_YY_CrCb_Semiplanar"),
        ("BGR8", "BGR8"),
    ],
)
def test_an_option_may_call_420_what_cameras_and_ffmpeg_call_it(synonym: str, name: str) -> None:
    assert pixel_format.named(synonym) == name


def test_an_option_may_use_no_other_synonyms() -> None:
    for wrong in ("bgr24", "i421", "", 8):
        with pytest.raises((ValueError, TypeError)):
            pixel_format.named(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["", "?", "Mono8\x00", "größe", "x" * 10_000, "0x01080001"])
def test_a_name_of_nothing_is_refused_with_the_rule(wrong: str) -> None:
    with pytest.raises(ValueError, match="Pixel Format Naming Convention, at most 32 ASCII characters") as caught:
        pixel_format.check(wrong)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("wrong", [None, 8, b"Mono8", ["Mono8"], np.uint8])
def test_a_name_that_is_no_str_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="pixel_format must be a str such as 'BGR8', not "):
        pixel_format.check(wrong)
