# SPDX-License-Identifier: Apache-2.0
"""A Pillow image keeps its colours on every way, and an array without a name is the same thing to everything."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.support.desktop import display, needs_display

import framebus
from framebus.frames import pixel_format as formats

RED = (255, 0, 0)
EXACT = {
    "L": "Mono8", "RGB": "RGB8", "RGBA": "RGBa8", "RGBX": "RGB8", "LA": "RGBa8", "PA": "RGBa8", "P": "RGB8",
    "YCbCr": "YCbCr8", "I": "Data32s", "F": "Data32f", "I;16": "Mono16", "I;16B": "Mono16", "I;16L": "Mono16",
    "I;16N": "Mono16",
}  # fmt: skip
REFUSED = ("CMYK", "LAB", "HSV", "RGBa", "La")


def picture(mode: str) -> Image.Image:
    random = np.random.default_rng(5)
    colours = Image.fromarray(random.integers(0, 256, (5, 7, 4), np.uint8))
    if mode.startswith("I;16"):
        numbers = random.integers(0, 65536, (5, 7), np.uint16)
        order = ">u2" if mode == "I;16B" else "<u2"
        return Image.frombytes(mode, (7, 5), numbers.astype(order).tobytes())
    if mode in ("I", "F"):
        return Image.fromarray(random.integers(0, 70000, (5, 7)).astype(np.int32 if mode == "I" else np.float32))
    if mode == "PA":
        return colours.convert("RGB").quantize(5).convert("PA")
    if mode == "P":
        return colours.convert("RGB").quantize(5)
    return Image.frombytes(mode, (7, 5), random.bytes(35 * len(Image.new(mode, (1, 1)).tobytes())))


def pixels(image: Image.Image) -> list[Any]:
    """What getpixel() says, as red, green and blue where it has colours; by Pillow's own means alone."""
    if image.mode in ("P", "LA", "PA", "RGBX"):
        image = image.convert("RGBA" if image.mode in ("LA", "PA") else "RGB")
    return [[image.getpixel((x, y)) for x in range(image.width)] for y in range(image.height)]


@pytest.fixture
def ends(channel_name: str) -> Iterator[tuple[framebus.Publisher, framebus.Subscriber]]:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        yield publisher, subscriber


Channel = tuple[framebus.Publisher, framebus.Subscriber]


@pytest.mark.parametrize(("mode", "form"), EXACT.items(), ids=EXACT.keys())
def test_an_image_of_every_mode_brings_its_pixel_format(ends: Channel, mode: str, form: str) -> None:
    publisher, subscriber = ends
    image = picture(mode)
    assert image.mode == mode
    publisher.send(image)
    with subscriber.recv(timeout=60) as frame:
        assert frame.pixel_format == form
        assert np.asarray(frame.array).tolist() == np.array(pixels(image)).tolist()
        assert formats.fits(form, frame.array.shape, frame.array.dtype)
        assert frame.array.dtype.isnative


@pytest.mark.parametrize("mode", REFUSED)
def test_a_mode_that_no_pixel_format_describes_is_refused_with_what_to_do(ends: Channel, mode: str) -> None:
    with pytest.raises(TypeError, match=rf"Pillow image of mode {mode}, .* send image\.convert\('RGB'\)"):
        ends[0].send(picture(mode))


def test_a_palette_with_a_transparent_colour_keeps_it(ends: Channel) -> None:
    image = picture("P")
    image.info["transparency"] = image.getpixel((0, 0))
    ends[0].send(image)
    with ends[1].recv(timeout=60) as frame:
        assert frame.pixel_format == "RGBa8"
        assert frame.array[0, 0, 3] == 0
        assert frame.array[..., 3].max() == 255


def test_in_a_dict_the_first_image_decides_the_pixel_format(ends: Channel) -> None:
    publisher, subscriber = ends
    rgb, mask = picture("RGB"), picture("L")
    publisher.send({"colour": rgb, "mask": mask})
    with subscriber.recv(timeout=60) as frame:
        assert frame.pixel_format == "RGB8"
        assert frame.arrays["colour"].tolist() == np.asarray(rgb).tolist()
        assert frame.arrays["mask"].tolist() == np.asarray(mask).tolist()
    publisher.send({"depth": np.zeros((5, 7), np.float32), "colour": rgb})
    with subscriber.recv(timeout=60) as frame:
        assert frame.pixel_format is None
        assert frame.arrays["colour"].tolist() == np.asarray(rgb).tolist()


def test_a_name_that_contradicts_the_mode_is_refused_and_one_that_knows_more_is_taken(ends: Channel) -> None:
    publisher, subscriber = ends
    with pytest.raises(ValueError, match="'BGR8' contradicts a Pillow image of mode RGB, which is RGB8"):
        publisher.send(picture("RGB"), pixel_format="BGR8")
    for mode, form in (("L", "BayerRG8"), ("I;16", "Mono12"), ("RGB", "RGB8")):
        publisher.send(picture(mode), pixel_format=form)
        with subscriber.recv(timeout=60) as frame:
            assert frame.pixel_format == form


def test_what_another_library_lends_is_what_it_was(ends: Channel) -> None:
    class Other:
        __array_interface__ = np.zeros((2, 3, 3), np.uint8).__array_interface__

    ends[0].send(Other())
    with ends[1].recv(timeout=60) as frame:
        assert frame.pixel_format is None


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_a_red_image_is_red_in_a_file(tmp_path: Path, extension: str) -> None:
    with framebus.sink(f"images:{tmp_path}/{{seq}}.{extension}") as sink:
        sink.send(Image.new("RGB", (4, 3), RED))
    with Image.open(tmp_path / f"1.{extension}") as image:
        assert image.getpixel((0, 0)) == RED


def test_a_red_image_is_red_in_a_video(tmp_path: Path) -> None:
    with framebus.sink(f"video:{tmp_path}/a.mkv?fps=10") as sink:
        sink.send(Image.new("RGB", (64, 48), RED))
    with framebus.source(f"video:{tmp_path}/a.mkv?pace=fast&pixel_format=RGB8") as source:
        assert source.recv().array[0, 0].tolist() == list(RED)


def test_a_red_image_is_red_in_a_base_image(channel_name: str) -> None:
    with framebus.sink(f"baseimage:{channel_name}") as sink:
        with framebus.source(f"baseimage:{channel_name}?fresh=false") as source:
            sink.send(Image.new("RGB", (4, 3), RED))
            frame = source.recv(timeout=60)
    assert (frame.pixel_format, frame.array[0, 0].tolist()) == ("BGR8", [0, 0, 255])


# A transform of a relay


class Red(framebus.BaseSink):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__("test:kept")
        self.got: list[framebus.OutgoingFrame] = []

    def _send(self, frame: framebus.OutgoingFrame, deadline: framebus.Deadline) -> None:  # noqa: ARG002 - never waits
        self.got.append(frame)


def transformed(form: str | None, array: NDArray[Any], transform: Any) -> str | None:
    class Once(framebus.BaseSource):
        def _receive(self, deadline: framebus.Deadline) -> framebus.Frame:  # noqa: ARG002 - never waits
            return framebus.Frame({"image": array}, seq=1, timestamp_ns=1, wall_time_ns=1, pixel_format=form)

    with Red() as sink:
        framebus.relay(Once("test:once"), sink, transform=transform, limit=1)
    return sink.got[0].pixel_format


COLOUR, GREY, PACKED = np.zeros((8, 6, 3), np.uint8), np.zeros((8, 6), np.uint16), np.zeros((8, 9), np.uint8)


@pytest.mark.parametrize(
    ("form", "array", "transform", "kept"),
    [
        ("RGB8", COLOUR, lambda frame: frame.array[:4, :4], "RGB8"),
        ("RGB8", COLOUR, lambda frame: np.ascontiguousarray(frame.array[::-1]), "RGB8"),
        ("RGB8", COLOUR, lambda frame: frame.array[..., 0], None),
        ("RGB8", COLOUR, lambda frame: frame.array.astype(np.float32), None),
        ("RGB8", COLOUR, lambda frame: {"half": frame.array[::2], "mask": frame.array[..., 0] > 3}, "RGB8"),
        ("RGB8", COLOUR, lambda frame: {"mask": frame.array[..., 0] > 3, "half": frame.array[::2]}, None),
        ("BGR8", COLOUR, lambda frame: Image.fromarray(frame.array[..., ::-1]), "RGB8"),
        ("BGR8", COLOUR, lambda frame: Image.fromarray(frame.array).convert("L"), "Mono8"),
        ("RGBa8", np.zeros((8, 6, 4), np.uint8), lambda frame: frame.array[..., :3], None),
        ("Mono12", GREY, lambda frame: frame.array[::2] // 2, "Mono12"),
        ("Mono12", GREY, lambda frame: (frame.array >> 4).astype(np.uint8), None),
        ("Mono12p", PACKED, lambda frame: frame.array.copy(), "Mono12p"),
        ("Mono12p", PACKED, lambda frame: frame.array[:, :4], None),
        ("RGB8_Planar", np.zeros((3, 8, 6), np.uint8), lambda frame: frame.array[:, ::2], "RGB8_Planar"),
        (None, COLOUR, lambda frame: frame.array, None),
    ],
)
def test_what_a_transform_returns_keeps_the_format_that_still_fits(
    form: str | None, array: NDArray[Any], transform: Any, kept: str | None
) -> None:
    assert transformed(form, array, transform) == kept


def test_a_transform_that_returns_a_tuple_is_told_what_to_return() -> None:
    with pytest.raises(TypeError, match="is tuple; expected a numpy array"):
        transformed("RGB8", COLOUR, lambda frame: (frame.array, {"a": 1}))


# Arrays without a name


@pytest.mark.parametrize(
    ("dtype", "shape", "form"),
    [("u1", (2, 3), "Mono8"), ("u1", (2, 3, 1), "Mono8"), ("u1", (2, 3, 3), "BGR8"), ("u1", (2, 3, 4), "BGRa8"),
     (">u2", (2, 3, 3), "BGR16"), ("f4", (2, 3), "Data32f"), ("f4", (2, 3, 3), None), ("u1", (2, 3, 2), None),
     ("?", (2, 3), None), ("u1", (3,), None), ("u1", (1, 2, 3, 3), None)],
)  # fmt: skip
def test_one_guess_says_what_an_array_without_a_name_is(dtype: str, shape: tuple[int, ...], form: str | None) -> None:
    assert formats.guess(shape, np.dtype(dtype)) == form


# In a program of its own: the clipboard's library keeps its connection to the first display that a process has used.
CLIPBOARD = """
import io, subprocess
import numpy as np
from PIL import Image
import framebus
RED = (255, 0, 0)
blue_first = np.zeros((8, 6, 3), np.uint8)
blue_first[..., 2] = 255
with_alpha = np.dstack([blue_first, np.full((8, 6), 255, np.uint8)])
images = blue_first, Image.new("RGB", (7, 8), RED), with_alpha, Image.new("RGBA", (9, 8), (*RED, 255))
paste = ["xclip", "-selection", "clipboard", "-t", "image/png", "-o"]
with framebus.sink("clipboard:") as sink, framebus.source("clipboard:?pixel_format=BGR8") as source:
    for image in images:
        sink.send(image)
        pasted = subprocess.run(paste, capture_output=True, check=True)
        with Image.open(io.BytesIO(pasted.stdout)) as found:
            print(found.convert("RGB").getpixel((3, 3)), source.recv(timeout=60).array[3, 3].tolist())
"""


@needs_display
def test_a_red_image_is_red_on_the_clipboard_whoever_hands_it_over() -> None:
    pytest.importorskip("copykitten")
    with display() as name:
        done = subprocess.run(
            [sys.executable, "-c", CLIPBOARD],
            env={**os.environ, "DISPLAY": name},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout.splitlines() == ["(255, 0, 0) [0, 0, 255]"] * 4, done.stderr
