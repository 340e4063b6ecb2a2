# SPDX-License-Identifier: Apache-2.0
"""framebus.VideoCapture beside the real cv2.VideoCapture, on a real clip that another program plays into a channel."""

from __future__ import annotations

import inspect
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.clips import HEIGHT, PICTURES, RATE_HZ, WIDTH, make_clip
from tests.support.harness import Program, Programs

import framebus
from framebus.opencv import video_capture

NO_PROPERTY = 12345
MISSING_FROM_FRAMEBUS = {"waitAny"}


@pytest.fixture
def clip(tmp_path: Path) -> str:
    return str(make_clip(tmp_path / "clip.mp4"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """OpenCV writes to standard error about what it is asked to do here."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    yield
    cv2.utils.logging.setLogLevel(before)


@pytest.fixture
def publisher(programs: Programs, channel_name: str, clip: str) -> Program:
    started = programs.start("capture", name=channel_name, clip=clip)
    started.expect("ready")
    return started


def outcome(capture: Any, method: str, *arguments: object) -> Any:
    """What the call gives: an image by its pixels, an error of either library as the fact that there was one."""
    try:
        result = getattr(capture, method)(*arguments)
    except (cv2.error, framebus.Error):
        return "raised"
    if isinstance(result, tuple):
        ok, image = result
        return ok, None if image is None else (image.shape, image.dtype.str, image.flags.writeable, image.tobytes())
    return result


def test_every_constant_has_the_number_that_opencv_gives_it() -> None:
    ours = {name: number for name, number in vars(video_capture).items() if name.startswith("CAP_PROP_")}
    assert len(ours) >= 12
    assert ours == {name: getattr(cv2, name, -1) for name in ours}
    assert {name: getattr(framebus, name) for name in ours} == ours


def test_methods_and_arguments_have_the_names_that_opencv_gives_them() -> None:
    methods = {name for name in dir(cv2.VideoCapture) if not name.startswith("_")} - MISSING_FROM_FRAMEBUS
    assert len(methods) >= 11
    for method in methods:
        text = getattr(cv2.VideoCapture, method).__doc__
        documented = {
            tuple(re.findall(r"\w+", arguments))
            for arguments in re.findall(rf"^{method}\((.*)\) ->", text, re.MULTILINE)
        }
        ours = tuple(inspect.signature(getattr(framebus.VideoCapture, method)).parameters)[1:]
        assert any(ours[: len(theirs)] == theirs for theirs in documented), (method, ours, documented)


ONE_PICTURE: list[tuple[object, ...]] = [
    ("grab",), ("retrieve",), ("retrieve",), ("get", cv2.CAP_PROP_POS_FRAMES), ("isOpened",),
]  # fmt: skip
CALLS: list[tuple[object, ...]] = [
    ("isOpened",), ("getExceptionMode",), ("retrieve",),
    ("get", cv2.CAP_PROP_POS_FRAMES), ("get", cv2.CAP_PROP_POS_MSEC), ("get", cv2.CAP_PROP_CONVERT_RGB),
    *ONE_PICTURE,
    ("get", cv2.CAP_PROP_FRAME_WIDTH), ("get", cv2.CAP_PROP_FRAME_HEIGHT),
    ("set", cv2.CAP_PROP_CONVERT_RGB, 1), ("get", cv2.CAP_PROP_CONVERT_RGB),
    ("set", cv2.CAP_PROP_FRAME_WIDTH, 2), ("set", cv2.CAP_PROP_FPS, 2.5), ("set", cv2.CAP_PROP_EXPOSURE, 1),
    ("set", NO_PROPERTY, 1), ("get", cv2.CAP_PROP_FRAME_WIDTH),
    ("setExceptionMode", True), ("getExceptionMode",), ("set", NO_PROPERTY, 1), ("set", cv2.CAP_PROP_FRAME_WIDTH, 2),
    ("get", cv2.CAP_PROP_FRAME_HEIGHT), *ONE_PICTURE, ("setExceptionMode", False),
    *[("read",)] * (PICTURES - 2),
    # The clip is at its end, and the channel closed.
    ("read",), ("isOpened",), ("read",), ("grab",), ("retrieve",),
    ("get", cv2.CAP_PROP_POS_FRAMES), ("get", cv2.CAP_PROP_FRAME_WIDTH),
    ("setExceptionMode", True), ("read",), ("grab",), ("retrieve",), ("isOpened",), ("setExceptionMode", False),
    ("release",), ("isOpened",), ("read",), ("grab",), ("retrieve",), ("set", cv2.CAP_PROP_CONVERT_RGB, 1),
    ("getBackendName",), ("release",), ("setExceptionMode", True), ("grab",), ("retrieve",), ("read",),
    ("set", cv2.CAP_PROP_CONVERT_RGB, 1), ("open", "no-such-channel-and-no-such-file"), ("isOpened",),
    ("setExceptionMode", False), ("open", "no-such-channel-and-no-such-file"), ("isOpened",),
]  # fmt: skip


def test_every_call_has_the_result_it_has_on_the_clip_itself(publisher: Program, channel_name: str, clip: str) -> None:
    theirs = cv2.VideoCapture(clip)
    ours = framebus.VideoCapture(channel_name, every=True)
    sent = 0
    for step, (method, *arguments) in enumerate(CALLS):
        if method in ("grab", "read") and sent <= PICTURES:
            sent += 1
            publisher.ask("play", frames=1)
            if sent > PICTURES:
                publisher.ask("close")
        call = (step, method, *arguments)
        assert (call, outcome(ours, str(method), *arguments)) == (call, outcome(theirs, str(method), *arguments))
    assert sent == PICTURES + 1


@pytest.mark.skipif(
    int(cv2.__version__.split(".")[0]) < 5, reason="OpenCV 4 gives 0: pip install -U opencv-python-headless"
)
def test_unknown_properties_have_the_value_that_opencv_5_gives_them(
    publisher: Program, channel_name: str, clip: str
) -> None:
    assert publisher.pid
    theirs, ours = cv2.VideoCapture(clip), framebus.VideoCapture(channel_name)
    for _ in range(2):
        for number in (NO_PROPERTY, -1, cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_GAIN):
            assert ours.get(number) == theirs.get(number) == framebus.CAP_PROP_UNKNOWN
        ours.release()
        theirs.release()
    assert ours.get(cv2.CAP_PROP_FRAME_WIDTH) == theirs.get(cv2.CAP_PROP_FRAME_WIDTH)


def test_arguments_that_can_not_be_meant_are_refused_by_both(publisher: Program, channel_name: str, clip: str) -> None:
    captures: tuple[Any, Any] = (framebus.VideoCapture(channel_name), cv2.VideoCapture(clip))
    publisher.ask("play", frames=1)
    read_only = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    read_only.flags.writeable = False
    for capture in captures:
        for method, arguments in (
            ("get", ("x",)), ("get", (3.0,)), ("set", (3, "x")), ("set", (3,)),
            ("read", ("x",)), ("read", (read_only,)), ("retrieve", (read_only,)),
            ("open", (1.5,)), ("open", (clip, 0, [cv2.CAP_PROP_READ_TIMEOUT_MSEC])),
        ):  # fmt: skip
            with pytest.raises((TypeError, ValueError, cv2.error)):
                getattr(capture, method)(*arguments)


def test_given_array_is_filled_or_left_alone_as_opencv_does(publisher: Program, channel_name: str, clip: str) -> None:
    theirs, ours = cv2.VideoCapture(clip), framebus.VideoCapture(channel_name, every=True)
    shapes = [(HEIGHT, WIDTH, 3), (HEIGHT, WIDTH), (3, 3, 3), (HEIGHT, WIDTH, 3)]
    for shape, dtype in zip(shapes, ["uint8", "uint8", "uint8", "float32"], strict=True):
        publisher.ask("play", frames=1)
        results = []
        for capture in (ours, theirs):
            given = np.zeros(shape, dtype)
            ok, image = capture.read(given)
            results.append((ok, image is given, int(given.sum()), image.tobytes()))
        assert results[0] == results[1]
    wide = np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)
    publisher.ask("play", frames=1)
    assert ours.read(wide[:, :WIDTH])[0]
    assert theirs.read(wide[:, WIDTH:])[0]
    assert wide.any()
    assert (wide[:, :WIDTH] == wide[:, WIDTH:]).all()


def test_opencv_decodes_into_shared_memory_and_that_memory_is_sent(publisher: Program, channel_name: str) -> None:
    facts = publisher.ask("play", frames=PICTURES + 1)
    assert len(facts) == PICTURES
    stores = [path.stat().st_ino for path in Path("/dev/shm").glob(f"framebus.{channel_name}@*")]
    for number, fact in enumerate(facts):
        assert fact["ok"]
        assert fact["returned the loan"]
        assert abs(fact["brightness"] - (20 + 18 * number)) < 9  # the steps are 18
        inode, _offset = fact["decoded into"]
        assert inode in stores, "OpenCV decoded somewhere else"
        assert fact["sent from"] == fact["decoded into"], "the loan was sent as a copy"
        assert not fact["still writable"]


def test_opencv_draws_into_an_image_that_was_read(publisher: Program, channel_name: str) -> None:
    capture = framebus.VideoCapture(channel_name)
    publisher.ask("play", frames=1)
    ok, image = capture.read()
    assert ok
    cv2.putText(image, "framebus", (5, 60), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 255, 0))
    assert (image == (0, 255, 0)).all(axis=2).any()
    assert not (capture.retrieve()[1] == (0, 255, 0)).all(axis=2).any()


def test_distance_of_two_timestamps_is_the_time_between_the_frames(publisher: Program, channel_name: str) -> None:
    capture = framebus.VideoCapture(channel_name, every=True)
    moments = []
    for _ in range(2):
        before_ms = time.monotonic() * 1e3
        publisher.ask("play", frames=1)
        assert capture.grab()
        moments.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        assert before_ms <= moments[-1] <= time.monotonic() * 1e3
    assert moments[0] < moments[1]


def test_read_waits_for_the_next_publisher_when_one_was_killed(
    programs: Programs, publisher: Program, channel_name: str, clip: str
) -> None:
    patient = framebus.VideoCapture(channel_name, timeout=60)
    impatient = framebus.VideoCapture(channel_name, timeout=0.05)
    offended = framebus.VideoCapture(channel_name, reconnect=False)
    publisher.ask("play", frames=1)
    publisher.kill()
    for capture in (patient, impatient, offended):
        assert capture.read()[0]
    assert impatient.read() == offended.read() == (False, None)
    assert impatient.isOpened()
    impatient.setExceptionMode(True)
    with pytest.raises(framebus.Timeout):
        impatient.read()
    offended.setExceptionMode(True)
    with pytest.raises(framebus.PublisherDied):
        offended.grab()

    successor = programs.start("capture", name=channel_name, clip=clip)
    successor.expect("ready")
    successor.tell("play", frames=1)
    assert patient.read()[0]
    assert patient.get(cv2.CAP_PROP_POS_FRAMES) == 2
    successor.answer()


def test_rate_is_about_that_of_the_publisher(publisher: Program, channel_name: str) -> None:
    capture = framebus.VideoCapture(channel_name, timeout=0)
    assert capture.get(cv2.CAP_PROP_FPS) == 0
    publisher.ask("play", frames=PICTURES)
    assert capture.get(cv2.CAP_PROP_FPS) > 0


def mosaic(order: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Blue 40, green 120, red 200 everywhere, through a Bayer filter that begins with these two letters."""
    values = {"B": 40, "G": 120, "R": 200}
    rest = {"RG": "GB", "GR": "BG", "GB": "RG", "BG": "GR"}[order]
    cell = np.array([[values[c] for c in order], [values[c] for c in rest]], np.uint8)
    return np.tile(cell, (16, 16))


@pytest.mark.parametrize("order", ["RG", "GR", "GB", "BG"])
def test_bayer_patterns_become_the_colour_that_was_behind_them(channel_name: str, order: str) -> None:
    with framebus.Publisher(channel_name) as sender:
        capture = framebus.VideoCapture(channel_name)
        sender.send(mosaic(order), pixel_format=f"Bayer{order}8")
        ok, image = capture.read()
        assert (ok, image.shape) == (True, (32, 32, 3))
        assert (image == (40, 120, 200)).all()
        capture.set(framebus.CAP_PROP_CONVERT_RGB, 0)
        assert (capture.retrieve()[1] == mosaic(order)).all()


def test_yuv_becomes_the_bgr_it_was_made_of(channel_name: str) -> None:
    gray_then_red = np.zeros((16, 16, 3), np.uint8)
    gray_then_red[:, :8] = 128
    gray_then_red[:, 8:] = (30, 30, 220)
    planes = cv2.cvtColor(gray_then_red, cv2.COLOR_BGR2YUV_I420).ravel()
    y, u, v = planes[:256].reshape(16, 16), planes[256:320].reshape(8, 8), planes[320:].reshape(8, 8)
    colours = {"cb": u.repeat(2, axis=0), "cr": v.repeat(2, axis=0)}
    chroma = np.empty((16, 16), np.uint8)
    chroma[:, 0::2], chroma[:, 1::2] = colours["cb"], colours["cr"]
    images = {
        "YUV422_8": np.stack([y, chroma], axis=2),
        "YUV422_8_UYVY": np.stack([chroma, y], axis=2),
        "YCbCr420_8_YY_CbCr_Semiplanar": np.vstack([y, np.stack([u, v], axis=2).reshape(8, 16)]),
        "YCbCr420_8_YY_CrCb_Semiplanar": np.vstack([y, np.stack([v, u], axis=2).reshape(8, 16)]),
        "YCbCr420_8_YY_CbCr_Planar": planes.reshape(24, 16),
        "YCbCr420_8_YY_CrCb_Planar": np.concatenate([y.ravel(), v.ravel(), u.ravel()]).reshape(24, 16),
    }
    with framebus.Publisher(channel_name) as sender:
        capture = framebus.VideoCapture(channel_name)
        for form, image in images.items():
            sender.send(image, pixel_format=form)
            assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) in ((16, 16), (0, 0))
            ok, result = capture.read()
            assert (ok, result.shape) == (True, (16, 16, 3)), form
            assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (16, 16)
            assert np.abs(result.astype(int) - gray_then_red).max() <= 3, form


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("YCbCr420_8_YY_CbCr_Planar", cv2.COLOR_YUV2BGR_I420),
        ("YCbCr420_8_YY_CrCb_Planar", cv2.COLOR_YUV2BGR_YV12),
        ("YCbCr420_8_YY_CbCr_Semiplanar", cv2.COLOR_YUV2BGR_NV12),
        ("YCbCr420_8_YY_CrCb_Semiplanar", cv2.COLOR_YUV2BGR_NV21),
    ],
)
@pytest.mark.parametrize(("width", "height"), [(66, 50), (64, 48), (2, 2), (1922, 4)])
def test_420_becomes_exactly_what_opencv_makes_of_it(
    channel_name: str, form: str, code: int, width: int, height: int
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (height * 3 // 2, width), np.uint8)
    with framebus.Publisher(channel_name) as sender:
        capture = framebus.VideoCapture(channel_name)
        sender.send(image, pixel_format=form)
        assert (capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (width, height)
        ok, result = capture.read()
        assert ok
        assert (result == cv2.cvtColor(image, code)).all()


def test_clip_has_the_rate_and_the_number_of_pictures_that_the_tests_rely_on(clip: str) -> None:
    capture = cv2.VideoCapture(clip)
    assert (capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)) == (RATE_HZ, PICTURES)
    assert os.path.getsize(clip)
