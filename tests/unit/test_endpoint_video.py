# SPDX-License-Identifier: Apache-2.0
"""video: writes what it can read, bit by bit where the codec can, and says what a file can't keep and what is wrong."""

from __future__ import annotations

import sys
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import framebus
from framebus.endpoint.kinds.pattern import read_number

RANDOM = np.random.default_rng(3)
SECOND = 10**9


def noise(form: str, shape: tuple[int, int] = (37, 51), top: int | None = None) -> NDArray[Any]:
    """A picture that no lossy codec could keep."""
    known = framebus.frames.pixel_format.FORMATS[form]
    size = shape if known.channels == 1 else (*shape, known.channels)
    most = top or np.iinfo(known.dtype).max
    return RANDOM.integers(0, most, size, known.dtype, endpoint=True)


def write(path: Path, images: list[NDArray[Any]], options: str = "", **given: Any) -> None:
    with framebus.sink(f"video:{path}{options}") as sink:
        for number, image in enumerate(images):
            sink.send(image, timestamp_ns=number * SECOND // 25, **given)


def read(path: Path, options: str = "") -> list[framebus.Frame]:
    with framebus.source(f"video:{path}?pace=fast{options}") as source:
        return list(source)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("encoded") / "clip.mkv"
    with framebus.source("pattern:ball?count=20&fps=0&width=160&height=120") as source:
        write(path, [frame.array for frame in source], pixel_format="BGR8")
    return path.read_bytes()


@pytest.fixture
def clip(tmp_path: Path, encoded: bytes) -> Path:
    """Twenty numbered pictures, 25 a second, exact."""
    (tmp_path / "clip.mkv").write_bytes(encoded)
    return tmp_path / "clip.mkv"


@pytest.mark.parametrize(
    ("form", "top", "read_as"),
    [
        ("Mono8", None, "Mono8"),
        ("Mono10", 1023, "Mono10"),
        ("Mono12", 4095, "Mono12"),
        ("Mono14", 16383, "Mono14"),
        ("Mono16", None, "Mono16"),
        ("BGR8", None, "BGR8"),
        ("RGB8", None, "BGR8"),
        ("BGRa8", None, "BGRa8"),
        ("RGBa8", None, "BGRa8"),
        ("BGR16", None, "BGR16"),
        ("RGB16", None, "BGR16"),
        ("BGRa16", None, "BGRa16"),
        ("RGBa16", None, "BGRa16"),
    ],
)
@pytest.mark.parametrize("shape", [(37, 51), (48, 64), (1, 1)])
def test_mkv_keeps_every_bit(tmp_path: Path, form: str, top: int | None, read_as: str, shape: tuple[int, int]) -> None:
    images = [noise(form, shape, top) for _ in range(4)]
    write(tmp_path / "exact.mkv", images, pixel_format=form)
    frames = read(tmp_path / "exact.mkv")
    assert {frame.pixel_format for frame in frames} == {read_as}
    assert len(frames) == 4
    for frame, image in zip(frames, images, strict=True):
        swapped = image[..., [2, 1, 0, 3][: image.shape[-1]]] if form.startswith("RGB") else image
        np.testing.assert_array_equal(frame.array, swapped)
    as_sent = read(tmp_path / "exact.mkv", f"&pixel_format={form}")
    for frame, image in zip(as_sent, images, strict=True):
        np.testing.assert_array_equal(frame.array, image)


@pytest.mark.parametrize(
    ("image", "read_as"),
    [
        (noise("Mono8"), "Mono8"),
        (noise("Mono8")[..., np.newaxis], "Mono8"),
        (noise("Mono16"), "Mono16"),
        (noise("BGR8"), "BGR8"),
        (noise("BGR8")[::-1, ::-1], "BGR8"),
        (noise("BGRa8"), "BGRa8"),
    ],
    ids=["grey", "grey with an axis", "16 bits", "colours", "backwards", "alpha"],
)
def test_without_a_pixel_format_an_image_is_what_it_looks_like(
    tmp_path: Path, image: NDArray[Any], read_as: str
) -> None:
    write(tmp_path / "plain.mkv", [image])
    (frame,) = read(tmp_path / "plain.mkv")
    assert frame.pixel_format == read_as
    np.testing.assert_array_equal(frame.array, image.reshape(frame.array.shape))


@pytest.mark.parametrize(
    "name", ["clip.mkv", "clip.mp4", "clip.mov", "clip.m4v", "clip.webm", "clip.mp4?codec=mpeg4", "clip.mp4?crf=35",
             "clip.mp4?bitrate=300000", "clip.mkv?codec=libx264&threads=1", "clip.webm?crf=40"],
)  # fmt: skip
@pytest.mark.parametrize("size", [(320, 240), (321, 239)])
def test_every_kind_of_file_has_every_picture_in_order(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    pattern = f"pattern:gradient?count=9&fps=100&width={size[0]}&height={size[1]}"
    done = framebus.relay(pattern, f"video:{tmp_path / name}")
    frames = read(tmp_path / name.partition("?")[0])
    assert [read_number(frame.array) for frame in frames] == list(range(1, 10))
    assert done.frames == 9
    assert {frame.array.shape for frame in frames} == {(size[1], size[0], 3)}


@pytest.mark.parametrize(("name", "tick_ns"), [("clip.mkv", 20_000), ("clip.mp4", 10**9 // 60000 + 1)])
def test_pictures_keep_their_distances_however_uneven(tmp_path: Path, name: str, tick_ns: int) -> None:
    times_ns = [7 * SECOND + at for at in (0, 40_000_000, 45_000_000, 1_000_000_000, 3_210_000_000, 3_230_000_000)]
    with framebus.sink(f"video:{tmp_path / name}") as sink:
        for number, time_ns in enumerate(times_ns):
            sink.send(np.full((48, 64, 3), 40 * number, np.uint8), timestamp_ns=time_ns)
    frames = read(tmp_path / name)
    found = np.array([frame.timestamp_ns - frames[0].timestamp_ns for frame in frames])
    assert np.abs(found - (np.array(times_ns) - times_ns[0])).max() <= tick_ns
    walls = [frame.wall_time_ns - frame.timestamp_ns for frame in frames]
    assert len(set(walls)) == 1, "the two clocks drift apart"


def test_pictures_closer_than_a_tick_are_moved_apart_and_none_is_lost(tmp_path: Path) -> None:
    with framebus.sink(f"video:{tmp_path / 'burst.mkv'}") as sink:
        for number in range(50):
            sink.send(np.full((4, 4), number, np.uint8), timestamp_ns=SECOND + number)
    frames = read(tmp_path / "burst.mkv")
    assert [int(frame.array[0, 0]) for frame in frames] == list(range(50))
    assert np.diff([frame.timestamp_ns for frame in frames]).tolist() == [20_000] * 49


def test_with_fps_timestamps_do_not_matter(tmp_path: Path) -> None:
    with framebus.sink(f"video:{tmp_path / 'even.mp4'}?fps=12.5") as sink:
        for time_ns in (SECOND, SECOND, 0, 9 * SECOND):
            sink.send(np.zeros((48, 64, 3), np.uint8), timestamp_ns=time_ns)
    frames = read(tmp_path / "even.mp4")
    assert np.diff([frame.timestamp_ns for frame in frames]).tolist() == [80_000_000] * 3


def test_frames_say_where_they_are_from_and_count_from_one(clip: Path) -> None:
    frames = read(clip)
    assert [frame.seq for frame in frames] == list(range(1, 21))
    assert [frame.meta["index"] for frame in frames] == list(range(20))
    assert [frame.meta["pts"] for frame in frames] == pytest.approx([number / 25 for number in range(20)])
    rest = {(frame.meta["file"], frame.meta["round"], frame.meta["time_base"]) for frame in frames}
    assert rest == {(str(clip), 0, "1/50000")}
    assert np.diff([frame.timestamp_ns for frame in frames]).tolist() == [40_000_000] * 19


def test_at_real_pace_no_frame_comes_before_it_is_due(clip: Path) -> None:
    with framebus.source(f"video:{clip}") as source:
        first = source.recv(timeout=60)
        assert source.try_recv() is None
        with pytest.raises(framebus.Timeout, match="is due in"):
            source.recv(timeout=0.001)
        for number, frame in enumerate(source, start=2):
            assert time.monotonic_ns() >= frame.timestamp_ns == first.timestamp_ns + (number - 1) * 40_000_000
            assert read_number(frame.array) == number
        with pytest.raises(framebus.ChannelClosed, match=r"has ended after 20 frames; \?loop"):
            source.recv()


def test_a_loop_goes_on_at_the_same_pace_and_says_which_round_it_is(clip: Path) -> None:
    with framebus.source(f"video:{clip}?pace=fast&loop") as source:
        frames = [source.recv() for _ in range(50)]
    assert [read_number(frame.array) for frame in frames] == [number % 20 + 1 for number in range(50)]
    assert [frame.meta["round"] for frame in frames] == [number // 20 for number in range(50)]
    assert [frame.seq for frame in frames] == list(range(1, 51))
    assert np.diff([frame.timestamp_ns for frame in frames]) == pytest.approx([40_000_000] * 49, abs=1)


@pytest.mark.parametrize("name", ["long.mkv", "long.mp4"])
@pytest.mark.parametrize("loop", ["", "&loop"])
def test_start_leaves_out_what_comes_before(tmp_path: Path, name: str, loop: str) -> None:
    images = [frame.array for frame in framebus.source("pattern:bars?count=60&fps=0&width=96&height=64")]
    write(tmp_path / name, images)
    with framebus.source(f"video:{tmp_path / name}?pace=fast&start=1.1{loop}") as source:
        frames = [source.recv() for _ in range(32 + 2 * bool(loop))]
    numbers = [29, *range(30, 61), 29, 30]
    assert [read_number(frame.array) for frame in frames] == numbers[: len(frames)]
    assert frames[0].meta["pts"] >= 1.1
    assert frames[0].meta["index"] == 0


def test_start_behind_the_end_is_an_error(clip: Path) -> None:
    with pytest.raises(framebus.EndpointError, match=r"clip\.mkv' has no picture .* at or after start=60"):
        framebus.source(f"video:{clip}?start=60")


def test_pixel_formats_are_converted_on_request(clip: Path) -> None:
    bgr, rgb, grey, deep = (read(clip, f"&pixel_format={form}")[0] for form in ("BGR8", "RGB8", "Mono8", "Mono16"))
    np.testing.assert_array_equal(bgr.array[..., ::-1], rgb.array)
    assert (grey.array.shape, grey.array.dtype, grey.pixel_format) == ((120, 160), np.uint8, "Mono8")
    assert (deep.array.shape, deep.array.dtype, deep.pixel_format) == ((120, 160), np.uint16, "Mono16")
    np.testing.assert_allclose(deep.array / 257, grey.array, atol=2)


def test_native_refuses_to_convert(tmp_path: Path) -> None:
    write(tmp_path / "grey.mkv", [noise("Mono16")])
    assert read(tmp_path / "grey.mkv", "&pixel_format=native")[0].pixel_format == "Mono16"
    write(tmp_path / "colour.mp4", [noise("BGR8", (48, 64))])
    with pytest.raises(framebus.EndpointError, match=r"stored as yuv420p.* ask for pixel_format=BGR8"):
        framebus.source(f"video:{tmp_path / 'colour.mp4'}?pixel_format=native")


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ((np.zeros((48, 66, 3), np.uint8), {}), "has pictures of 64x48 BGR8, and frame 2 is 66x48 BGR8"),
        ((np.zeros((48, 64), np.uint8), {}), "frame 2 is 64x48 Mono8"),
        ((np.zeros((48, 64, 3), np.float32), {}), "frame 2 is 48x64x3 float32"),
        ((np.zeros((48, 64, 3), np.uint8), {"pixel_format": "Mono8"}), "frame 2 is 48x64x3 uint8 Mono8"),
        ((np.zeros((48, 64, 3), np.uint8), {"pixel_format": "BayerRG8"}), "frame 2 is 48x64x3 uint8 BayerRG8"),
        ((np.zeros(5, np.uint8), {}), "frame 2 is 5 uint8"),
        ((np.zeros((0, 64, 3), np.uint8), {}), "frame 2 is 0x64x3"),
        ((np.zeros((48, 64, 3), np.uint8), {"meta": {"a": 1}}), r"can't carry metadata.*\?lossy"),
        (({"a": np.zeros((48, 64, 3), np.uint8), "b": np.zeros(1)}, {}), "can't carry 2 arrays"),
        ((np.zeros((48, 64, 3), np.uint8), {"timestamp_ns": 1}), r"frame 2 is 1 s older .* fps="),
    ],
)
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4"])
def test_a_frame_that_does_not_fit_is_refused_and_the_others_are_kept(
    tmp_path: Path, name: str, second: tuple[Any, dict[str, Any]], says: str
) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    with framebus.sink(f"video:{tmp_path / name}") as sink:
        sink.send(image, timestamp_ns=SECOND + 1)
        with pytest.raises(framebus.EndpointError, match=says):
            sink.send(second[0], **{"timestamp_ns": 2 * SECOND, **second[1]})
        assert sink.send(image, timestamp_ns=3 * SECOND) == 2
    assert len(read(tmp_path / name)) == 2


@pytest.mark.parametrize("form", ["Mono16", "BGRa8", "BGR16", "Mono12"])
def test_what_a_codec_does_not_store_is_refused_unless_it_may_be_left_out(tmp_path: Path, form: str) -> None:
    image = noise(form, (48, 64), 4095 if form == "Mono12" else None)
    with framebus.sink(f"video:{tmp_path / 'clip.mp4'}") as sink:
        with pytest.raises(framebus.EndpointError, match=rf"can't store {form} as it is; write a \.mkv .* \?lossy"):
            sink.send(image, pixel_format=form)
    write(tmp_path / "clip.mp4", [image], "?lossy", pixel_format=form, meta={"left": "out"})
    assert read(tmp_path / "clip.mp4")[0].pixel_format == "BGR8"


def test_a_codec_without_crf_says_so(tmp_path: Path) -> None:
    with framebus.sink(f"video:{tmp_path / 'clip.mp4'}?codec=mpeg4&crf=20") as sink:
        with pytest.raises(framebus.EndpointError, match="mpeg4 knows no crf; say bitrate="):
            sink.send(np.zeros((48, 64, 3), np.uint8))
    framebus.sink(f"video:{tmp_path / 'clip.mp4'}").close()
    assert list(tmp_path.iterdir()) == [], "a sink that got nothing has left something"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("video:{}/a.xyz", r"ends in one of \.mkv, \.webm, \.mp4"),
        ("video:{}/a.mp4?codec=nonsense", "PyAV has no encoder nonsense here"),
        ("video:{}/a.mp4?crf=-1", "crf must be 0 or more"),
        ("video:{}/a.mp4?bitrate=0", "bitrate must be 1 or more"),
        ("video:{}/a.mp4?crf=1&bitrate=5", "contradict each other"),
        ("video:{}/a.mkv?crf=1", "FFV1 keeps every bit"),
        ("video:{}/a.mp4?fps=0", "fps must be above 0"),
        ("video:{}/missing/a.mp4", "can't be written: .*No such file"),
        ("video:{}/folder.mp4", "can't be written: .* is a folder"),
    ],
)
def test_a_file_that_can_not_be_written_is_refused_at_once(tmp_path: Path, url: str, says: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(framebus.EndpointError, match=says):
        framebus.sink(url.format(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.mp4", r"missing\.mp4' can't be played: .*No such file"),
        ("folder", r"folder' can't be played: .*(Is a directory|Invalid data)"),
        ("text.mp4", r"text\.mp4' can't be played: .*Invalid data"),
        ("empty.mkv", r"empty\.mkv' can't be played: .*"),
        ("sound.wav", r"sound\.wav' has no video in it"),
        ("http://127.0.0.1:9/a.mp4", r"a\.mp4' can't be played: .*No such file"),
    ],
)
def test_a_file_that_can_not_be_played_is_an_error_that_names_it(
    tmp_path: Path, name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("text.mp4").write_text("no video at all\n" * 100)
    Path("empty.mkv").touch()
    with wave.open("sound.wav", "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    with pytest.raises(framebus.EndpointError, match=says):
        framebus.source(f"video:{name}")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("start=-1", "start must be 0 or more"),
        ("start=nan", "start must be 0 or more"),
        ("threads=-1", "threads must be 0 or more"),
        ("pixel_format=BayerRG8", "pixel_format must be auto, native or one of Mono8, "),
        ("pace=slow", "pace must be real or fast"),
        ("speed=2", r"no option 'speed' here; it knows pace, .*%3F"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(clip: Path, options: str, says: str) -> None:
    with pytest.raises(framebus.InvalidUrl, match=says):
        framebus.source(f"video:{clip}?{options}")


def test_names_may_have_any_character(tmp_path: Path) -> None:
    odd = tmp_path / "what? a:b & 100%.mkv"
    url = str(odd).replace("%", "%25").replace("?", "%3F")
    write(Path(url), [noise("Mono8")])
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]
    assert len(read(Path(url))) == 1


def test_the_file_before_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, [noise("BGR8", (48, 64))] * 3)
    with framebus.sink(f"video:{path}") as sink:
        for number in range(5):
            sink.send(noise("BGR8", (48, 64)), timestamp_ns=number * SECOND)
            assert len(read(path)) == 3
        assert sorted(item.name for item in tmp_path.iterdir()) == [".clip.mp4.lock", "clip.mp4", "clip.part.mp4"]
    assert len(read(path)) == 5
    assert [item.name for item in tmp_path.iterdir()] == ["clip.mp4"]
    with pytest.raises(framebus.ChannelClosed):
        sink.send(noise("BGR8", (48, 64)))


def test_a_block_that_raises_leaves_a_whole_file(tmp_path: Path) -> None:
    def fail() -> None:
        with framebus.sink(f"video:{tmp_path / 'clip.mp4'}") as sink:
            sink.send(noise("BGR8", (48, 64)))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(read(tmp_path / "clip.mp4")) == 1


def test_damaged_pieces_are_counted_and_left_out_and_the_rest_is_played(tmp_path: Path) -> None:
    images = [frame.array for frame in framebus.source("pattern:noise?count=20&fps=0&width=96&height=64")]
    path = tmp_path / "clip.mov"
    write(path, images, "?codec=png")
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(b"\x89PNG", at)]
    assert len(starts) == 20
    for number in (5, 11):
        data[starts[number] : starts[number] + 4] = b"what"
    path.write_bytes(data)
    with framebus.source(f"video:{path}?pace=fast") as source:
        numbers = [read_number(frame.array) for frame in source]
        assert numbers == [number for number in range(1, 21) if number not in (6, 12)]
        assert (source.statistics().frames, source.statistics().refused) == (18, 2)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_of_an_mkv_that_was_cut_off_the_beginning_is_played(clip: Path, share: float) -> None:
    data = clip.read_bytes()
    clip.write_bytes(data[: int(len(data) * share)])
    numbers = [read_number(frame.array) for frame in read(clip)]
    assert 0 < len(numbers) < 20
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_mp4_that_was_cut_off_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, [noise("BGR8", (48, 64)) for _ in range(20)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(framebus.EndpointError, match=r"clip\.mp4' can't be played: .*Invalid data"):
        framebus.source(f"video:{path}")


def test_without_pyav_the_error_says_what_to_install(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    for opened in (framebus.source, framebus.sink):
        with pytest.raises(framebus.EndpointError, match=r'pip install "framebus\[video\]"'):
            opened(f"video:{clip}")
