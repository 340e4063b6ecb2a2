# SPDX-License-Identifier: Apache-2.0
"""What VideoCapture knows before the first read(), and that nothing which cv2 answers with False raises.

cv2.VideoCapture of a camera knows width, height and rate at once; programs make a VideoWriter of them before they read.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tests.support.started import Started

import framebus

WIDTH, HEIGHT = 64, 48
BGR = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
SIZE_AND_RATE = (framebus.CAP_PROP_FRAME_WIDTH, framebus.CAP_PROP_FRAME_HEIGHT, framebus.CAP_PROP_FPS)
PERIOD_NS = 20_000_000
OPTIONS: list[dict[str, Any]] = [{}, {"every": True}, {"hold": 1}, {"every": True, "hold": 1}, {"zero_copy": True}]


def numbered(number: int) -> Any:
    return np.full_like(BGR, number)


@contextlib.contextmanager
def sending(pub: framebus.Publisher, wanted: threading.Event, count: int) -> Iterator[None]:
    """Sends frames 1, 2 ... from another thread, which begins once somebody waits for the channel's first frame."""

    def send() -> None:
        assert wanted.wait(60)
        for number in range(1, count + 1):
            pub.send(numbered(number), timestamp_ns=number * PERIOD_NS, timeout=60)

    thread = threading.Thread(target=send)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_width_height_and_rate_wait_for_the_first_frames_and_leave_them_to_read(
    channel_name: str, options: dict[str, Any]
) -> None:
    asked = threading.Event()
    with framebus.Publisher(channel_name, on_full="block", slots=8) as pub:
        capture = framebus.VideoCapture(channel_name, timeout=None, **options)
        assert capture.isOpened()
        with sending(pub, asked, 5):
            asked.set()
            assert [capture.get(prop) for prop in SIZE_AND_RATE[:2]] == [WIDTH, HEIGHT]
            assert capture.get(framebus.CAP_PROP_FPS) > 0
            assert capture.get(framebus.CAP_PROP_FOURCC) == int.from_bytes(b"BGR3", "little")
        ok, image = capture.read()
        assert ok
        assert capture.get(framebus.CAP_PROP_POS_FRAMES) == image[0, 0, 0]
        if options.get("every"):
            assert image[0, 0, 0] == 1
            assert [capture.read()[1][0, 0, 0] for _ in range(4)] == [2, 3, 4, 5]
        capture.release()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("prop", SIZE_AND_RATE)
def test_a_frame_that_a_question_waited_for_is_the_next_that_is_read(
    channel_name: str, options: dict[str, Any], prop: int
) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name, timeout=None if prop != framebus.CAP_PROP_FPS else 0, **options)
        asked = threading.Event()
        with sending(pub, asked, 1):
            asked.set()
            capture.get(prop)
        ok, image = capture.read()
        assert (ok, image[0, 0, 0], capture.get(framebus.CAP_PROP_POS_FRAMES)) == (True, 1, 1)
        del image
        pub.send(numbered(2))
        assert capture.read()[1][0, 0, 0] == 2
        capture.release()


def test_rate_is_known_from_two_frames_of_a_channel_that_has_ended(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        ours = {
            "before": framebus.VideoCapture(channel_name, every=True),
            "after": framebus.VideoCapture(channel_name, every=True, hold=1),
        }
        for number in range(1, 4):
            pub.send(numbered(number), timestamp_ns=number * PERIOD_NS)
    assert ours["before"].get(framebus.CAP_PROP_FPS) == pytest.approx(50)
    assert [ours["before"].get(prop) for prop in SIZE_AND_RATE[:2]] == [WIDTH, HEIGHT]
    assert [ours["after"].read()[0] for _ in range(2)] == [True, True]
    assert ours["after"].get(framebus.CAP_PROP_FPS) == pytest.approx(50)
    assert [ours["before"].read()[1][0, 0, 0] for _ in range(3)] == [1, 2, 3]
    assert ours["before"].read() == (False, None)
    assert ours["before"].get(framebus.CAP_PROP_FPS) == pytest.approx(50)


def test_all_questions_together_wait_no_longer_than_read_would(channel_name: str) -> None:
    waited: list[float | None] = []
    with framebus.Publisher(channel_name):
        capture = framebus.VideoCapture(channel_name, timeout=0.2)
        assert capture._lookahead is not None
        fetch = capture._lookahead.subscriber._next
        capture._lookahead.subscriber = Recording(capture._lookahead.subscriber, fetch, waited)  # type: ignore[assignment]
        assert [capture.get(prop) for prop in SIZE_AND_RATE[:2] * 3] == [0] * 6
        capture._lookahead.subscriber = capture._lookahead.subscriber.real  # type: ignore[attr-defined]
        capture.release()
    assert waited[0] == 0.2
    assert waited[1:] == [0.0] * 5


class Recording:
    """A subscriber that notes how long it was told to wait."""

    def __init__(self, real: framebus.Subscriber, fetch: Callable[[Any], Any], waited: list[float | None]) -> None:
        self.real, self.name = real, real.name
        self._fetch, self._waited = fetch, waited

    def _next(self, timeout: float | None) -> Any:
        self._waited.append(timeout)
        return self._fetch(timeout)


def test_release_by_another_thread_ends_a_question(channel_name: str) -> None:
    found: list[float] = []
    with framebus.Publisher(channel_name):
        for prop in SIZE_AND_RATE:
            capture = framebus.VideoCapture(channel_name, timeout=None)
            asking = threading.Thread(target=lambda c=capture, p=prop: found.append(c.get(p)))
            asking.start()
            capture.release()
            asking.join()
    assert len(found) == 3
    assert set(found) <= {0.0, -1.0}


CODE = """
import sys, numpy, framebus
pub = framebus.Publisher(sys.argv[1])
pub.send(numpy.zeros((48, 64, 3), numpy.uint8))
print("ready", flush=True)
sys.stdin.read()
"""


def opened_on(name: str, state: str, **options: Any) -> framebus.VideoCapture:
    """A VideoCapture in one of STATES."""
    capture = framebus.VideoCapture(timeout=0, **options)
    if state == "never opened":
        return capture
    if state == "dead publisher":
        with Started(sys.executable, "-c", CODE, name) as program:
            assert program.line() == "ready"
            capture.open(name)
        return capture
    with framebus.Publisher(name) as pub:
        assert capture.open(name)
        if state != "closed before a frame":
            pub.send(FRAMES.get(state, BGR), pixel_format=FORMATS.get(state))
        if state == "removed by hand":
            for file in os.listdir("/dev/shm"):
                if file.startswith(f"framebus.{name}"):
                    os.unlink(f"/dev/shm/{file}")
    if state == "released":
        capture.release()
        capture.release()
    return capture


FRAMES: dict[str, Any] = {
    "scalar": np.uint8(3), "empty": BGR[:0], "no pixels in a row": BGR[:, :0], "one dimension": BGR[0, 0],
    "five dimensions": BGR[None, None], "complex": BGR.astype(np.complex64), "odd YUYV": np.zeros((4, 3, 2), np.uint8),
    "odd NV12": np.zeros((9, 3), np.uint8), "I420 of no such height": np.zeros((10, 4), np.uint8),
    "one pixel of Bayer": np.zeros((1, 1), np.uint8), "empty Bayer": np.zeros((0, 4), np.uint8),
    "packed": np.zeros((4, 6), np.uint8), "float BGR8": BGR.astype(np.float32),
}  # fmt: skip
FORMATS = {
    "odd YUYV": "YUV422_8", "odd NV12": "YCbCr420_8_YY_CbCr_Semiplanar",
    "I420 of no such height": "YCbCr420_8_YY_CbCr_Planar", "one pixel of Bayer": "BayerRG8",
    "empty Bayer": "BayerRG8", "packed": "Mono12p", "float BGR8": "BGR8",
}  # fmt: skip
STATES = (
    "never opened", "closed before a frame", "closed", "dead publisher", "removed by hand", "released", *FRAMES
)  # fmt: skip


@pytest.mark.parametrize("options", [{}, {"every": True}, {"reconnect": False}, {"zero_copy": True}], ids=str)
@pytest.mark.parametrize("state", STATES)
def test_what_opencv_answers_with_false_never_raises(channel_name: str, state: str, options: dict[str, Any]) -> None:
    capture = opened_on(channel_name, state, **options)
    for _ in range(3):
        for prop in (*range(-1, 60), 12345, 2**70):
            assert isinstance(capture.get(prop), float)
        for prop in (*range(-1, 60), 12345, 2**70):
            for value in (0, 1, -1, 2.5, float("inf"), float("nan"), 1e300):
                if prop != framebus.CAP_PROP_READ_TIMEOUT_MSEC or not value >= 1:
                    assert isinstance(capture.set(prop, value), bool)
        if capture.isOpened():
            assert capture.set(framebus.CAP_PROP_READ_TIMEOUT_MSEC, 1)
            assert not capture.set(framebus.CAP_PROP_READ_TIMEOUT_MSEC, -1)
            assert capture.set(framebus.CAP_PROP_CONVERT_RGB, 1)
        assert isinstance(capture.grab(), bool)
        for flag in (0, 1, -1, 99):
            ok, image = capture.retrieve(flag=flag)
            assert ok == (image is not None)
        ok, image = capture.read()
        assert ok == (image is not None)
        del image
    assert isinstance(capture.isOpened(), bool)
    assert capture.open(f"{channel_name}-missing") is False
    for _ in range(2):
        capture.release()
        assert not capture.isOpened()
        assert capture.read() == (False, None)


@pytest.mark.parametrize("state", FRAMES)
def test_what_can_not_be_an_image_is_given_as_it_was_sent(channel_name: str, state: str) -> None:
    with framebus.Publisher(channel_name) as pub:
        capture = framebus.VideoCapture(channel_name)
        pub.send(FRAMES[state], pixel_format=FORMATS.get(state))
        ok, image = capture.read()
        assert ok
        if state != "one pixel of Bayer":
            assert (image.shape, image.dtype) == (FRAMES[state].shape, FRAMES[state].dtype)
        capture.release()


def test_scenedetect_reads_a_channel_as_it_reads_a_camera(channel_name: str) -> None:
    adapter = pytest.importorskip(
        "scenedetect.backends.opencv", reason="needs PySceneDetect; run: pip install scenedetect-headless"
    ).VideoCaptureAdapter
    asked = threading.Event()
    with framebus.Publisher(channel_name, on_full="block") as pub:
        with sending(pub, asked, 8):
            capture = framebus.VideoCapture(channel_name, every=True)
            asked.set()
            found = adapter(capture)
            assert found.frame_size == (WIDTH, HEIGHT)
            assert float(found.frame_rate) > 0
            assert [found.read()[0, 0, 0] for _ in range(8)] == [1, 2, 3, 4, 5, 6, 7, 8]
        capture.release()
