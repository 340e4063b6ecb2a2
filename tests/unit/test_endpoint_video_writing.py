# SPDX-License-Identifier: Apache-2.0
"""video: writes what other programs read as it was meant: colours and tags, rates, durations, ends by a signal."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import wait_until

import framebus

pytest.importorskip("av", reason='needs PyAV; run: pip install "framebus[video]"')
pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe; run: apt-get install ffmpeg")
SECOND = 10**9
BGR = (40, 200, 32)

BT709 = {"color_space": "bt709", "color_primaries": "bt709", "color_transfer": "bt709", "color_range": "tv"}
BT601 = {"color_space": "smpte170m", "color_primaries": "smpte170m", "color_transfer": "smpte170m", "color_range": "tv"}
RGB = {"color_space": "gbr", "color_primaries": "bt709", "color_transfer": "iec61966-2-1", "color_range": "pc"}
JFIF = {"color_range": "pc", "color_space": "bt470bg"}


def probe(path: Path, what: str = "-show_streams") -> dict[str, Any]:
    done = subprocess.run(["ffprobe", "-v", "error", what, "-of", "json", path], check=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout)
    return dict(found["streams"][0] if what == "-show_streams" else found["format"])


def times_by_ffprobe(path: Path) -> list[Fraction]:
    """When the packets are shown, by another program."""
    command = ["ffprobe", "-v", "error", "-show_entries", "packet=pts:stream=time_base", "-of", "json", path]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    base = Fraction(found["streams"][0]["time_base"])
    return sorted(packet["pts"] * base for packet in found["packets"])


def shown_by_ffmpeg(*paths: Path) -> list[tuple[int, ...]]:
    """The first pixel of each video: blue, green, red."""
    inputs = [word for path in paths for word in ("-i", path)]
    raw = ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    outs = [path.with_suffix(".raw") for path in paths]
    outputs = [word for number, out in enumerate(outs) for word in ("-map", f"{number}:v", *raw, out)]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *inputs, *outputs], check=True)
    return [tuple(out.read_bytes()[:3]) for out in outs]


@pytest.mark.parametrize(
    ("name", "hd", "sd"),
    [
        ("o.mp4", BT709, BT601),
        ("o.mov", BT709, BT601),
        ("o.m4v", BT709, BT601),
        ("o.webm", BT709, BT601),
        ("o.mp4?codec=mpeg4", BT709, BT601),
        ("o.mkv?codec=libx264", BT709, BT601),
        ("o.mkv?codec=libvpx", BT601, BT601),
        ("o.mkv", RGB, RGB),
        ("o.mov?codec=mjpeg", JFIF, JFIF),
        ("o.mov?codec=png", {"color_range": "pc"}, {"color_range": "pc"}),
    ],
)
def test_colours_are_tagged_and_shown_as_they_were(
    tmp_path: Path, name: str, hd: dict[str, str], sd: dict[str, str]
) -> None:
    sizes = [(64, 720), (64, 480), (65, 719)]
    paths = [tmp_path / f"{height}{name.partition('?')[0]}" for _, height in sizes]
    for width, height in sizes:
        image = np.empty((height, width, 3), np.uint8)
        image[:] = BGR
        with framebus.sink(f"video:{tmp_path}/{height}{name}") as sink:
            for number in range(3):
                sink.send(image, pixel_format="BGR8", timestamp_ns=number * SECOND // 25)
    for (_, height), path, shown in zip(sizes, paths, shown_by_ffmpeg(*paths), strict=True):
        has = probe(path)
        wanted = hd if height >= 720 else sd
        assert {key: has.get(key) for key in wanted} == wanted, path.name
        assert np.abs(np.subtract(shown, BGR)).max() <= 6, path.name
        with framebus.source(f"video:{path}?pace=fast&pixel_format=BGR8") as source:
            assert np.abs(source.recv().array[0, 0].astype(int) - BGR).max() <= 6, path.name


@pytest.mark.parametrize("name", ["o.mkv", "o.mp4", "o.webm"])
def test_grey_is_shown_as_it_was(tmp_path: Path, name: str) -> None:
    levels = (0, 7, 128, 255)
    paths = [tmp_path / f"{level}{name}" for level in levels]
    for level, path in zip(levels, paths, strict=True):
        with framebus.sink(f"video:{path}") as sink:
            sink.send(np.full((64, 64), level, np.uint8))
    for level, path, shown in zip(levels, paths, shown_by_ffmpeg(*paths), strict=True):
        assert np.abs(np.subtract(shown, level)).max() <= 3, path.name
        with framebus.source(f"video:{path}?pace=fast&pixel_format=Mono8") as source:
            assert abs(int(source.recv().array[0, 0]) - level) <= 3, path.name


@pytest.mark.parametrize("name", ["o.mkv", "o.mp4", "o.mov", "o.mkv?codec=libx264", "o.mp4?codec=mpeg4"])
@pytest.mark.parametrize("rate", [Fraction(2000), Fraction(30000, 1001), Fraction(120), Fraction(7, 3)])
def test_rates_do_not_drift(tmp_path: Path, name: str, rate: Fraction) -> None:
    path = tmp_path / name.partition("?")[0]
    # Over hours: blocks of frames that lie far apart, each at its own place on the grid.
    numbers = [block * 3600 * int(rate) + number for block in range(3) for number in range(60)]
    with framebus.sink(f"video:{tmp_path}/{name}") as sink:
        for number in numbers:
            sink.send(np.zeros((16, 16), np.uint8), timestamp_ns=round(SECOND * number / rate))
    found = times_by_ffprobe(path)
    off = [abs(time - found[0] - number / rate) for time, number in zip(found, numbers, strict=True)]
    assert max(off) <= Fraction(1, 50000)


@pytest.mark.parametrize(("name", "most"), [("o.mkv", 50000), ("o.webm", 1000), ("o.mp4", 60000)])
def test_a_rate_that_a_file_does_not_hold_is_refused(tmp_path: Path, name: str, most: int) -> None:
    with framebus.sink(f"video:{tmp_path}/{name}") as sink:
        for number in range(10):
            sink.send(np.zeros((16, 16), np.uint8), timestamp_ns=0 if number == 0 else SECOND)
        for _ in range(most // 20 - 8):
            sink.send(np.zeros((16, 16), np.uint8), timestamp_ns=SECOND)
        with pytest.raises(framebus.EndpointError, match=rf"holds {most} frames per second at most.*fps="):
            sink.send(np.zeros((16, 16), np.uint8), timestamp_ns=SECOND)
    found = times_by_ffprobe(tmp_path / name)
    assert found[-1] - found[0] <= Fraction(106, 100)


def test_more_fps_than_a_file_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(framebus.InvalidUrl, match=r"a \.webm file holds 1000 fps at most; write a \.mkv file"):
        framebus.sink(f"video:{tmp_path}/o.webm?fps=2000")


@pytest.mark.parametrize("name", ["o.mkv", "o.mp4", "o.mov", "o.mkv?codec=mpeg4", "o.mkv?codec=libx264"])
def test_with_fps_the_pictures_have_that_distance(tmp_path: Path, name: str) -> None:
    with framebus.sink(f"video:{tmp_path}/{name}{'&' if '?' in name else '?'}fps=2000") as sink:
        for _ in range(100):
            sink.send(np.zeros((16, 16), np.uint8))
    found = times_by_ffprobe(tmp_path / name.partition("?")[0])
    assert [time - found[0] for time in found] == [Fraction(number, 2000) for number in range(100)]


@pytest.mark.parametrize("name", ["o.mkv", "o.webm", "o.mp4", "o.mov"])
def test_the_last_picture_of_a_slow_recording_lasts_as_long_as_the_one_before(tmp_path: Path, name: str) -> None:
    with framebus.sink(f"video:{tmp_path}/{name}") as sink:
        for number in range(4):
            sink.send(np.full((48, 64), number, np.uint8), timestamp_ns=number * 5 * SECOND)
    assert float(probe(tmp_path / name, "-show_format")["duration"]) == pytest.approx(20, abs=0.01)
    with framebus.source(f"video:{tmp_path}/{name}?pace=fast&loop") as source:
        stamps = [source.recv().timestamp_ns for _ in range(6)]
    assert np.diff(stamps) == pytest.approx([5 * SECOND] * 5, abs=10**6)


RELAY = [sys.executable, "-m", "framebus", "relay"]


RECORDED = "pattern:noise?fps=200&width=64&height=48"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_ends_a_relay_leaves_a_whole_file(tmp_path: Path, number: signal.Signals) -> None:
    url = f"video:{tmp_path}/o.mp4?codec=mpeg4"
    with subprocess.Popen([*RELAY, RECORDED, url]) as program:
        wait_for_bytes(tmp_path / "o.part.mp4", program)
        program.send_signal(number)
        assert program.wait() == 128 + number
    assert [path.name for path in tmp_path.iterdir()] == ["o.mp4"]
    assert float(probe(tmp_path / "o.mp4", "-show_format")["duration"]) > 0


def test_under_nohup_a_relay_goes_on_after_sighup(tmp_path: Path) -> None:
    url = f"video:{tmp_path}/o.mp4?codec=mpeg4"
    command = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *RELAY, f"{RECORDED}&count=300"]
    with subprocess.Popen([*command, url]) as program:
        wait_for_bytes(tmp_path / "o.part.mp4", program)
        program.send_signal(signal.SIGHUP)
        assert program.wait() == 0
    assert len(times_by_ffprobe(tmp_path / "o.mp4")) == 300


def wait_for_bytes(path: Path, program: subprocess.Popen[bytes]) -> None:
    """Until pictures are in the file, and not just its header: then the relay runs."""

    def are_there() -> bool:
        assert program.poll() is None
        return path.exists() and path.stat().st_size >= 40_000

    wait_until(are_there, f"pictures in {path.name}")
