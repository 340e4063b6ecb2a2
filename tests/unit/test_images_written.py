# SPDX-License-Identifier: Apache-2.0
"""What images: writes is read equal by other programs, or refused with a format that can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from tests.support.images import DTYPES, check, noise, read

import framebus


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (4,), (5,)], ids=str)
def test_a_tiff_that_was_written_is_read_equal_by_others(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    image = noise(dtype, (9, 12, *shape))
    with framebus.sink(f"images:{tmp_path}/{{seq}}.tif") as sink:
        sink.send(image)
    expected = image[..., 0] if shape == (1,) else image
    if dtype in ("u1", "u2") and shape in ((3,), (4,)):
        expected = image[..., [2, 1, 0, 3][: shape[0]]]  # unnamed is BGR, a file has red first
    found = tifffile.imread(tmp_path / "1.tif")
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, expected)
    (frame,) = read(tmp_path / "1.tif")
    np.testing.assert_array_equal(frame.array, expected)
    assert frame.array.dtype == image.dtype


@pytest.mark.parametrize("form", ["Mono10", "Mono12", "Mono14", "RGB10", "BGR12", "RGBa14"])
def test_a_tiff_keeps_how_many_bits_there_are(tmp_path: Path, form: str) -> None:
    bits = int(form[-2:])
    channels = {"M": (), "R": (3,), "B": (3,)}[form[0]] if "a" not in form else (4,)
    image = noise("u2", (9, 12, *channels), (1 << bits) - 1)
    with framebus.sink(f"images:{tmp_path}/{{seq}}.tif") as sink:
        sink.send(image, pixel_format=form)
    expected = image[..., ::-1] if form == "BGR12" else image
    check(tmp_path / "1.tif", expected, form.replace("BGR", "RGB"))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "1.tif"), expected)


@pytest.mark.parametrize("extension", ["png", "tif"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_opencv_reads_what_it_would_have_written(tmp_path: Path, extension: str, dtype: str, channels: int) -> None:
    image = noise(dtype, (9, 12, channels) if channels > 1 else (9, 12))
    if (extension, dtype, channels) == ("tif", "u1", 4):
        image[..., 3] = 255  # OpenCV multiplies the colours of such a TIFF by its alpha
    with framebus.sink(f"images:{tmp_path}/{{seq}}.{extension}") as sink:
        sink.send(image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / f"1.{extension}"), cv2.IMREAD_UNCHANGED), image)


@pytest.mark.parametrize(
    ("name", "image", "says"),
    [
        ("1.png", noise("u4"), "write .tif, which stores it exactly"),
        ("1.png", noise("f4"), "write .tif, which stores it exactly"),
        ("1.jpg", noise("u2"), "write .png or .tif"),
        ("1.jpg", noise("f8"), "write .tif"),
        ("1.tif", noise(">u2"), "newbyteorder"),
        ("1.tif", noise("u1") > 9, "as Mono8"),
        ("1.tif", noise("u1", (2, 3, 4, 5)), r"\(height, width, channels\)"),
    ],
)
def test_a_refusal_to_write_names_what_can(tmp_path: Path, name: str, image: NDArray[Any], says: str) -> None:
    with framebus.sink(f"images:{tmp_path}/{{seq}}.{name[2:]}") as sink:
        with pytest.raises(framebus.EndpointError, match=says):
            sink.send(image)
    assert list(tmp_path.iterdir()) == []
