# SPDX-License-Identifier: Apache-2.0
"""`clipboard:` with xclip, a program of somebody else's, at the other end of a real X display."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from tests.support.desktop import display, needs_display
from tests.support.started import Started

from framebus.testing.process import WATCHDOG_S

pytestmark = needs_display

SEND = """
import sys, numpy as np, framebus
sink = framebus.sink("clipboard:")
image = np.frombuffer(bytes.fromhex(sys.argv[1]), np.uint8).reshape([int(n) for n in sys.argv[2].split("x")])
sink.send(image, pixel_format=sys.argv[3] or None)
print("sent", flush=True)
sys.stdin.read()
"""

RECEIVE = """
import sys, framebus
source = framebus.source(sys.argv[1], interval=0.01)
print("ready", flush=True)
while True:
    frame = source.recv(60)
    print(frame.seq, *frame.array.shape, frame.pixel_format, frame.array.tobytes().hex(), flush=True)
"""

REFUSED = """
import sys, numpy as np, framebus
try:
    sink = framebus.sink(sys.argv[1])
    sink.send(eval(sys.argv[2]), meta=eval(sys.argv[3]))
    print("sent")
except framebus.EndpointError as error:
    print(error)
"""

IMAGE = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) * 9


@pytest.fixture(scope="module")
def desktop() -> Iterator[dict[str, str]]:
    with display() as name:
        yield {**os.environ, "DISPLAY": name}


def program(code: str, *arguments: str, desktop: dict[str, str]) -> Started:
    """A Python program on the desktop, which ends with the block."""
    return Started(sys.executable, "-c", code, *arguments, env=desktop)


def xclip(desktop: dict[str, str], *arguments: str, data: bytes | None = None, kind: str = "image/png") -> bytes:
    command = ["xclip", "-selection", "clipboard", "-t", kind, *arguments]
    if data is None:
        return subprocess.run(command, env=desktop, capture_output=True, timeout=WATCHDOG_S, check=True).stdout
    # It stays in the background to serve what it has taken, with our pipes if it had any.
    subprocess.run(command, env=desktop, input=data, stdout=subprocess.DEVNULL, timeout=WATCHDOG_S, check=True)
    return b""


def png(image: np.ndarray) -> bytes:  # type: ignore[type-arg]
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("sent", "form", "pasted"),
    [
        (IMAGE, "RGBa8", IMAGE),
        (IMAGE, "", IMAGE[..., [2, 1, 0, 3]]),
        (IMAGE[..., :3], "", np.dstack([IMAGE[..., 2::-1], np.full((2, 3), 255, np.uint8)])),
        (IMAGE, "BGRa8", IMAGE[..., [2, 1, 0, 3]]),
        (IMAGE[..., :3], "RGB8", np.dstack([IMAGE[..., :3], np.full((2, 3), 255, np.uint8)])),
        (IMAGE[..., :3], "BGR8", np.dstack([IMAGE[..., 2::-1], np.full((2, 3), 255, np.uint8)])),
        (IMAGE[..., 0], "Mono8", np.dstack([*[IMAGE[..., 0]] * 3, np.full((2, 3), 255, np.uint8)])),
    ],
    ids=["RGBa8", "four samples", "three samples", "BGRa8", "RGB8", "BGR8", "Mono8"],
)
def test_another_program_pastes_what_was_sent(
    sent: np.ndarray,  # type: ignore[type-arg]
    form: str,
    pasted: np.ndarray,  # type: ignore[type-arg]
    desktop: dict[str, str],
) -> None:
    shape = "x".join(map(str, sent.shape))
    with program(SEND, sent.tobytes().hex(), shape, form, desktop=desktop) as sender:
        assert sender.line() == "sent"
        found = np.array(Image.open(io.BytesIO(xclip(desktop, "-o"))).convert("RGBA"))
    assert np.array_equal(found, pasted)


def test_what_another_program_copies_is_fetched_once(desktop: dict[str, str]) -> None:
    other = IMAGE[::-1].copy()
    xclip(desktop, "-i", data=png(IMAGE))
    with program(RECEIVE, "clipboard:", desktop=desktop) as receiver:
        assert receiver.line() == "ready"
        assert receiver.line() == f"1 2 3 4 RGBa8 {IMAGE.tobytes().hex()}", "what was there already comes first"
        xclip(desktop, "-i", data=png(other))
        assert receiver.line() == f"2 2 3 4 RGBa8 {other.tobytes().hex()}"


def test_the_receiver_chooses_the_order_of_colours(desktop: dict[str, str]) -> None:
    xclip(desktop, "-i", data=png(IMAGE))
    with program(RECEIVE, "clipboard:?pixel_format=BGR8", desktop=desktop) as receiver:
        assert receiver.line() == "ready"
        assert receiver.line() == f"1 2 3 3 BGR8 {np.ascontiguousarray(IMAGE[..., 2::-1]).tobytes().hex()}"


@pytest.mark.parametrize(
    ("kind", "data"),
    [("UTF8_STRING", b"some text"), ("image/png", b"no PNG at all"), ("image/png", png(IMAGE)[:-20])],
    ids=["text", "garbage", "half an image"],
)
def test_what_is_no_image_is_no_frame_and_no_error(kind: str, data: bytes, desktop: dict[str, str]) -> None:
    xclip(desktop, "-i", data=data, kind=kind)
    with program(RECEIVE, "clipboard:", desktop=desktop) as receiver:
        assert receiver.line() == "ready"
        xclip(desktop, "-i", data=png(IMAGE))
        assert receiver.line().startswith("1 2 3 4 RGBa8 ")


@pytest.mark.parametrize(
    ("url", "image", "meta", "answer"),
    [
        ("clipboard:", "np.zeros((2, 2), np.uint16)", "None", "expected uint8 images"),
        ("clipboard:", "np.zeros((2, 2, 2), np.uint8)", "None", "expected uint8 images"),
        ("clipboard:", "np.zeros((0, 2), np.uint8)", "None", "expected uint8 images"),
        ("clipboard:", "np.zeros((2, 2), np.uint8)", "{'a': 1}", "can't carry metadata"),
        ("clipboard:?lossy", "np.zeros((2, 2), np.uint8)", "{'a': 1}", "sent"),
        ("clipboard:", "{'a': np.zeros((2, 2), 'u1'), 'b': np.zeros(2)}", "None", "can't carry 2 arrays"),
        ("clipboard:x", "np.zeros((2, 2), np.uint8)", "None", "there is only one"),
        (
            "clipboard:",
            "np.random.default_rng(1).integers(0, 256, (2160, 3840, 3), 'u1')",
            "None",
            "X11 passes on at most 17 MB",
        ),
        ("clipboard:", "np.zeros((2160, 3840, 3), np.uint8)", "None", "sent"),
    ],
)
def test_what_a_clipboard_cannot_hold_is_refused(
    url: str, image: str, meta: str, answer: str, desktop: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, url, image, meta],
        env=desktop,
        capture_output=True,
        text=True,
        timeout=WATCHDOG_S,
        check=True,
    )
    assert answer in done.stdout


@pytest.mark.parametrize("display_name", [None, ":4242"], ids=["no display", "a display that is not there"])
def test_without_a_desktop_the_error_says_so(display_name: str | None) -> None:
    desktop = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    if display_name is not None:
        desktop["DISPLAY"] = display_name
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, "clipboard:", "b'x'", "None"],
        env=desktop,
        capture_output=True,
        text=True,
        timeout=WATCHDOG_S,
        check=True,
    )
    assert done.stdout.startswith("clipboard: there is no clipboard here (")
    assert "DISPLAY" in done.stdout
