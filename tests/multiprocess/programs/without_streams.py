# SPDX-License-Identifier: Apache-2.0
"""One end of any kind, in a program whose standard streams are closed: it is driven over a socket instead.

    python without_streams.py DESCRIPTOR KIND TARGET [JOURNAL]

DESCRIPTOR is the socket. KIND is a key of SENDERS or RECEIVERS below, TARGET what it opens. Commands and answers are
lines of text; the C++ program without_streams.cpp answers the same ones.

    send NUMBER HEIGHT WIDTH   sent                       an image of HEIGHT x WIDTH x 3 bytes of that value
    recv SECONDS               got NUMBER WHOLE or none   WHOLE is 1 where all bytes (of the first three channels) are
                                                          within 4 of each other, since a codec may have been between
    low                        low A|B|C                  what 0, 1 and 2 lead to, nothing where closed
    scribble                   done                       writes garbage to 0, 1 and 2
    close                      done                       closes 0, 1 and 2
    end                        done                       closes the end
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import framebus
import framebus.baseimage

Image = NDArray[Any]
Send = Callable[[Image], object]
Recv = Callable[[float], "Image | None"]

PATIENCE_S = 30.0
GARBAGE = b"warning: something is odd\n" * 400

# Runs as a child of sink_child and launch: what it received goes to a journal, and what its own 0, 1 and 2 are.
RECEIVING_CHILD = """
import os, sys, framebus
with open(sys.argv[2], "a", buffering=1) as journal:
    journal.write("|".join(os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)) + "\\n")
    for frame in framebus.source(sys.argv[1]):
        journal.write(f"{frame.array.flat[0]} {int((frame.array == frame.array.flat[0]).all())}\\n")
"""
SENDING_CHILD = """
import numpy, framebus
with framebus.sink("pipe:stdout") as sink:
    for number in range(10, 250, 10):
        sink.send(numpy.full((24, 32, 3), number, numpy.uint8))
"""


def main() -> None:
    """Opens the end and obeys until told to end."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    lines = control.makefile("rw")
    try:
        send, recv, close = opened(sys.argv[2], sys.argv[3])
        print("open", file=lines, flush=True)
        for line in lines:
            print(answer(line.split(), send, recv, close), file=lines, flush=True)
            if line == "end\n":
                return
    except BaseException:
        print("failed", repr(traceback.format_exc()), file=lines, flush=True)
        raise


def answer(words: list[str], send: Send, recv: Recv, close: Callable[[], None]) -> str:
    """Does what one line says."""
    match words:
        case ["send", number, height, width]:
            send(np.full((int(height), int(width), 3), int(number), np.uint8))
            return "sent"
        case ["recv", seconds]:
            image = recv(float(seconds))
            return "none" if image is None else described(image)
        case ["low"]:
            return "low " + "|".join(map(target_of, (0, 1, 2)))
        case ["scribble"]:
            for number in (0, 1, 2):
                with contextlib.suppress(OSError):
                    os.write(number, GARBAGE)
        case ["close"]:
            for number in (0, 1, 2):
                with contextlib.suppress(OSError):
                    os.close(number)
        case ["end"]:
            close()
    return "done"


def described(image: Image) -> str:
    colours = image[..., :3].astype(np.int16)
    number = int(colours.flat[0])
    return f"got {number} {int(np.abs(colours - number).max() <= 4)}"


def target_of(number: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except FileNotFoundError:
        return ""


def opened(kind: str, target: str) -> tuple[Send, Recv, Callable[[], None]]:
    """Opens the end; gives what sends, what receives and what closes it, of which one of the first two will do."""

    def refuse(_: object) -> None:
        raise AssertionError(f"{kind} goes the other way")

    if kind in SENDERS:
        sink = SENDERS[kind](target)
        return sink.send, refuse, sink.close
    end, recv = RECEIVERS[kind](target)
    return refuse, recv, getattr(end, "close", None) or end.release


def writer(name: str) -> Any:
    return framebus.baseimage.Writer(name)


def launching(name: str) -> framebus.Publisher:
    b = [sys.executable, "-c", RECEIVING_CHILD, f"{name}?every&history=8", sys.argv[4]]
    return framebus.Publisher(name, on_full="block", launch=b)


def sink_of_a_child(_: str) -> Any:
    return framebus.sink("pipe:", argv=[sys.executable, "-c", RECEIVING_CHILD, "pipe:stdin", sys.argv[4]])


SENDERS: dict[str, Callable[[str], Any]] = {
    "publisher": lambda name: framebus.Publisher(name, on_full="block"),
    "writer": writer,
    "launch": launching,
    "sink": framebus.sink,
    "sink_child": sink_of_a_child,
}


def subscribed(name: str) -> framebus.Subscriber:
    return framebus.Subscriber(name, every=True, connect_timeout=PATIENCE_S)


def images(end: Any, timeout: float) -> Image | None:
    try:
        array: Image = end.recv(timeout).copy().array
    except framebus.Timeout:
        return None
    return array


def plain(end: Any) -> tuple[Any, Recv]:
    return end, lambda timeout: images(end, timeout)


def by_fileno(name: str) -> tuple[Any, Recv]:
    end = subscribed(name)

    def recv(timeout: float) -> Image | None:
        while True:
            frame = end.try_recv()
            if frame is not None:
                return frame.copy().array
            if not select.select([end.fileno()], [], [], timeout)[0]:
                return None

    return end, recv


def by_asyncio(name: str) -> tuple[Any, Recv]:
    end, loop = subscribed(name), asyncio.new_event_loop()
    return end, lambda timeout: loop.run_until_complete(end.recv_async(timeout)).copy().array


def by_trio(name: str) -> tuple[Any, Recv]:
    import trio

    end = subscribed(name)

    async def one(timeout: float) -> Image:
        return (await end.recv_async(timeout)).copy().array

    return end, lambda timeout: trio.run(one, timeout)


def by_wait(name: str) -> tuple[Any, Recv]:
    end, other = subscribed(name), subscribed(f"{name}-other")

    def recv(timeout: float) -> Image | None:
        return images(end, 0) if framebus.wait([other, end], timeout) == [end] else None

    return end, recv


def by_video_capture(name: str) -> tuple[Any, Recv]:
    capture = framebus.VideoCapture(name, every=True, timeout=PATIENCE_S)
    assert capture.isOpened()
    return capture, lambda _: capture.read()[1]


def by_camera(clip: str) -> tuple[Any, Recv]:
    import cv2

    from framebus.endpoint.kinds.camera import CameraSource, OpenCvDevice

    with contextlib.suppress(framebus.EndpointError):
        framebus.source("camera:/dev/video97")
    capture = cv2.VideoCapture(clip)

    class Again(OpenCvDevice):
        """Takes the same pictures again and again."""

        def read(self) -> Image:
            time.sleep(0.005)  # as a camera of 200 Hz
            try:
                return super().read()
            except EOFError:
                capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
                return super().read()

    return plain(CameraSource(clip, Again(capture), 4))


RECEIVERS: dict[str, Callable[[str], tuple[Any, Recv]]] = {
    "subscriber": lambda name: plain(subscribed(name)),
    "fileno": by_fileno,
    "asyncio": by_asyncio,
    "trio": by_trio,
    "wait": by_wait,
    "video_capture": by_video_capture,
    "reader": lambda name: plain(framebus.baseimage.Reader(name, connect_timeout=PATIENCE_S)),
    "camera": by_camera,
    "source": lambda url: plain(framebus.source(url)),
    "source_child": lambda _: plain(framebus.source("pipe:", argv=[sys.executable, "-c", SENDING_CHILD])),
}


if __name__ == "__main__":
    main()
