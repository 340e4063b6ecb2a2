# SPDX-License-Identifier: Apache-2.0
"""camera: without a device it says what there is and what to do; with one it gives the newest pictures.

No machine of CI has a camera, and v4l2loopback needs a kernel module, so the part behind the opening is tested with
OpenCV and PyAV reading a file instead of a device: what is tested is the same, but for the driver.
"""

from __future__ import annotations

import gc
import glob
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.forking import in_forked_child

import framebus
from framebus.endpoint.kinds.camera import CameraSource, Device, OpenCvDevice, PyAvDevice
from framebus.endpoint.kinds.pattern import read_number

PICTURES = 30
MISSING = "63"


@pytest.fixture
def clip(tmp_path: Path) -> str:
    path = str(tmp_path / "clip.mkv")
    framebus.relay(f"pattern:bars?count={PICTURES}&fps=1000&width=96&height=64", f"video:{path}")
    return path


class OnDemand:
    """A device that takes as many pictures as the test allows, as a slow camera would."""

    def __init__(self, device: Device) -> None:
        self.device, self.allowed, self.released = device, threading.Semaphore(0), threading.Event()
        self.asked = threading.Semaphore(0)

    def read(self) -> NDArray[Any]:
        self.asked.release()
        self.allowed.acquire()
        return self.device.read()

    def release(self) -> None:
        self.device.release()
        self.released.set()

    def take(self, count: int) -> None:
        """Allows so many, and returns when the next one is asked for."""
        self.asked.acquire()
        for _ in range(count):
            self.allowed.release()
            self.asked.acquire()
        self.asked.release()


@pytest.fixture(params=["opencv", "pyav"])
def device(request: pytest.FixtureRequest, clip: str) -> Iterator[OnDemand]:
    made = OnDemand(OpenCvDevice(cv2.VideoCapture(clip)) if request.param == "opencv" else PyAvDevice(av.open(clip)))
    yield made
    for _ in range(PICTURES + 1):
        made.allowed.release()
    assert made.released.wait(60)


@pytest.mark.parametrize("backend", ["opencv", "v4l2"])
@pytest.mark.parametrize("name", [MISSING, f"/dev/video{MISSING}"])
def test_a_camera_that_is_not_there_is_an_error_that_says_which_there_are_and_what_to_do(
    backend: str, name: str
) -> None:
    there = ", ".join(sorted(glob.glob("/dev/video*"))) or r"no /dev/video\*"
    with pytest.raises(framebus.EndpointError) as caught:
        framebus.source(f"camera:{name}?backend={backend}")
    text = str(caught.value)
    assert f"camera {name} (/dev/video{MISSING}) can't be opened: there is no such device" in text
    assert there.replace("\\", "") in text
    assert "--device" in text
    assert "video:FILE or pattern:" in text


@pytest.mark.parametrize("backend", ["opencv", "v4l2"])
def test_what_is_no_camera_is_an_error_too(backend: str, clip: str) -> None:
    for path in ("/dev/null", clip):
        with pytest.raises(framebus.EndpointError, match=rf"camera {path} .* can't be opened: "):
            framebus.source(f"camera:{path}?backend={backend}")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("camera:front", "expected a number or the path of a device"),
        ("camera:", "expected a number or the path of a device"),
        ("camera:0?width=640", "width and height belong together"),
        ("camera:0?width=0&height=1", "width must be above 0"),
        ("camera:0?fps=nan", "fps must be above 0"),
        ("camera:0?buffer=0", "buffer must be above 0"),
        ("camera:0?backend=dshow", "backend must be opencv or v4l2"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_right(url: str, says: str) -> None:
    with pytest.raises(framebus.InvalidUrl, match=says):
        framebus.source(url)


@pytest.mark.parametrize(("module", "backend", "extra"), [("cv2", "opencv", "opencv"), ("av", "v4l2", "video")])
def test_a_missing_package_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, module: str, backend: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(framebus.EndpointError, match=rf'pip install "framebus\[{extra}\]"'):
        framebus.source(f"camera:0?backend={backend}")


def test_pictures_come_in_order_each_in_an_array_of_its_own(device: OnDemand) -> None:
    with CameraSource("test", device, 4) as source:
        frames = []
        for _ in range(PICTURES):
            device.take(1)
            before_ns = time.monotonic_ns()
            frames.append(source.recv(timeout=60))
            assert frames[-1].timestamp_ns <= before_ns
        assert [read_number(frame.array) for frame in frames] == list(range(1, PICTURES + 1))
        assert [frame.seq for frame in frames] == list(range(1, PICTURES + 1))
        assert {(frame.pixel_format, frame.array.shape) for frame in frames} == {("BGR8", (64, 96, 3))}
        assert all(not np.shares_memory(a.array, b.array) for a, b in itertools.pairwise(frames))
        device.allowed.release()
        with pytest.raises(framebus.EndpointError, match=r"delivers no more pictures: \w+ got none; .*plugged in"):
            source.recv(timeout=60)
        assert source.statistics().dropped == 0


def test_a_slow_receiver_gets_the_newest_and_is_told_what_it_missed(device: OnDemand) -> None:
    with CameraSource("test", device, 2) as source:
        device.take(9)
        assert [read_number(source.recv(timeout=60).array) for _ in range(2)] == [8, 9]
        assert source.statistics().dropped == 7
        with pytest.raises(framebus.Timeout, match=r"gave no picture within 0\.01 s"):
            source.recv(timeout=0.01)
        assert source.try_recv() is None


def test_the_garbage_collector_of_a_forked_child_leaves_the_pictures_alone(device: OnDemand) -> None:
    frozen = gc.get_freeze_count()  # by conftest.py, before the first test
    with CameraSource("test", device, 2):
        assert in_forked_child(gc.get_freeze_count)["value"] > frozen
    assert gc.get_freeze_count() <= frozen


def test_close_ends_a_wait_of_another_thread_and_gives_the_camera_back(device: OnDemand) -> None:
    source = CameraSource("test", device, 2)
    ended: list[Exception] = []

    def wait() -> None:
        try:
            source.recv()
        except framebus.Error as error:
            ended.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    closer = threading.Thread(target=source.close)
    closer.start()
    waiter.join(60)
    assert not waiter.is_alive(), "a wait goes on although the driver still holds its picture back"
    device.allowed.release()
    closer.join(60)
    assert device.released.wait(60)
    with pytest.raises(framebus.ChannelClosed):
        source.recv()
    assert [type(error) for error in ended] == [framebus.ChannelClosed]
