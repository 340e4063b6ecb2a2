# SPDX-License-Identifier: Apache-2.0
"""images: gives the numbers of Netpbm files written by hand and by ffmpeg, whatever their maximum is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support.images import check, check_frame, noise, read, refusal


@pytest.mark.parametrize(
    ("maxval", "bits"),
    [
        (1, 8),
        (15, 8),
        (100, 8),
        (255, 8),
        (256, 10),
        (1000, 10),
        (1023, 10),
        (4095, 12),
        (16383, 14),
        (40000, 16),
        (65535, 16),
    ],
)
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_netpbm_with_any_maximum_has_its_numbers(tmp_path: Path, maxval: int, bits: int, magic: str) -> None:
    colour = magic in ("P3", "P6")
    expected = noise("u1" if maxval < 256 else "u2", (5, 7, 3) if colour else (5, 7), maxval)
    text = " ".join(map(str, expected.reshape(-1).tolist())).encode()
    body = text if magic in ("P2", "P3") else expected.astype("u1" if maxval < 256 else ">u2").tobytes()
    (tmp_path / "a.pnm").write_bytes(f"{magic}\n# a comment\n7 5\n{maxval}\n".encode() + body)
    frame = check(tmp_path / "a.pnm", expected, f"{'RGB' if colour else 'Mono'}{bits}")
    assert frame.origin.get("maxval") == (None if maxval == (1 << bits) - 1 else maxval)


@pytest.mark.parametrize("magic", ["P1", "P4"])
def test_a_pbm_is_black_where_it_has_ones(tmp_path: Path, magic: str) -> None:
    ones = noise("u1", (5, 11), 1)
    body = "".join(map(str, ones.reshape(-1))).encode() if magic == "P1" else np.packbits(ones, axis=1).tobytes()
    (tmp_path / "a.pbm").write_bytes(f"{magic}\n11 5\n".encode() + body)
    check(tmp_path / "a.pbm", (1 - ones) * np.uint8(255), "Mono8")


def test_several_pictures_in_one_netpbm_all_come(tmp_path: Path) -> None:
    first, second = noise("u1", (3, 4)), noise("u2", (2, 2, 3), 4095)
    (tmp_path / "a.pnm").write_bytes(
        b"P5 4 3 255\n" + first.tobytes() + b"P6\n2 2\n4095\n" + second.astype(">u2").tobytes()
    )
    frames = read(tmp_path / "a.pnm")
    check_frame(frames[0], first, "Mono8")
    check_frame(frames[1], second, "RGB12")
    assert [frame.origin["page"] for frame in frames] == [0, 1]


@pytest.mark.parametrize(
    ("depth", "kind", "maxval", "form"),
    [(1, "GRAYSCALE", 255, "Mono8"), (1, "GRAYSCALE", 4095, "Mono12"), (3, "RGB", 1023, "RGB10"),
     (4, "RGB_ALPHA", 65535, "RGBa16"), (5, "SPECTRUM", 255, None), (3, "", 255, None)],
)  # fmt: skip
def test_a_pam_has_its_numbers(tmp_path: Path, depth: int, kind: str, maxval: int, form: str | None) -> None:
    expected = noise("u1" if maxval < 256 else "u2", (4, 6, depth), maxval)
    head = f"P7\nWIDTH 6\nHEIGHT 4\nDEPTH {depth}\nMAXVAL {maxval}\nTUPLTYPE {kind}\nENDHDR\n".encode()
    (tmp_path / "a.pam").write_bytes(head + expected.astype("u1" if maxval < 256 else ">u2").tobytes())
    check(tmp_path / "a.pam", expected[..., 0] if depth == 1 else expected, form)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_pfm_has_its_numbers_and_its_first_row_on_top(tmp_path: Path, order: str, channels: int) -> None:
    expected = noise("f4", (4, 5, 3) if channels == 3 else (4, 5))
    head = f"{'PF' if channels == 3 else 'Pf'}\n5 4\n{-1.0 if order == '<' else 1.0}\n".encode()
    (tmp_path / "a.pfm").write_bytes(head + expected[::-1].astype(f"{order}f4").tobytes())
    check(tmp_path / "a.pfm", expected, "Data32f" if channels == 1 else None)
    np.testing.assert_array_equal(
        cv2.imread(str(tmp_path / "a.pfm"), cv2.IMREAD_UNCHANGED), expected[..., ::-1] if channels == 3 else expected
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"P5 2 2 100\n\x01\x02\x03\x65", "a sample is 101, more than the maximum 100"),
        (b"P2 2 2 100 1 2 3 101", "a sample is 101, more than the maximum 100"),
        (b"P5 2 2 4095\n\0\1\0\2", "ends 4 bytes too early"),
        (b"P5 2 2 70000\n" + bytes(8), "the maximum is b'70000', expected a number from 1 to 65535"),
        (b"P2 2 2 9 1 2 x 4", "a sample is b'x'"),
        (b"P5 90000 90000 255\n", "more memory than Pillow thinks harmless"),
        (b"P6\n2 2", "ends before the maximum"),
    ],
)
def test_a_broken_netpbm_is_refused_with_the_reason(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "a.pnm").write_bytes(data)
    assert says in refusal(tmp_path / "a.pnm")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is missing")
@pytest.mark.parametrize(
    ("name", "pix_fmt", "dtype", "form"),
    [("a.pgm", "gray16be", "u2", "Mono16"), ("a.pgm", "gray", "u1", "Mono8"), ("a.ppm", "rgb48be", "u2", "RGB16"),
     ("a.pam", "rgba64be", "u2", "RGBa16"), ("a.png", "rgb48be", "u2", "RGB16"), ("a.png", "gray16be", "u2", "Mono16"),
     ("a.png", "rgba64be", "u2", "RGBa16"), ("a.png", "ya16be", "u2", "RGBa16"), ("a.tif", "rgb48le", "u2", "RGB16"),
     ("a.tif", "gray16le", "u2", "Mono16"), ("a.bmp", "bgr24", "u1", "RGB8")],
)  # fmt: skip
def test_what_ffmpeg_writes_is_read_with_its_numbers(
    tmp_path: Path, name: str, pix_fmt: str, dtype: str, form: str
) -> None:
    channels = {"g": 1, "y": 2, "r": 4 if "a" in pix_fmt else 3, "b": 3}[pix_fmt[0]]
    stored = noise(dtype, (6, 8, channels))
    raw = stored.astype(f">{dtype}" if pix_fmt.endswith("be") else f"<{dtype}").tobytes()
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", pix_fmt, "-s", "8x6", "-i", "-", "-frames:v", "1",
         "-update", "1", "-pix_fmt", pix_fmt, tmp_path / name],
        input=raw, check=True,
    )  # fmt: skip
    expected = stored[..., 0] if channels == 1 else stored[..., [0, 0, 0, 1]] if channels == 2 else stored
    check(tmp_path / name, expected[..., ::-1] if pix_fmt == "bgr24" else expected, form)
