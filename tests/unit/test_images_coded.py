# SPDX-License-Identifier: Apache-2.0
"""images: gives all bits of PNG, JPEG 2000, AVIF, JPEG and WebP, and every picture of a moving one."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support.images import check, noise, read, refusal


def png(array: NDArray[Any], colour_type: int, bits: int, chunks: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """A PNG by hand: rows, columns and channels, without filters."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = array.shape[:2]
    if bits == 16:
        rows = array.astype(">u2").reshape(height, -1).view(np.uint8)
    elif bits == 8:
        rows = array.reshape(height, -1)
    else:
        rows = np.packbits(np.unpackbits(array[..., np.newaxis], axis=2)[..., 8 - bits :].reshape(height, -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    middle = b"".join(chunk(*each) for each in chunks)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + middle
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("colour_type", "channels", "name"), [(0, 1, "Mono"), (4, 2, "RGBa"), (2, 3, "RGB"), (6, 4, "RGBa")]
)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_png_has_its_numbers(tmp_path: Path, colour_type: int, channels: int, name: str, bits: int) -> None:
    stored = noise("u1" if bits == 8 else "u2", (6, 7, channels))
    (tmp_path / "a.png").write_bytes(png(stored, colour_type, bits))
    expected = stored[..., 0] if channels == 1 else stored[..., [0, 0, 0, 1]] if channels == 2 else stored
    check(tmp_path / "a.png", expected, f"{name}{bits}")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_grey_png_of_few_bits_is_spread_as_png_prescribes(tmp_path: Path, bits: int) -> None:
    stored = noise("u1", (6, 7), (1 << bits) - 1)
    scaled = stored * np.uint8(255 // ((1 << bits) - 1))
    (tmp_path / "a.png").write_bytes(png(stored, 0, bits))
    check(tmp_path / "a.png", scaled, "Mono8")
    clear = struct.pack(">H", 1)
    (tmp_path / "a.png").write_bytes(png(stored, 0, bits, ((b"tRNS", clear),)))
    alpha = np.where(stored == 1, np.uint8(0), np.uint8(255))
    check(tmp_path / "a.png", np.stack([scaled, scaled, scaled, alpha], axis=-1), "RGBa8")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_a_png_becomes_alpha(tmp_path: Path, bits: int, channels: int) -> None:
    top = (1 << bits) - 1
    stored = noise("u1" if bits == 8 else "u2", (6, 7, channels))
    clear = struct.pack(f">{channels}H", *stored[2, 3].tolist())
    (tmp_path / "a.png").write_bytes(png(stored, 0 if channels == 1 else 2, bits, ((b"tRNS", clear),)))
    alpha = np.where((stored == stored[2, 3]).all(axis=-1, keepdims=True), 0, top).astype(stored.dtype)
    colours = stored[..., [0, 0, 0]] if channels == 1 else stored
    check(tmp_path / "a.png", np.concatenate([colours, alpha], axis=-1), f"RGBa{bits}")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palette_of_a_png_becomes_its_colours(tmp_path: Path, bits: int) -> None:
    numbers = noise("u1", (6, 7), min(9, (1 << bits) - 1))
    palette = noise("u1", (1 << bits, 3))
    (tmp_path / "a.png").write_bytes(png(numbers, 3, bits, ((b"PLTE", palette.tobytes()),)))
    check(tmp_path / "a.png", palette[numbers], "RGB8")
    alpha = noise("u1", (1 << bits,))
    (tmp_path / "a.png").write_bytes(png(numbers, 3, bits, ((b"PLTE", palette.tobytes()), (b"tRNS", alpha.tobytes()))))
    check(tmp_path / "a.png", np.concatenate([palette[numbers], alpha[numbers][..., np.newaxis]], axis=-1), "RGBa8")


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize(
    ("dtype", "bits", "channels", "form"),
    [("u1", 8, 1, "Mono8"), ("u2", 10, 1, "Mono10"), ("u2", 12, 1, "Mono12"), ("u2", 16, 1, "Mono16"),
     ("i2", 16, 1, "Data16s"), ("u1", 8, 3, "RGB8"), ("u2", 12, 3, "RGB12"), ("u2", 16, 3, "RGB16")],
)  # fmt: skip
def test_jpeg_2000_has_its_numbers(tmp_path: Path, codec: Any, dtype: str, bits: int, channels: int, form: str) -> None:
    top = (1 << bits) - 1 if dtype != "i2" else None
    expected = noise(dtype, (32, 40, 3) if channels == 3 else (32, 40), top)
    data = imagecodecs.jpeg2k_encode(expected, codecformat=codec, bitspersample=bits, reversible=True, level=0)
    (tmp_path / "a.jp2").write_bytes(data)
    check(tmp_path / "a.jp2", expected, form)


def test_jpeg_2000_by_opencv_has_its_numbers(tmp_path: Path) -> None:
    expected = noise("u2", (32, 40, 3))
    options = [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]
    assert cv2.imwrite(str(tmp_path / "a.jp2"), expected, options)
    (frame,) = read(tmp_path / "a.jp2")
    np.testing.assert_array_equal(frame.array, cv2.imread(str(tmp_path / "a.jp2"), cv2.IMREAD_UNCHANGED)[..., ::-1])
    assert frame.pixel_format == "RGB16"


@pytest.mark.parametrize(("bits", "name"), [(10, "RGB10"), (12, "RGB12")])
def test_avif_has_all_its_bits(tmp_path: Path, bits: int, name: str) -> None:
    value = (1 << bits) - 3
    stored = np.full((16, 16, 3), value, np.uint16)
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(stored, level=100, bitspersample=bits))
    check(tmp_path / "a.avif", stored, name)


def test_a_jpeg_with_12_bits_has_all_of_them(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(
        imagecodecs.jpeg8_encode(np.full((16, 16), 2500, np.uint16), bitspersample=12, level=99)
    )
    check(tmp_path / "a.jpg", np.full((16, 16), 2500, np.uint16), "Mono12")


def test_cmyk_says_that_it_was_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    (frame,) = read(tmp_path / "a.jpg")
    assert (frame.pixel_format, frame.origin["converted_from"]) == ("RGB8", "CMYK")
    np.testing.assert_allclose(frame.array[4, 4], (255, 0, 0), atol=3)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_every_picture_of_a_moving_one_comes(tmp_path: Path, name: str) -> None:
    pictures = [Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    lossless = {"lossless": True} if name == "a.webp" else {}
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], **lossless)
    frames = read(tmp_path / name)
    assert [frame.array[2, 2, :3].tolist() for frame in frames] == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert [frame.origin["page"] for frame in frames] == [0, 1, 2]


@pytest.mark.parametrize("channels", [3, 4])
def test_a_webp_has_its_numbers(tmp_path: Path, channels: int) -> None:
    expected = noise("u1", (16, 16, channels))
    if channels == 4:
        expected[..., 3] |= 1
    (tmp_path / "a.webp").write_bytes(imagecodecs.webp_encode(expected, lossless=True))
    check(tmp_path / "a.webp", expected, "RGB8" if channels == 3 else "RGBa8")


def test_what_pillow_would_cut_is_refused(tmp_path: Path) -> None:
    head = struct.pack(">hBBHHHHll", 474, 0, 2, 3, 4, 4, 3, 0, 65535).ljust(512, b"\0")
    (tmp_path / "a.sgi").write_bytes(head + noise("u2", (3, 4, 4)).astype(">u2").tobytes())
    assert "of which Pillow keeps 8" in refusal(tmp_path / "a.sgi")
