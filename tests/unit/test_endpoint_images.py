# SPDX-License-Identifier: Apache-2.0
"""images: every bit there and back, files in the order people expect, never half a file, and no file that harms."""

from __future__ import annotations

import struct
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import framebus
from framebus.endpoint.kinds.images.source import natural_key

RANDOM = np.random.default_rng(4)
TYPES = {
    "Mono8": (np.uint8, ()), "Mono16": (np.uint16, ()), "Data32s": (np.int32, ()), "Data32f": (np.float32, ()),
    "RGB8": (np.uint8, (3,)), "BGR8": (np.uint8, (3,)), "RGBa8": (np.uint8, (4,)), "BGRa8": (np.uint8, (4,)),
    "RGB16": (np.uint16, (3,)), "BGR16": (np.uint16, (3,)), "RGBa16": (np.uint16, (4,)), "BGRa16": (np.uint16, (4,)),
    "Mono12": (np.uint16, ()), "BayerRG8": (np.uint8, ()),
}  # fmt: skip


def noise(form: str, shape: tuple[int, int] = (23, 31)) -> NDArray[Any]:
    dtype, channels = TYPES[form]
    if dtype is np.float32:
        return RANDOM.normal(size=(*shape, *channels)).astype(dtype)
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max, (*shape, *channels), dtype, endpoint=True)


def write(pattern: str | Path, images: list[NDArray[Any]], **given: Any) -> None:
    with framebus.sink(f"images:{pattern}") as sink:
        for image in images:
            sink.send(image, **given)


def read(pattern: str | Path) -> list[framebus.Frame]:
    with framebus.source(f"images:{pattern}") as source:
        return list(source)


def huge_png(width: int, height: int) -> bytes:
    """A PNG that says how large it is, and has nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", [form for form in TYPES if form not in ("Mono12", "BayerRG8")])
@pytest.mark.parametrize("extension", ["png", "tif", "tiff"])
def test_every_bit_comes_back(tmp_path: Path, form: str, extension: str) -> None:
    if form.startswith("Data") and extension == "png":
        with pytest.raises(framebus.EndpointError, match=rf"takes Mono8, .*; frame 1 is 23x31 \w+32 {form}"):
            write(tmp_path / f"{{seq}}.{extension}", [noise(form)], pixel_format=form)
        assert list(tmp_path.iterdir()) == []
        return
    images = [noise(form) for _ in range(3)]
    write(tmp_path / f"{{seq}}.{extension}", images, pixel_format=form)
    frames = read(tmp_path / f"*.{extension}")
    assert {frame.pixel_format for frame in frames} == {form.replace("BGR", "RGB")}
    for frame, image in zip(frames, images, strict=True):
        assert frame.array.dtype == image.dtype
        expected = image[..., [2, 1, 0, 3][: image.shape[-1]]] if form.startswith("BGR") else image
        np.testing.assert_array_equal(frame.array, expected)


@pytest.mark.parametrize("form", ["Mono8", "RGB8", "BGR8"])
def test_jpeg_keeps_colours_in_their_places(tmp_path: Path, form: str) -> None:
    image = np.zeros((32, 32, *TYPES[form][1]), np.uint8)
    image[..., 0 if form == "RGB8" else -1] = 200
    write(tmp_path / "{seq}.jpg", [image], pixel_format=form)
    (frame,) = read(tmp_path / "*.jpg")
    expected = image[..., ::-1] if form == "BGR8" else image
    np.testing.assert_allclose(frame.array.astype(int), expected, atol=4)


@pytest.mark.parametrize(
    ("image", "form"),
    [(noise("Mono8")[..., np.newaxis], "Mono8"), (noise("BGR8")[::-1, ::2], "RGB8"), (noise("Data32f"), "Data32f")],
    ids=["an axis of one", "strides", "floats"],
)
def test_without_a_pixel_format_an_image_is_what_it_looks_like(tmp_path: Path, image: NDArray[Any], form: str) -> None:
    write(tmp_path / "{seq}.tif", [image])
    (frame,) = read(tmp_path)
    assert frame.pixel_format == form
    np.testing.assert_array_equal(frame.array, image[..., ::-1] if form == "RGB8" else image.reshape(frame.array.shape))


def test_numbers_in_names_count_by_their_value(tmp_path: Path) -> None:
    names = ["img2.png", "img10.png", "img1.png", "img010b.png", "a-1/img3.png", "a-01/img3.png", "img.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(noise("Mono8")).save(tmp_path / name)
    found = [str(Path(frame.meta["file"]).relative_to(tmp_path)) for frame in read(tmp_path / "**/*.png")]
    assert found == ["a-01/img3.png", "a-1/img3.png", "img1.png", "img2.png", "img10.png", "img010b.png", "img.png"]
    assert natural_key("img2") < natural_key("img10") < natural_key("img10a")


def test_a_folder_stands_for_the_images_in_it(tmp_path: Path) -> None:
    write(f"{tmp_path}/new/", [noise("Mono8")] * 2)
    (tmp_path / "new/readme.txt").write_text("no image")
    (tmp_path / "new/.hidden.png").write_text("no image")
    assert sorted(path.name for path in (tmp_path / "new").glob("f*")) == ["frame-000001.png", "frame-000002.png"]
    frames = read(tmp_path / "new")
    assert [Path(frame.meta["file"]).name for frame in frames] == ["frame-000001.png", "frame-000002.png"]
    assert [frame.seq for frame in frames] == [1, 2]


def test_one_file_and_special_characters_are_taken_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(noise("Mono8")).save(tmp_path / "what? [1].png")
    Image.fromarray(noise("Mono8")).save(tmp_path / "what1.png")
    assert len(read(tmp_path / "what%3F [1].png")) == 1
    assert len(read(tmp_path / "what%3F.png")) == 1, "as a pattern"
    assert len(read(tmp_path / "what*.png")) == 2


def test_a_question_mark_that_was_not_escaped_is_an_error_that_says_how(tmp_path: Path) -> None:
    Image.fromarray(noise("Mono8")).save(tmp_path / "img1.png")
    with pytest.raises(framebus.InvalidUrl, match=r"no option '\.png' here; it knows fps, .*written %3F"):
        framebus.source(f"images:{tmp_path}/img?.png")
    with pytest.raises(framebus.EndpointError, match=r"no image is there for .*a question mark is written %3F"):
        framebus.source(f"images:{tmp_path}/im?")


@pytest.mark.parametrize(
    ("mode", "form", "pixel"),
    [
        ("1", "Mono8", 255),
        ("P", "RGB8", [10, 200, 30]),
        ("LA", "RGBa8", [77, 77, 77, 128]),
        ("CMYK", "RGB8", None),
        ("I;16", "Mono16", 40000),
    ],
)
def test_every_kind_of_image_becomes_one_that_has_a_name(tmp_path: Path, mode: str, form: str, pixel: Any) -> None:
    if mode == "P":
        image = Image.new("RGB", (8, 6), (10, 200, 30)).quantize(4)
    else:
        colour = {"1": 1, "LA": (77, 128), "CMYK": (1, 2, 3, 4), "I;16": 40000}[mode]
        image = Image.new(mode, (8, 6), colour)
    image.save(tmp_path / "a.tif")
    (frame,) = read(tmp_path / "a.tif")
    assert frame.pixel_format == form
    assert frame.array.shape[:2] == (6, 8)
    if pixel is not None:
        assert frame.array[3, 4].tolist() == pixel


def test_a_palette_with_a_transparent_colour_keeps_it(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 6), (10, 200, 30)).quantize(4)
    image.save(tmp_path / "a.png", transparency=image.getpixel((0, 0)))
    (frame,) = read(tmp_path / "a.png")
    assert (frame.pixel_format, frame.array[0, 0].tolist()) == ("RGBa8", [10, 200, 30, 0])


def test_every_page_of_a_file_is_a_frame(tmp_path: Path) -> None:
    pages = [Image.fromarray(noise("Mono16")) for _ in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    frames = read(tmp_path / "stack.tif")
    assert [frame.meta["page"] for frame in frames] == [0, 1, 2]
    for frame, page in zip(frames, pages, strict=True):
        np.testing.assert_array_equal(frame.array, np.asarray(page))


def test_orientation_is_told_and_pixels_are_as_they_are_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise("RGB8", (6, 8))).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(noise("RGB8", (6, 8))).save(tmp_path / "upright.png")
    turned, upright = read(tmp_path)
    assert (turned.meta["orientation"], turned.array.shape) == (6, (6, 8, 3))
    assert "orientation" not in upright.meta


@pytest.mark.parametrize("size", [(20000, 20000), (12000, 8000)], ids=["an error of Pillow", "a warning of Pillow"])
def test_an_image_that_would_burst_memory_is_refused_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    (tmp_path / "bomb.png").write_bytes(huge_png(*size))
    with framebus.source(f"images:{tmp_path}/bomb.png") as source:
        with pytest.raises(framebus.EndpointError, match=r"bomb\.png' would take more memory .*MAX_IMAGE_PIXELS"):
            source.recv()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_it_is_refused_where_warnings_are_not_errors_too(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(huge_png(12000, 8000))
    with framebus.source(f"images:{tmp_path}/bomb.png") as source:
        with pytest.raises(framebus.EndpointError, match=r"12000x8000 pixels, \d+ are allowed"):
            source.recv()


def test_a_broken_file_is_named_and_the_next_ones_follow(tmp_path: Path) -> None:
    write(tmp_path / "{seq}.png", [noise("RGB8")] * 6)
    (tmp_path / "2.png").write_text("no image")
    whole = (tmp_path / "4.png").read_bytes()
    (tmp_path / "4.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "5.png").write_bytes(whole[:200] + bytes(300) + whole[500:])
    found = []
    with framebus.source(f"images:{tmp_path}/*.png") as source:
        for _ in range(6):
            try:
                found.append(Path(source.recv().meta["file"]).name)
            except framebus.EndpointError as error:
                found.append(str(error).replace(f"{tmp_path}/", "").partition(":")[0])
        with pytest.raises(framebus.ChannelClosed):
            source.recv()
    broken = "{!r} can't be read as an image".format
    assert found == ["1.png", broken("2.png"), "3.png", broken("4.png"), broken("5.png"), "6.png"]
    with framebus.source(f"images:{tmp_path}/*.png?skip_broken") as source:
        assert [Path(frame.meta["file"]).name for frame in source] == ["1.png", "3.png", "6.png"]
        assert (source.statistics().frames, source.statistics().refused) == (3, 3)


def test_a_file_that_has_gone_since_is_named(tmp_path: Path) -> None:
    write(tmp_path / "{seq}.png", [noise("RGB8")] * 2)
    with framebus.source(f"images:{tmp_path}/*.png") as source:
        (tmp_path / "1.png").unlink()
        with pytest.raises(framebus.EndpointError, match=r"1\.png' can't be read .*FileNotFoundError"):
            source.recv()
        assert source.recv().meta["file"].endswith("2.png")


def test_a_loop_of_broken_files_ends_with_an_error_and_not_never(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    with framebus.source(f"images:{tmp_path}/a.png?loop&skip_broken") as source:
        with pytest.raises(framebus.EndpointError, match="none of the 1 files"):
            source.recv()


def test_with_fps_frames_are_due_at_equal_distances_and_a_loop_goes_on(tmp_path: Path) -> None:
    write(tmp_path / "{seq}.png", [noise("Mono8")] * 3)
    with framebus.source(f"images:{tmp_path}/*.png?fps=100&loop") as source:
        frames = []
        for _ in range(7):
            frames.append(source.recv(timeout=60))
            assert time.monotonic_ns() >= frames[-1].timestamp_ns
    assert np.diff([frame.timestamp_ns for frame in frames]).tolist() == [10_000_000] * 6
    assert [Path(frame.meta["file"]).name for frame in frames] == [f"{number % 3 + 1}.png" for number in range(7)]
    with framebus.source(f"images:{tmp_path}/*.png?fps=0.001") as source:
        source.recv()
        assert source.try_recv() is None


def test_without_fps_they_end_when_all_have_been_given(tmp_path: Path) -> None:
    write(tmp_path / "{seq}.png", [noise("Mono8")] * 3)
    with framebus.source(f"images:{tmp_path}/*.png") as source:
        before_ns = time.monotonic_ns()
        stamps = [source.recv(timeout=0).timestamp_ns for _ in range(3)]
        assert before_ns <= stamps[0] <= stamps[1] <= stamps[2] <= time.monotonic_ns()
        with pytest.raises(framebus.ChannelClosed, match="has ended after 3 files"):
            source.recv()


def test_names_tell_number_and_time(tmp_path: Path) -> None:
    with framebus.sink(f"images:{tmp_path}/{{seq:04d}}-{{timestamp_ns}}-{{wall_time_ns}}.png") as sink:
        sink.send(noise("Mono8"), seq=17, timestamp_ns=5, wall_time_ns=6)
        assert sink.send(noise("Mono8"), timestamp_ns=7, wall_time_ns=8) == 18
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0017-5-6.png", "0018-7-8.png"]


def test_a_relay_hands_the_numbers_on(tmp_path: Path, channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for _ in range(3):
            publisher.send(noise("Mono8"))
        with framebus.Subscriber(channel_name) as subscriber:
            framebus.relay(subscriber, f"images:{tmp_path}/{{seq}}.png", limit=1)
    assert [path.name for path in tmp_path.iterdir()] == ["3.png"]


def test_whoever_looks_while_files_are_written_finds_whole_ones_only(tmp_path: Path) -> None:
    done = threading.Event()

    def fill() -> None:
        with framebus.sink(f"images:{tmp_path}/{{seq:03d}}.png?compression=9") as sink:
            for _ in range(40):
                sink.send(noise("RGB8", (200, 200)))
        done.set()

    writer = threading.Thread(target=fill)
    writer.start()
    looked_at = 0
    while not done.is_set() or looked_at == 0:
        for path in tmp_path.glob("*.png"):
            with Image.open(path) as image:
                assert np.asarray(image).shape == (200, 200, 3)
            looked_at += 1
    writer.join()
    assert len(list(tmp_path.iterdir())) == 40, "something else was left behind"


@pytest.mark.parametrize(
    ("name", "image", "given", "says"),
    [
        ("{seq}.jpg", noise("Mono16"), {}, "takes Mono8, RGB8, BGR8; frame 1 is 23x31 uint16"),
        ("{seq}.jpg", noise("BGRa8"), {}, "frame 1 is 23x31x4 uint8"),
        ("{seq}.png", noise("Data32f"), {}, "frame 1 is 23x31 float32"),
        ("{seq}.png", noise("Mono8") > 9, {}, "frame 1 is 23x31 bool"),
        ("{seq}.png", noise("Data32f").astype(complex), {}, "frame 1 is 23x31 complex128"),
        ("{seq}.png", noise("BayerRG8"), {"pixel_format": "BayerRG8"}, "frame 1 is 23x31 uint8 BayerRG8"),
        ("{seq}.png", noise("Mono12"), {"pixel_format": "Mono12"}, "frame 1 is 23x31 uint16 Mono12"),
        ("{seq}.png", noise("Mono8"), {"pixel_format": "RGB8"}, "frame 1 is 23x31 uint8 RGB8"),
        ("{seq}.png", np.zeros(7, np.uint8), {}, "frame 1 is 7 uint8"),
        ("{seq}.png", np.zeros((0, 3), np.uint8), {}, "frame 1 is 0x3 uint8"),
        ("{seq}.png", noise("Mono8"), {"meta": {"a": 1}}, r"can't carry metadata.*\?lossy"),
    ],
)
def test_what_a_file_does_not_store_is_refused(
    tmp_path: Path, name: str, image: NDArray[Any], given: dict[str, Any], says: str
) -> None:
    with framebus.sink(f"images:{tmp_path}/{name}") as sink:
        with pytest.raises(framebus.EndpointError, match=says):
            sink.send(image, **given)
    assert list(tmp_path.iterdir()) == []


def test_lossy_leaves_out_what_a_file_does_not_store(tmp_path: Path) -> None:
    with framebus.sink(f"images:{tmp_path}/{{seq}}.jpg?lossy") as sink:
        sink.send(np.full((16, 16, 4), (200, 0, 0, 9), np.uint8), pixel_format="BGRa8", meta={"left": "out"})
    (frame,) = read(tmp_path)
    assert frame.array.shape == (16, 16, 3)
    assert frame.array[8, 8, 2] > 190, "blue is where it was"
    deep = noise("Mono12")
    with framebus.sink(f"images:{tmp_path}/{{seq}}.png?lossy") as sink:
        sink.send(deep, pixel_format="Mono12")
    (frame,) = read(tmp_path / "*.png")
    assert frame.pixel_format == "Mono16"
    np.testing.assert_array_equal(frame.array, deep)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("images:{}/a.png", "the name needs a place for the number"),
        ("images:{}/{{number}}.png", "not a name with fields"),
        ("images:{}/{{seq.real}}.png", "fields are seq"),
        ("images:{}/{{seq:q}}.png", "not a name with fields"),
        ("images:{}/{{seq.png", "not a name with fields"),
        ("images:{}/%06d.png", r"write \{seq:06d\} where others write %06d"),
        ("images:{}/{{seq}}.gif", r"ends in one of \.png, \.tif"),
        ("images:{}/{{seq}}.jpg?quality=101", "quality must be 1 to 100"),
        ("images:{}/{{seq}}.png?compression=10", "compression must be 0 to 9"),
        ("images:{}/no/such/{{seq}}.png", "can't be written: .*No such file"),
    ],
)
def test_a_name_that_can_not_be_written_is_refused_at_once(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(framebus.EndpointError, match=says):
        framebus.sink(url.format(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("module", ["PIL", "tifffile", "imagecodecs"])
def test_a_missing_library_is_an_error_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for opened in (framebus.source, framebus.sink):
        with pytest.raises(framebus.EndpointError, match=r'pip install "framebus\[video\]"'):
            opened(f"images:{tmp_path}/{{seq}}.png")
