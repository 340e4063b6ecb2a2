# SPDX-License-Identifier: Apache-2.0
"""images: gives the numbers, the shape and the sign of a TIFF that another program wrote, or says why it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.support.images import DTYPES, FORMS, check, check_frame, noise, read, refusal


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tiff_of_every_dtype_has_its_numbers(tmp_path: Path, dtype: str, byteorder: Any, bigtiff: bool) -> None:
    expected = noise(dtype)
    tifffile.imwrite(tmp_path / "a.tif", expected, byteorder=byteorder, bigtiff=bigtiff, photometric="minisblack")
    frame = check(tmp_path / "a.tif", expected, FORMS.get(dtype))
    assert set(frame.origin) == {"file"}


@pytest.mark.parametrize(
    ("bits", "dtype", "form"),
    [(2, "u1", "Mono8"), (4, "u1", "Mono8"), (10, "u2", "Mono10"), (11, "u2", "Mono12"), (12, "u2", "Mono12"),
     (14, "u2", "Mono14"), (15, "u2", "Mono16"), (24, "u4", "Data32")],
)  # fmt: skip
def test_a_tiff_of_every_depth_has_its_numbers(tmp_path: Path, bits: int, dtype: str, form: str) -> None:
    expected = noise(dtype, top=(1 << bits) - 1)
    tifffile.imwrite(tmp_path / "a.tif", expected, bitspersample=bits, photometric="minisblack")
    frame = check(tmp_path / "a.tif", expected, form)
    exact = form in (f"Mono{bits}", "Data32")
    assert frame.origin.get("maxval") == (None if exact else (1 << bits) - 1)


@pytest.mark.parametrize("compression", ["lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4"])
@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strips", "tiles"])
def test_a_compressed_tiff_has_its_numbers(
    tmp_path: Path, compression: str, predictor: bool, dtype: str, tile: tuple[int, int] | None
) -> None:
    if predictor and compression == "packbits":
        predictor = False
    expected = noise(dtype, (40, 50))
    tifffile.imwrite(
        tmp_path / "a.tif", expected, compression=compression, predictor=predictor, tile=tile, photometric="minisblack"
    )
    check(tmp_path / "a.tif", expected, FORMS[dtype])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [2, 3, 4, 5, 9])
def test_a_tiff_of_any_number_of_channels_has_its_numbers(
    tmp_path: Path, planar: Any, dtype: str, channels: int
) -> None:
    expected = noise(dtype, (7, 11, channels))
    stored = expected if planar == "contig" else np.ascontiguousarray(np.moveaxis(expected, -1, 0))
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar)
    check(tmp_path / "a.tif", expected, None)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("dtype", "bits"), [("u1", 8), ("u2", 16), ("u4", None), ("f4", None)])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_a_tiff_have_a_name_and_their_order(
    tmp_path: Path, planar: Any, dtype: str, bits: int | None, channels: int
) -> None:
    expected = noise(dtype, (7, 11, channels))
    stored = expected if planar == "contig" else np.ascontiguousarray(np.moveaxis(expected, -1, 0))
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    form = None if bits is None else f"{'RGB' if channels == 3 else 'RGBa'}{bits}"
    check(tmp_path / "a.tif", expected, form)


def test_every_page_of_a_stack_comes_whatever_it_is(tmp_path: Path) -> None:
    pages = [noise("u1", (5, 6)), noise("f4", (9, 3)), noise("u2", (4, 4, 3)), noise("i2", (2, 8)), noise("u4", (1, 1))]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in pages:
            writer.write(page, photometric="rgb" if page.ndim == 3 else "minisblack", metadata=None)
    frames = read(tmp_path / "a.tif")
    for frame, page, form in zip(frames, pages, ["Mono8", "Data32f", "RGB16", "Data16s", "Data32"], strict=True):
        check_frame(frame, page, form)
    assert [frame.origin["page"] for frame in frames] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_a_stack_of_colours_with_16_bits_comes_page_by_page(tmp_path: Path, photometric: Any) -> None:
    pages = noise("u2", (3, 4, 4, 3))
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric=photometric, planarconfig="contig")
    frames = read(tmp_path / "a.tif")
    assert [frame.array.tolist() for frame in frames] == pages.tolist()


def test_a_stack_with_one_directory_comes_whole(tmp_path: Path) -> None:
    pages = noise("u2", (6, 4, 5))
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack", truncate=True)
    frames = read(tmp_path / "a.tif")
    assert [frame.array.tolist() for frame in frames] == pages.tolist()
    assert [frame.origin["page"] for frame in frames] == list(range(6))


def test_the_layers_of_a_volume_come_one_by_one(tmp_path: Path) -> None:
    layers = noise("u2", (16, 16, 32))
    tifffile.imwrite(tmp_path / "a.tif", layers, volumetric=True, tile=(16, 16, 16), photometric="minisblack")
    frames = read(tmp_path / "a.tif")
    assert [frame.array.tolist() for frame in frames] == layers.tolist()


@pytest.mark.parametrize(
    ("dtype", "bits"), [("?", 1), ("u1", 2), ("u1", 4), ("u1", 8), ("u2", 12), ("u2", 16), ("u4", 32), ("u8", 64)]
)
def test_white_is_zero_is_the_same_picture_at_every_depth(tmp_path: Path, dtype: str, bits: int) -> None:
    top = (1 << bits) - 1
    stored = np.array([[0, top], [top, 0]], dtype)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", bitspersample=bits if bits < 64 else None)
    (frame,) = read(tmp_path / "a.tif")
    white = 255 if bits == 1 else top
    assert frame.array.tolist() == [[white, 0], [0, white]]
    assert frame.origin["white_is_zero"] is True


@pytest.mark.parametrize("dtype", ["i2", "f4"])
def test_white_is_zero_without_a_known_black_is_refused(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(dtype), photometric="miniswhite")
    assert "nothing says which of them is black; store it as BlackIsZero" in refusal(tmp_path / "a.tif")


def test_pillow_and_we_agree_on_a_fax(tmp_path: Path) -> None:
    page = Image.fromarray(noise("u1") > 99).convert("1")
    page.save(tmp_path / "a.tif", compression="group4")
    check(tmp_path / "a.tif", np.array(page.convert("L")), "Mono8")


def test_palettes_of_a_tiff_become_their_colours(tmp_path: Path) -> None:
    numbers = noise("u1")
    deep = noise("u2", (3, 256))
    tifffile.imwrite(tmp_path / "deep.tif", numbers, photometric="palette", colormap=deep)
    check(tmp_path / "deep.tif", deep.T[numbers], "RGB16")
    image = Image.fromarray(noise("u1", (9, 9, 3))).quantize(7)
    image.save(tmp_path / "a.tif")
    check(tmp_path / "a.tif", np.array(image.convert("RGB")), "RGB8")


def test_grey_with_alpha_is_red_green_and_blue_alike(tmp_path: Path) -> None:
    stored = noise("u2", (4, 5, 2))
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]
    )
    check(tmp_path / "a.tif", stored[..., [0, 0, 0, 1]], "RGBa16")


def test_jpeg_in_a_tiff_is_what_the_jpeg_says(tmp_path: Path) -> None:
    image = cv2.GaussianBlur(noise("u1", (48, 64, 3)), (9, 9), 0)
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="rgb", compression="jpeg")
    (frame,) = read(tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as by_pillow:
        np.testing.assert_allclose(frame.array.astype(int), np.array(by_pillow.convert("RGB")).astype(int), atol=4)
    assert frame.pixel_format == "RGB8"


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits", "jpeg"])
def test_a_tiff_that_ends_too_early_is_refused(tmp_path: Path, compression: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise("u1", (90, 90)), compression=compression, rowsperstrip=10)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data[:-200])
    assert "can't be read as an image" in refusal(tmp_path / "a.tif")


def changed(path: Path, code: int, entry: bytes) -> None:
    """Replaces the entry of a tag in the first directory of a little-endian TIFF."""
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.tags[code].offset
    data = bytearray(path.read_bytes())
    data[place : place + len(entry)] = entry
    path.write_bytes(data)


def test_a_tiff_that_does_not_say_what_black_is_has_its_numbers_as_they_are(tmp_path: Path) -> None:
    expected = noise("u2")
    tifffile.imwrite(tmp_path / "a.tif", expected, photometric="minisblack", byteorder="<", metadata=None)
    changed(tmp_path / "a.tif", 262, (260).to_bytes(2, "little"))  # a tag that says nothing
    frame = check(tmp_path / "a.tif", expected, "Mono16")
    assert set(frame.origin) == {"file"}


def test_a_tiff_with_less_data_than_its_pictures_need_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise("u2"), photometric="minisblack", byteorder="<", metadata=None)
    changed(tmp_path / "a.tif", 279, b"\x17\x01\4\0\1\0\0\0\x64\0\0\0")
    assert "page 0 has 100 bytes of 1428" in refusal(tmp_path / "a.tif")


def test_a_tiff_whose_channels_differ_is_refused_with_the_reason(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", noise("u1", (4, 5, 2)), photometric="minisblack", planarconfig="contig", byteorder="<"
    )
    changed(tmp_path / "a.tif", 258, b"\2\1\3\0\2\0\0\0\x08\0\4\0")
    assert "the channels of page 0 differ in depth or kind; store them alike" in refusal(tmp_path / "a.tif")


def test_colours_without_red_green_and_blue_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise("u1", (4, 5, 3)), photometric="cielab")
    assert "store it as red, green and blue" in refusal(tmp_path / "a.tif")
