# SPDX-License-Identifier: Apache-2.0
"""video: and images: with real clips, and what is left when the program that writes them is killed.

What every source and sink promises is in tests/conformance/test_files_endpoint.py.
"""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from tests.support.clips import PICTURES, RATE_HZ, make_clip, real_clip
from tests.support.harness import Programs

import framebus
from framebus.endpoint.kinds.pattern import read_number

REAL = {"bigbuckbunny.mp4": (132, 720, 1280), "bikes.mp4": (250, 272, 640)}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("threads", [0, 1])
def test_every_picture_of_a_real_clip_is_what_pyav_makes_of_it(name: str, threads: int) -> None:
    count, height, width = REAL[name]
    path = real_clip(name)
    compared = 0
    with av.open(str(path)) as container, framebus.source(f"video:{path}?pace=fast&threads={threads}") as source:
        for frame, expected in zip(source, container.decode(video=0), strict=True):
            # Neither says which matrix it has: 720 lines are taken for BT.709, fewer for BT.601.
            matrix = "ITU709" if height >= 720 else "ITU601"
            bgr = expected.reformat(format="bgr24", src_colorspace=matrix, dst_colorspace=matrix)
            np.testing.assert_array_equal(frame.array, bgr.to_ndarray())
            assert frame.meta["pts"] == expected.time
            compared += 1
    assert compared == count
    assert frame.array.shape == (height, width, 3)


def test_a_real_clip_looks_as_it_does_in_opencv() -> None:
    path = real_clip("bikes.mp4")
    capture = cv2.VideoCapture(str(path))
    for frame in framebus.source(f"video:{path}?pace=fast"):
        there, image = capture.read()
        assert there
        assert np.abs(frame.array.astype(int) - image).mean() < 3
    assert not capture.read()[0]


@pytest.mark.parametrize("name", REAL)
def test_a_real_clip_survives_the_way_through_an_exact_file(name: str, tmp_path: Path) -> None:
    path = real_clip(name)
    framebus.relay(f"video:{path}?pace=fast", f"video:{tmp_path / 'copy.mkv'}?lossy", limit=60)
    copies = list(framebus.source(f"video:{tmp_path / 'copy.mkv'}?pace=fast"))
    assert len(copies) == 60
    with framebus.source(f"video:{path}?pace=fast") as source:
        first = None
        for copy in copies:
            frame = source.recv()
            first = first or frame
            np.testing.assert_array_equal(copy.array, frame.array)
            since_ns = frame.timestamp_ns - first.timestamp_ns
            assert abs(copy.timestamp_ns - copies[0].timestamp_ns - since_ns) <= 10**6


def test_a_clip_becomes_images_and_images_a_clip_without_losing_a_bit(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    framebus.relay(f"video:{clip}?pace=fast", f"images:{tmp_path}/still-{{seq}}.png?lossy")
    framebus.relay(f"images:{tmp_path}/still-*.png", f"video:{tmp_path / 'again.mkv'}?lossy&fps={RATE_HZ}")
    before, after = (list(framebus.source(f"video:{path}?pace=fast")) for path in (clip, tmp_path / "again.mkv"))
    assert len(before) == len(after) == PICTURES
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.array, other.array)
        assert one.meta["pts"] == pytest.approx(other.meta["pts"], abs=0.001)


def killed_after(programs: Programs, count: int, sink: str, pattern: str) -> int:
    """Kills a writer when it has said `count` numbers; returns the last one it had sent for sure."""
    writer = programs.start("write_url", sink=sink, pattern=pattern, fps=25)
    for _ in range(count):
        number = writer.expect("sent")["number"]
    writer.kill()
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("form", ["BGR8", "Mono16"])
def test_of_a_killed_writer_of_mkv_all_but_the_last_second_can_be_played(
    programs: Programs, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "clip.mkv"
    sent = killed_after(programs, 200, f"video:{path}", f"pattern:ball?fps=0&width=320&height=240&pixel_format={form}")
    assert sorted(item.name for item in tmp_path.iterdir()) == [".clip.mkv.lock", "clip.part.mkv"]
    numbers = [read_number(frame.array) for frame in framebus.source(f"video:{tmp_path / 'clip.part.mkv'}?pace=fast")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= sent - 25


def test_a_killed_writer_of_mp4_leaves_the_file_before_it_alone(programs: Programs, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4")
    killed_after(programs, 100, f"video:{path}", "pattern:ball?fps=0&width=320&height=240")
    assert len(list(framebus.source(f"video:{path}?pace=fast"))) == PICTURES
    with pytest.raises(framebus.EndpointError, match=r"clip\.part\.mp4' can't be played"):
        framebus.source(f"video:{tmp_path / 'clip.part.mp4'}")


def test_the_next_writer_leaves_alone_what_a_killed_one_has_left(programs: Programs, tmp_path: Path) -> None:
    path, rescued = tmp_path / "clip.mkv", tmp_path / "clip.part.mkv"
    killed_after(programs, 50, f"video:{path}", "pattern:ball?fps=0&width=320&height=240")
    before = rescued.read_bytes()
    framebus.relay("pattern:ball?fps=100&count=5", f"video:{path}")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["clip.mkv", "clip.part.mkv"]
    assert rescued.read_bytes() == before
    assert len(list(framebus.source(f"video:{path}?pace=fast"))) == 5


def test_killed_writers_of_images_leave_whole_files_only(programs: Programs, tmp_path: Path) -> None:
    for count in range(3, 11):
        folder = tmp_path / str(count)
        sent = killed_after(programs, count, f"images:{folder}/", "pattern:noise?fps=0&width=640&height=480")
        whole = sorted(folder.glob("*.png"))
        assert len(whole) >= sent
        for number, path in enumerate(whole, start=1):
            with Image.open(path) as image:
                assert read_number(np.asarray(image)) == number
        assert len(list(folder.glob(".*.part"))) <= 1
        assert len(list(framebus.source(f"images:{folder}"))) == len(whole)
