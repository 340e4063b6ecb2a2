# SPDX-License-Identifier: Apache-2.0
"""VideoCapture by itself, without OpenCV: names and errors, whose memory an image is, grab and retrieve.

What it has in common with cv2.VideoCapture is compared call by call in tests/multiprocess/test_opencv.py.
"""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebus

WIDTH, HEIGHT = 7, 5


BGR = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)


def test_opencv_is_not_imported_for_a_loop_over_read(channel_name: str) -> None:
    code = f"""
import sys, framebus, numpy
with framebus.Publisher({channel_name!r}) as pub:
    capture = framebus.VideoCapture({channel_name!r})
    pub.send(numpy.zeros((4, 4, 3), numpy.uint8), pixel_format="RGB8")
    print(capture.read()[0], "cv2" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True False\n"


def test_image_is_private_and_may_be_drawn_into(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub, framebus.Subscriber(channel_name) as other:
        capture = framebus.VideoCapture(channel_name)
        pub.send(BGR)
        image = capture.read()[1]
        image[...] = 255
        assert (capture.retrieve()[1] == BGR).all()
        assert (other.recv(timeout=30).array == BGR).all()
        capture.release()
        image[...] = 254
        assert (image == 254).all()


def test_zero_copy_gives_shared_memory_that_can_not_be_written(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, zero_copy=True)
        pub.send(BGR, pixel_format="BGR8")
        image = capture.read()[1]
        assert image.base is not None
        assert not image.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            image[0] = 1
        for _ in range(20):
            pub.send(np.zeros_like(BGR), pixel_format="BGR8")
        assert (image == BGR).all()
        given = np.zeros_like(BGR)
        assert capture.read(given)[1] is given
        pub.send(BGR, pixel_format="RGB8")
        converted = capture.read()[1]
        assert converted.flags.writeable
        assert (converted == BGR[..., ::-1]).all()


def test_zero_copy_loop_needs_no_more_holds_than_it_has(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, zero_copy=True)
        for number in range(5):
            pub.send(np.full_like(BGR, number))
            ok, image = capture.read()
            assert ok
            assert (image == number).all()


def test_keeping_too_many_images_without_copy_raises_in_every_mode(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, zero_copy=True, hold=2)
        kept = []
        for _ in range(2):
            pub.send(BGR)
            kept.append(capture.read()[1])
        pub.send(BGR)
        with pytest.raises(framebus.TooManyHeld):
            capture.read()
        kept.clear()
        assert capture.read()[0]


def test_copies_may_be_kept_without_end(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, every=True, hold=1)
        kept = []
        for number in range(20):
            pub.send(np.full_like(BGR, number))
            kept.append(capture.read()[1])
        assert [int(image.min()) for image in kept] == [int(image.max()) for image in kept] == list(range(20))


def test_frames_of_two_cameras_are_those_that_were_grabbed(channel_name: str) -> None:
    names = [f"{channel_name}-left", f"{channel_name}-right"]
    with framebus.Publisher(names[0]) as left, framebus.Publisher(names[1]) as right:
        captures = [framebus.VideoCapture(name) for name in names]
        left.send(np.full_like(BGR, 1), timestamp_ns=5_000_000)
        right.send(np.full_like(BGR, 2), timestamp_ns=6_500_000)
        assert [capture.grab() for capture in captures] == [True, True]
        for _ in range(20):
            left.send(np.full_like(BGR, 99))
            right.send(np.full_like(BGR, 99))
        assert [int(capture.retrieve()[1].max()) for capture in captures] == [1, 2]
        assert [capture.get(framebus.CAP_PROP_POS_MSEC) for capture in captures] == [5.0, 6.5]
        assert [capture.get(framebus.CAP_PROP_POS_FRAMES) for capture in captures] == [1, 1]


def test_flag_chooses_among_the_arrays_of_a_frame(channel_name: str) -> None:
    depth = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send({"color": BGR[..., ::-1], "depth": depth}, pixel_format="RGB8")
        assert capture.grab()
        assert (capture.retrieve()[1] == BGR).all()
        ok, image = capture.retrieve(flag=1)
        assert (ok, image.dtype) == (True, np.uint16)
        assert (image == depth).all()
        assert capture.retrieve(flag=2) == capture.retrieve(flag=-1) == (False, None)
        capture.setExceptionMode(True)
        with pytest.raises(framebus.NoSuchArray, match="flag must be 0 to 1"):
            capture.retrieve(None, 2)
        with pytest.raises(framebus.UnsupportedProperty, match="can't be set to 5"):
            capture.set(framebus.CAP_PROP_FPS, 5)
        with pytest.raises(framebus.UnsupportedProperty, match="leave it out of params"):
            capture.open(channel_name, 0, [framebus.CAP_PROP_FPS, 5])
        with pytest.raises(framebus.NoFrameGrabbed, match=r"call grab\(\)"):
            capture.retrieve()


def test_newest_frame_is_read_unless_every_one_was_asked_for(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=8) as pub:
        newest, every = framebus.VideoCapture(channel_name), framebus.VideoCapture(channel_name, every=True)
        for number in range(4):
            pub.send(np.full_like(BGR, number))
        assert int(newest.read()[1].max()) == 3
        assert [int(every.read()[1].max()) for _ in range(4)] == [0, 1, 2, 3]
        assert (newest.get(framebus.CAP_PROP_BUFFERSIZE), every.get(framebus.CAP_PROP_BUFFERSIZE)) == (1, 8)
        assert newest.set(framebus.CAP_PROP_BUFFERSIZE, 1)
        assert not every.set(framebus.CAP_PROP_BUFFERSIZE, 1)
        late = framebus.VideoCapture(channel_name, history=2)
        assert [int(late.read()[1].max()) for _ in range(2)] == [2, 3]


def test_loop_ends_when_the_publisher_closes_and_begins_again_with_the_next(channel_name: str) -> None:
    first = framebus.Publisher(channel_name)
    capture = framebus.VideoCapture(channel_name, timeout=None)
    first.send(BGR)
    first.close()
    assert capture.read()[0]
    assert [capture.read() for _ in range(2)] == [(False, None), (False, None)]
    assert capture.isOpened()
    capture.setExceptionMode(True)
    with pytest.raises(framebus.ChannelClosed, match=channel_name):
        capture.read()
    with framebus.Publisher(channel_name) as second:
        second.send(BGR)
        assert capture.read()[0]


def test_loop_that_waits_ends_when_the_publisher_closes(channel_name: str) -> None:
    results: list[tuple[bool, Any]] = []
    with framebus.Publisher(channel_name):
        capture = framebus.VideoCapture(channel_name, timeout=None)
        reader = threading.Thread(target=lambda: results.append(capture.read()))
        reader.start()
    reader.join(60)
    assert results == [(False, None)]


def test_release_by_another_thread_ends_a_read(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        for _ in range(20):  # so that release() meets the reader before, in and after its preparations to sleep
            capture = framebus.VideoCapture(channel_name, timeout=None)
            reading, results = threading.Event(), []

            def read(
                capture: framebus.VideoCapture = capture,
                reading: threading.Event = reading,
                results: list[tuple[bool, Any]] = results,
            ) -> None:
                assert capture.read()[0]
                reading.set()
                results.append(capture.read())

            pub.send(BGR)
            reader = threading.Thread(target=read)
            reader.start()
            assert reading.wait(60)
            capture.release()
            reader.join(60)
            assert results == [(False, None)]


def test_release_gives_the_place_and_the_slot_back(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send(BGR)
        assert capture.grab()
        assert (pub.statistics().subscribers, pub.statistics().held) == (1, 1)
        capture.release()
        assert (pub.statistics().subscribers, pub.statistics().held) == (0, 0)
        assert capture.open(channel_name)
        assert pub.statistics().subscribers == 1
        del capture
        gc.collect()
        assert pub.statistics().subscribers == 0


def test_missing_channel_is_not_opened_and_the_reason_is_logged(
    channel_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "framebus"):
        capture = framebus.VideoCapture(channel_name)
    assert not capture.isOpened()
    assert f"no program publishes '{channel_name}'" in caplog.text
    assert capture.read() == (False, None)
    capture.setExceptionMode(True)
    with pytest.raises(framebus.ChannelNotFound, match="Start the publisher's program first"):
        capture.open(channel_name)
    with pytest.raises(framebus.ChannelClosed, match="not open"):
        capture.read()
    with framebus.Publisher(channel_name):
        assert capture.open(channel_name)


def test_time_out_ends_a_read_and_the_next_one_goes_on(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, timeout=0.0)
        assert capture.read() == (False, None)
        pub.send(BGR)
        assert capture.read()[0]
        capture.setExceptionMode(True)
        with pytest.raises(framebus.Timeout):
            capture.grab()


def test_time_limits_are_taken_from_params_as_opencv_has_them(channel_name: str) -> None:
    read, connect = framebus.CAP_PROP_READ_TIMEOUT_MSEC, framebus.CAP_PROP_OPEN_TIMEOUT_MSEC
    with framebus.Publisher(channel_name):
        capture = framebus.VideoCapture(channel_name, 0, [read, 20, connect, 1500])
        assert (capture.get(read), capture.get(connect)) == (20, 1500)
        assert capture.read() == (False, None)
        assert capture.set(read, 0)
        assert capture.get(read) == 0
        capture.open(channel_name)
        assert (capture.get(read), capture.get(connect)) == (30_000, 0)
        assert framebus.VideoCapture(channel_name, 0, [framebus.CAP_PROP_CONVERT_RGB, 0]).get(16) == 0
        for params in ([read], [read, -1]):
            with pytest.raises(ValueError, match=r"params must be pairs|a timeout must be"):
                framebus.VideoCapture(channel_name, 0, params)
        assert not framebus.VideoCapture(channel_name, 0, [framebus.CAP_PROP_FRAME_WIDTH, 640]).isOpened()


def test_opening_with_a_time_limit_waits_for_the_publisher(channel_name: str) -> None:
    results: list[framebus.VideoCapture] = []
    params = [framebus.CAP_PROP_OPEN_TIMEOUT_MSEC, 60_000]
    opener = threading.Thread(target=lambda: results.append(framebus.VideoCapture(channel_name, 0, params)))
    opener.start()
    with framebus.Publisher(channel_name) as pub:
        opener.join(60)
        assert results[0].isOpened()
        pub.send(BGR)
        assert results[0].read()[0]
        results.clear()


@pytest.mark.parametrize("wrong", [0, 1.5, Path("clip.mp4"), b"camera0"])
def test_what_is_no_str_is_refused_with_the_way_to_opencv_and_the_channels_there_are(
    channel_name: str, wrong: Any
) -> None:
    with framebus.Publisher(channel_name):
        with pytest.raises(TypeError, match=rf"name of a channel.*cv2\.VideoCapture.*{channel_name}"):
            framebus.VideoCapture(wrong)


@pytest.mark.parametrize("wrong", ["/dev/video0", "rtsp://host/stream", "clips/clip.mp4", ""])
def test_what_can_not_be_a_channel_is_not_opened_and_the_way_to_opencv_is_logged(
    wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    capture = framebus.VideoCapture(wrong)
    assert (capture.isOpened(), capture.read()) == (False, (False, None))
    assert "cv2.VideoCapture" in caplog.text
    capture.setExceptionMode(True)
    with pytest.raises(framebus.InvalidName, match=r"not a channel name.*cv2\.VideoCapture"):
        capture.open(wrong)


def test_file_whose_name_could_be_a_channel_is_not_opened_with_that_reason_unless_it_is_one(
    channel_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"{channel_name}.mp4"
    assert not framebus.VideoCapture(name).isOpened()
    assert "is a file" not in caplog.text
    Path(name).write_bytes(b"")
    assert not framebus.VideoCapture(name).isOpened()
    assert "is a file, and no channel of that name runs" in caplog.text
    with framebus.Publisher(name):
        assert framebus.VideoCapture(name).isOpened()


def test_size_and_format_are_known_before_the_first_read_and_after_the_end(channel_name: str) -> None:
    numbers = (framebus.CAP_PROP_FRAME_WIDTH, framebus.CAP_PROP_FRAME_HEIGHT, framebus.CAP_PROP_FOURCC)
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, timeout=0)
        assert [capture.get(number) for number in numbers] == [0, 0, -1]
        pub.send(BGR, pixel_format="RGB8")
        expected = [WIDTH, HEIGHT, int.from_bytes(b"RGB3", "little")]
        assert [capture.get(number) for number in numbers] == expected
        assert capture.read()[0]
    assert not capture.read()[0]
    assert [capture.get(number) for number in numbers] == expected
    assert capture.get(framebus.CAP_PROP_FRAME_COUNT) == framebus.CAP_PROP_UNKNOWN
    capture.release()
    assert [capture.get(number) for number in numbers] == [-1, -1, -1]


def test_wrong_options_are_refused(channel_name: str) -> None:
    with pytest.raises(ValueError, match="timeout must be 0 or more seconds, or None, got -1"):
        framebus.VideoCapture(channel_name, timeout=-1)
    with framebus.Publisher(channel_name), pytest.raises(ValueError, match="hold must be 1 to 64"):
        framebus.VideoCapture(channel_name, hold=0)


def test_backend_has_a_name_once_there_is_one(channel_name: str) -> None:
    with framebus.Publisher(channel_name):
        capture = framebus.VideoCapture()
        assert repr(capture) == "<VideoCapture not open>"
        with pytest.raises(framebus.ChannelClosed, match="not open"):
            capture.getBackendName()
        assert capture.open(channel_name)
        assert (capture.getBackendName(), repr(capture)) == ("FRAMEBUS", f"<VideoCapture '{channel_name}'>")
        capture.release()
