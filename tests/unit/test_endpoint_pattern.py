# SPDX-License-Identifier: Apache-2.0
"""pattern: the number of a picture can be read by people and programs, whatever its size and dtype; it is in time."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import framebus
from framebus.endpoint.kinds.pattern import read_number

KINDS = ("bars", "gradient", "ball", "checker", "noise")
DTYPES = ("bool", "uint8", "int8", "uint16", ">u2", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32",
          "float64", "complex64", "complex128")  # fmt: skip

# What each digit looks like, row by row.
FONT = {
    "###/# #/# #/# #/###": "0", " # /## / # / # /###": "1", "###/  #/###/#  /###": "2", "###/  #/###/  #/###": "3",
    "# #/# #/###/  #/  #": "4", "###/#  /###/  #/###": "5", "###/#  /###/# #/###": "6", "###/  #/  #/  #/  #": "7",
    "###/# #/###/# #/###": "8", "###/# #/###/  #/###": "9", "   / # /   / # /   ": ":", "   /   /   /   / # ": ".",
}  # fmt: skip


def one(url: str) -> framebus.Frame:
    with framebus.source(url) as source:
        frame: framebus.Frame = source.recv()
        return frame


def read_label(grey: NDArray[Any], dot: int) -> str:
    """Reads the digits as a person would: where they are, and what they look like."""
    top = max(1, min(grey.shape[0] // 16, grey.shape[1] // 48)) + 4 * dot
    text = ""
    for left in range(4 * dot, grey.shape[1] - 3 * dot, 4 * dot):
        dots = grey[top : top + 5 * dot : dot, left : left + 3 * dot : dot] > grey.max() / 2
        rows = "/".join("".join(" #"[bit] for bit in row) for row in dots.tolist())
        text += FONT.get(rows, " ")
    return text.strip()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_number_can_be_read_in_every_kind_dtype_and_number_of_channels(
    kind: str, dtype: str, channels: int
) -> None:
    url = f"pattern:{kind}?width=97&height=40&dtype={dtype}&channels={channels}&fps=0&count=3"
    frames = list(framebus.source(url))
    assert [read_number(frame.array) for frame in frames] == [frame.seq for frame in frames] == [1, 2, 3]
    assert {frame.array.dtype for frame in frames} == {np.dtype(dtype)}
    assert {frame.array.shape for frame in frames} == {(40, 97) if channels == 1 else (40, 97, channels)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_survives_a_lossy_codec_and_another_size(kind: str, tmp_path: Any) -> None:
    frame = one(f"pattern:{kind}?pixel_format=RGB8&width=640&height=480")
    Image.fromarray(frame.array).resize((333, 250)).save(tmp_path / "small.jpg", quality=30)
    with Image.open(tmp_path / "small.jpg") as small:
        assert read_number(np.asarray(small)) == 1


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 96), np.uint8),
        np.random.default_rng(5).integers(0, 256, (40, 96, 3), np.uint8),
        np.zeros((40, 47), np.uint8),
        np.zeros(96, np.uint8),
        np.zeros((0, 96), np.uint8),
    ],
    ids=["black", "noise", "narrow", "one dimension", "no rows"],
)
def test_no_number_is_read_where_there_is_none(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="number"):
        read_number(array)


def test_a_changed_cell_is_noticed_wherever_it_is() -> None:
    frame = one("pattern:bars?width=96&height=40&pixel_format=Mono8")
    for cell in range(48):
        damaged = frame.array.copy()
        damaged[:4, 2 * cell : 2 * cell + 2] ^= 255
        with pytest.raises(ValueError, match="number"):
            read_number(damaged)


@pytest.mark.parametrize("kind", ["gradient", "noise"])
@pytest.mark.parametrize(("size", "dot"), [((640, 480), 7), ((1280, 720), 14), ((400, 104), 2), ((82, 104), 1)])
def test_number_and_time_of_day_stand_in_the_picture_for_people(kind: str, size: tuple[int, int], dot: int) -> None:
    with framebus.source(f"pattern:{kind}?width={size[0]}&height={size[1]}&fps=0&pixel_format=Mono8") as source:
        for _ in range(12):
            frame = source.recv()
            seconds, rest_ns = divmod(frame.wall_time_ns, 10**9)
            time_of_day = f"{datetime.fromtimestamp(seconds, timezone.utc):%H:%M:%S}.{rest_ns // 10**6:03d}"
            assert read_label(frame.array, dot).startswith(f"{frame.seq:06d} {time_of_day}")


@pytest.mark.parametrize("kind", ["gradient", "ball", "checker", "noise"])
def test_without_a_label_a_number_looks_the_same_in_every_run_and_the_next_one_moves(kind: str) -> None:
    runs = [list(framebus.source(f"pattern:{kind}?fps=0&count=3&label=false&width=128&height=96")) for _ in range(2)]
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first.array, second.array)
    assert (runs[0][0].array[20:] != runs[0][1].array[20:]).any(), "nothing moved below the code"


def test_another_seed_makes_other_noise() -> None:
    one_seed, another = (one(f"pattern:noise?label=false&seed={seed}").array for seed in (1, 2))
    assert (one_seed != another).mean() > 0.9


@pytest.mark.parametrize(
    ("options", "dtype", "shape", "top", "named"),
    [
        ("", "uint8", (48, 96, 3), 255, "BGR8"),
        ("&channels=1", "uint8", (48, 96), 255, "Mono8"),
        ("&dtype=uint16&channels=1", "uint16", (48, 96), 65535, "Mono16"),
        ("&dtype=int16", "int16", (48, 96, 3), 32767, None),
        ("&dtype=int64", "int64", (48, 96, 3), (2**63 - 1) // 65535 * 65535, None),
        ("&dtype=float32", "float32", (48, 96, 3), 1.0, None),
        ("&dtype=bool", "bool", (48, 96, 3), True, None),
        ("&pixel_format=Mono12", "uint16", (48, 96), 4095, "Mono12"),
        ("&pixel_format=RGBa10", "uint16", (48, 96, 4), 1023, "RGBa10"),
        ("&pixel_format=Data32f", "float32", (48, 96), 1.0, "Data32f"),
        ("&pixel_format=Mono8s", "int8", (48, 96), 127, "Mono8s"),
        ("&pixel_format=Coord3D_C16", "uint16", (48, 96), 65535, "Coord3D_C16"),
    ],
)
def test_samples_have_the_dtype_and_the_range_of_what_was_asked_for(
    options: str, dtype: str, shape: tuple[int, ...], top: float, named: str | None
) -> None:
    frame = one(f"pattern:gradient?width=96&height=48{options}")
    assert (frame.array.dtype, frame.array.shape, frame.pixel_format) == (np.dtype(dtype), shape, named)
    assert (frame.array.max(), frame.array.min()) == (top, 0)


def test_colours_are_in_the_order_that_the_pixel_format_says() -> None:
    bgr, rgb, rgba = (one(f"pattern:bars?label=no&pixel_format={form}").array for form in ("BGR8", "RGB8", "RGBa8"))
    np.testing.assert_array_equal(bgr[..., ::-1], rgb)
    np.testing.assert_array_equal(rgba[..., :3], rgb)
    assert (rgba[..., 3] == 255).all()
    assert rgb[300, 100].tolist() == [191, 191, 0], "the second bar is yellow"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (47, 5), (48, 20)])
def test_pictures_may_be_as_small_as_one_likes(kind: str, size: tuple[int, int]) -> None:
    for frame in framebus.source(f"pattern:{kind}?width={size[0]}&height={size[1]}&fps=0&count=100"):
        assert frame.array.shape == (size[1], size[0], 3)


def test_frames_are_due_at_equal_distances_and_never_come_early() -> None:
    with framebus.source("pattern:bars?fps=50&count=6&width=64&height=48") as source:
        frames = []
        for frame in source:
            assert time.monotonic_ns() >= frame.timestamp_ns
            frames.append(frame)
    assert np.diff([frame.timestamp_ns for frame in frames]).tolist() == [20_000_000] * 5
    assert np.diff([frame.wall_time_ns for frame in frames]).tolist() == [20_000_000] * 5
    assert abs(frames[0].wall_time_ns - time.time_ns()) < 60e9


def test_a_frame_that_is_not_due_is_a_timeout_and_comes_later() -> None:
    with framebus.source("pattern:bars?fps=5&count=2") as source:
        first = source.recv(timeout=0)
        assert source.try_recv() is None
        with pytest.raises(framebus.Timeout, match=r"'pattern:bars' is due in 0\.\d+ s, and not within 0\.001 s"):
            source.recv(timeout=0.001)
        second = source.recv(timeout=60)
        assert (first.seq, second.seq) == (1, 2)
        assert second.timestamp_ns - first.timestamp_ns == 200_000_000
        with pytest.raises(framebus.ChannelClosed, match="after 2 frames"):
            source.recv(timeout=0)
        assert source.statistics().frames == 2


def test_close_by_another_thread_ends_a_wait() -> None:
    source: Any = framebus.source("pattern:bars?fps=0.001")
    source.recv()
    closer = threading.Timer(0.05, source.close)
    closer.start()
    with pytest.raises(framebus.ChannelClosed, match="closed"):
        source.recv()
    closer.join()


def test_threads_share_a_source_and_each_frame_goes_to_one_of_them() -> None:
    source = framebus.source("pattern:bars?fps=0&count=200&width=96&height=48&pixel_format=Mono8")
    found: list[list[int]] = [[], [], []]

    def take(mine: list[int]) -> None:
        mine.extend(read_number(frame.array) for frame in source)

    threads = [threading.Thread(target=take, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for mine in found for number in mine) == list(range(1, 201))


def test_every_frame_has_an_array_of_its_own_that_may_be_drawn_into() -> None:
    with framebus.source("pattern:gradient?fps=0&label=no") as source:
        first = source.recv()
        kept = first.array.copy()
        second = source.recv()
        second.array[:] = 0
        np.testing.assert_array_equal(first.array, kept)
        assert read_number(source.recv().array) == 3


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("pattern:fog", "no such pattern; there are bars, gradient, ball, checker, noise"),
        ("pattern:bars?width=0", "width must be 1 or more, got 0"),
        ("pattern:bars?fps=-1", "fps must be 0 or more"),
        ("pattern:bars?fps=nan", "fps must be 0 or more"),
        ("pattern:bars?count=-1", "count must be 0 or more"),
        ("pattern:bars?channels=2", "channels must be 1, 3 or 4, got 2"),
        ("pattern:bars?dtype=datetime64", "is not a number"),
        ("pattern:bars?dtype=grey", "'grey' is not known to numpy"),
        ("pattern:bars?pixel_format=BayerRG8", "BayerRG8 can't be painted"),
        ("pattern:bars?pixel_format=Mono12p", "Mono12p can't be painted"),
        ("pattern:bars?pixel_format=bgr24", "did you mean 'BGR8'"),
        ("pattern:bars?pixel_format=Mono8&dtype=uint16", "Mono8 has dtype uint8, not uint16"),
        ("pattern:bars?pixel_format=Mono8&channels=3", "Mono8 has channels 1, not 3"),
    ],
)
def test_what_can_not_be_painted_is_refused_with_what_can(url: str, says: str) -> None:
    with pytest.raises(framebus.InvalidUrl, match=says):
        framebus.source(url)


def test_nothing_can_be_written_to_a_pattern() -> None:
    with pytest.raises(framebus.EndpointError, match="can only be read from"):
        framebus.sink("pattern:bars")
