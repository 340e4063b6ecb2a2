# SPDX-License-Identifier: Apache-2.0
"""video: reads what other programs write: clocks that jump, pictures to be turned, colours with or without tags.

The files are FFmpeg's, and so is the second opinion.
"""

from __future__ import annotations

import gc
import shutil
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.clips import PICTURES, make_clip

import framebus
from framebus.endpoint.kinds.video.timeline import Timeline

pytest.importorskip("av", reason='needs PyAV; run: pip install "framebus[video]"')
pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg; run: apt-get install ffmpeg")
STEP_NS = 40_000_000


def ffmpeg(*arguments: object) -> bytes:
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def shown_by_ffmpeg(path: Path, size: tuple[int, int], *filters: str) -> NDArray[Any]:
    """The first picture as FFmpeg shows it: rows, columns, and blue, green and red."""
    accurate = ["-sws_flags", "accurate_rnd+full_chroma_int"]
    data = ffmpeg("-i", path, *accurate, *filters, "-frames:v", 1, "-f", "rawvideo", "-pix_fmt", "bgr24", "-")
    return np.frombuffer(data, np.uint8).reshape(*size, 3)


def read(path: Path, options: str = "") -> list[framebus.Frame]:
    with framebus.source(f"video:{path}?pace=fast{options}") as source:
        return list(source)


def steps(frames: list[framebus.Frame]) -> list[int]:
    return np.diff([frame.timestamp_ns for frame in frames]).tolist()


def clip(path: Path, *options: object, seconds: float = 1, size: str = "64x48") -> Path:
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:d={seconds}:r=25", "-pix_fmt", "yuv420p", *options, path)
    return path


OFFSETS = [(0, 0), (0, 5000), (5000, 0), (0, 95000, 7), (95443.3, 0)]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, float], bytes]:
    """The same second as a transport stream, in each codec and from each of the times of OFFSETS."""
    folder = tmp_path_factory.mktemp("parts")
    outputs: list[object] = []
    paths: dict[tuple[str, float], Path] = {}
    for codec, depending in (("mpeg2video", 0), ("libx264", 3)):
        for offset in {offset for offsets in OFFSETS for offset in offsets}:
            paths[codec, offset] = folder / f"{codec}-{offset}.ts"
            encoded = ["-pix_fmt", "yuv420p", "-c:v", codec, "-bf", depending]
            outputs += [*encoded, "-output_ts_offset", offset, paths[codec, offset]]
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:d=1:r=25", *outputs)
    return {which: path.read_bytes() for which, path in paths.items()}


@pytest.mark.xdist_group("parts of a transport stream")
@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
@pytest.mark.parametrize("offsets", OFFSETS)
def test_pictures_go_on_evenly_where_the_clock_of_a_transport_stream_is_set(
    tmp_path: Path, parts: dict[tuple[str, float], bytes], codec: str, offsets: tuple[float, ...]
) -> None:
    (tmp_path / "joined.ts").write_bytes(b"".join(parts[codec, offset] for offset in offsets))
    frames = read(tmp_path / "joined.ts")
    assert len(frames) >= 25 * len(offsets) - 1
    # Where two pieces are joined a damaged picture may have been left out.
    assert max(steps(frames)) <= 3 * STEP_NS + 1
    assert min(steps(frames)) >= STEP_NS - 1000
    span = (frames[-1].timestamp_ns - frames[0].timestamp_ns) / 1e9
    assert span == pytest.approx(len(offsets) - 0.04, abs=0.13)


def test_a_counter_of_33_bits_that_begins_again_is_no_jump(tmp_path: Path) -> None:
    frames = read(clip(tmp_path / "wraps.ts", "-output_ts_offset", 2**33 / 90000 - 1.9, "-c:v", "mpeg2video"))
    assert len(frames) == 25
    assert steps(frames) == pytest.approx([STEP_NS] * 24, abs=1000)


def test_pictures_out_of_order_and_without_a_time_are_shown_in_turn() -> None:
    line = Timeline(0.04, clock_may_jump=False)
    times = [10.0, 10.04, None, None, 10.16, 10.14, 10.2, 3.0, 3.04, None, 3.12, 4000.0]
    shown = [line.next(time) for time in times]
    assert shown == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.16, 0.2, 0.24, 0.28, 0.32, 0.36, 3997.24], abs=1e-6)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "libx264"), ("a.avi", "mpeg4"), ("a.mp4", "libx264"),
                                             ("a.mpg", "mpeg2video")])  # fmt: skip
def test_pictures_that_depend_on_later_ones_come_evenly(tmp_path: Path, name: str, codec: str) -> None:
    frames = read(clip(tmp_path / name, "-c:v", codec, "-bf", 2))
    assert len(frames) == 25
    # The first few may come before it is clear which of the two clocks of the file is right.
    assert steps(frames)[6:] == pytest.approx([STEP_NS] * 18, abs=1000)
    assert frames[-1].timestamp_ns - frames[0].timestamp_ns == pytest.approx(24 * STEP_NS, abs=3 * STEP_NS)


def test_a_long_pause_stays_where_clocks_do_not_jump(tmp_path: Path) -> None:
    path = tmp_path / "slow.mkv"
    with framebus.sink(f"video:{path}") as sink:
        for seconds in (0, 1, 3601, 3602):
            sink.send(np.zeros((48, 64), np.uint8), timestamp_ns=seconds * 10**9)
    assert steps(read(path)) == [10**9, 3600 * 10**9, 10**9]


def test_start_finds_its_place_also_behind_a_clock_that_starts_again(tmp_path: Path) -> None:
    data = clip(tmp_path / "part.ts", "-c:v", "mpeg2video", "-g", 1).read_bytes()
    (tmp_path / "joined.ts").write_bytes(data * 3)
    assert len(read(tmp_path / "joined.ts")) in (74, 75)
    assert 10 <= len(read(tmp_path / "joined.ts", "&start=2.5")) <= 13


MATRICES = {"bt709": "bt709", "smpte170m": "bt601", "bt2020nc": "bt2020"}


@pytest.mark.parametrize("size", [(64, 48), (64, 720)], ids=["SD", "HD"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc", None])
def test_colours_are_read_by_the_tags_of_the_file_or_by_its_size(
    tmp_path: Path, size: tuple[int, int], matrix: str | None
) -> None:
    really = MATRICES[matrix] if matrix else "bt709" if size[1] >= 720 else "bt601"
    colour = f"color=0x20c828:s={size[0]}x{size[1]}:d=0.04:r=25,format=rgb24"
    inputs: list[object] = []
    outputs: list[object] = []
    paths = []
    for extent, stored in product(("tv", "pc"), ("yuv444p", "yuv420p", "yuv444p10le")):
        scale = f"scale=out_color_matrix={really}:out_range={extent}"
        inputs += ["-f", "lavfi", "-i", f"{colour},{scale},format={stored}"]
        tags = ["-color_range", extent] + (["-colorspace", matrix] if matrix else [])
        outputs += ["-map", len(paths), "-c:v", "libx264", "-qp", 0, *tags, tmp_path / f"{stored}-{extent}.mkv"]
        paths.append(tmp_path / f"{stored}-{extent}.mkv")
    ffmpeg(*inputs, *outputs)
    for path in paths:
        (frame,) = read(path)
        assert np.abs(frame.array.reshape(-1, 3).astype(int) - (0x28, 0xC8, 0x20)).max() <= 3, path.stem


@pytest.mark.parametrize("extent", ["tv", "pc"])
@pytest.mark.parametrize("stored", ["gray", "gray10le"])
def test_grey_is_read_by_its_range(tmp_path: Path, extent: str, stored: str) -> None:
    bits = 10 if stored == "gray10le" else 8
    black, white = (16, 235) if extent == "tv" else (0, 255)
    image = np.full((32, 32), black << bits - 8, np.uint16 if bits > 8 else np.uint8)
    image[:, 16:] = white << bits - 8 if extent == "tv" else (1 << bits) - 1
    (tmp_path / "raw").write_bytes(image.tobytes())
    raw = ["-f", "rawvideo", "-pix_fmt", stored, "-s", "32x32", "-color_range", extent, "-i", tmp_path / "raw"]
    ffmpeg(*raw, "-c:v", "ffv1", "-color_range", extent, tmp_path / "grey.mkv")
    (frame,) = read(tmp_path / "grey.mkv")
    assert frame.pixel_format == f"Mono{bits}"
    assert (frame.array[0, 0], frame.array[0, -1]) == (0, (1 << bits) - 1)


ANGLES = (0, 90, 180, 270)


@pytest.fixture(scope="module")
def all_turned(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """One video of 128x96 with each of the display matrices."""
    folder = tmp_path_factory.mktemp("turned")
    path = clip(folder / "plain.mp4", seconds=0.2, size="128x96")
    found = {angle: folder / f"{angle}.mp4" for angle in ANGLES}
    inputs = [word for angle in ANGLES for word in ("-display_rotation", angle, "-i", path)]
    outputs = [word for number, angle in enumerate(ANGLES) for word in ("-map", number, "-c", "copy", found[angle])]
    try:
        ffmpeg(*inputs, *outputs)
    except subprocess.CalledProcessError:  # before FFmpeg 6
        for angle, out in found.items():
            ffmpeg("-i", path, "-c", "copy", "-metadata:s:v", f"rotate={-angle % 360}", out)
    return found


@pytest.fixture(params=[pytest.param(angle, marks=pytest.mark.xdist_group("turned videos")) for angle in ANGLES])
def turned(request: pytest.FixtureRequest, all_turned: dict[int, Path]) -> Path:
    """A video of 128x96 with a display matrix."""
    return all_turned[request.param]


def test_pictures_are_turned_as_ffmpeg_and_opencv_turn_them(turned: Path) -> None:
    cv2 = pytest.importorskip("cv2", reason='needs OpenCV; run: pip install "framebus[opencv]"')
    frame = read(turned)[0]
    assert "rotation" not in frame.meta
    turned_wrongly = np.abs(frame.array.astype(int) - frame.array[::-1, ::-1]).mean()
    assert turned_wrongly > 40, "the test picture looks the same upside down"
    theirs = shown_by_ffmpeg(turned, frame.array.shape[:2])
    assert np.abs(frame.array.astype(int) - theirs).mean() < 12
    _, image = cv2.VideoCapture(str(turned)).read()
    assert image.shape == frame.array.shape
    assert np.abs(frame.array.astype(int) - image).mean() < 12


@pytest.mark.parametrize("filters", ["hflip", "vflip", "transpose=cclock_flip", "transpose=clock_flip"])
def test_mirrored_pictures_are_turned_as_the_matrix_says(filters: str) -> None:
    from framebus.endpoint.kinds.video.turning import Turning

    signs = {"hflip": Turning(mirrored=True), "vflip": Turning(upside_down=True),
             "transpose=cclock_flip": Turning(transposed=True),
             "transpose=clock_flip": Turning(transposed=True, mirrored=True, upside_down=True)}  # fmt: skip
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    turning = signs[filters]
    out = np.empty(turning.shape(image.shape), np.uint8)
    np.copyto(turning.as_stored(out), image)
    raw = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "gray",
        "-s",
        "6x4",
        "-i",
        "pipe:0",
        "-vf",
        filters,
        "-f",
        "rawvideo",
        "pipe:1",
    ]
    done = subprocess.run(["ffmpeg", "-v", "error", *raw], input=image.tobytes(), stdout=subprocess.PIPE, check=True)
    np.testing.assert_array_equal(out, np.frombuffer(done.stdout, np.uint8).reshape(out.shape))


def test_rotate_keeps_or_turns_from_how_it_is_stored(turned: Path) -> None:
    stored = read(turned, "&rotate=keep")[0]
    assert stored.array.shape == (96, 128, 3)
    for degrees in (0, 90, 180, 270):
        frame = read(turned, f"&rotate={degrees}")[0]
        np.testing.assert_array_equal(frame.array, np.rot90(stored.array, -degrees // 90))
        assert "rotation" not in frame.meta
    upright = read(turned)[0].array
    np.testing.assert_array_equal(np.rot90(stored.array, stored.meta.get("rotation", 0) // 90), upright)


@pytest.mark.parametrize("rotate", ["auto", "keep"])
@pytest.mark.parametrize("option", ["", "?lossy"])
def test_a_relay_into_a_file_does_not_lose_which_way_is_up(
    turned: Path, tmp_path: Path, rotate: str, option: str
) -> None:
    framebus.relay(f"video:{turned}?pace=fast&rotate={rotate}", f"video:{tmp_path}/relayed.mkv{option}")
    framebus.relay(f"video:{turned}?pace=fast&rotate={rotate}", f"images:{tmp_path}/{{seq}}.png{option}")
    with framebus.source(f"images:{tmp_path}/1.png") as source, source.recv() as image:
        np.testing.assert_array_equal(image.array, read(turned)[0].array[..., ::-1])
    np.testing.assert_array_equal(read(tmp_path / "relayed.mkv")[0].array, read(turned)[0].array)


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_transparency_of_vp8_and_vp9_is_read(tmp_path: Path, codec: str) -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[..., 1] = 200
    pixels[:, 32:, 3] = 255
    (tmp_path / "raw").write_bytes(pixels.tobytes() * 5)
    raw = ["-f", "rawvideo", "-pix_fmt", "bgra", "-s", "64x64", "-r", 25, "-i", tmp_path / "raw"]
    ffmpeg(*raw, "-c:v", codec, "-pix_fmt", "yuva420p", "-auto-alt-ref", 0, "-b:v", "1M", tmp_path / "alpha.webm")
    frames = read(tmp_path / "alpha.webm")
    assert [(frame.pixel_format, frame.array.shape) for frame in frames] == [("BGRa8", (64, 64, 4))] * 5
    assert frames[-1].array[:, :28, 3].max() < 30
    assert frames[-1].array[:, 36:, 3].min() > 225
    assert steps(frames) == [STEP_NS] * 4


@pytest.mark.parametrize("rotate", ["auto", "keep", "90"])
def test_no_picture_waits_for_the_garbage_collector(tmp_path: Path, rotate: str) -> None:
    """Else hundreds of pictures of a large video stay in memory, and a forked child frees what it may not."""
    import av

    clip = make_clip(tmp_path / "clip.mp4")
    gc.collect()
    gc.disable()
    try:
        with framebus.source(f"video:{clip}?pace=fast&rotate={rotate}") as source:
            assert sum(1 for _ in source) == PICTURES
        assert [thing for thing in gc.get_objects() if isinstance(thing, av.VideoFrame)] == []
    finally:
        gc.enable()
