# SPDX-License-Identifier: Apache-2.0
"""A program whose signal handler closes the very end that it has interrupted; prints what came out of the call."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import framebus
import framebus.baseimage

KIND, NAME = sys.argv[1:]
IMAGE = np.zeros((480, 640, 3), np.uint8)


def source_of(kind: str, opened: contextlib.ExitStack) -> Any:
    """A source for which nothing comes any more. Where it makes its own frames, the second is due in a quarter hour."""
    if kind == "shm":
        opened.enter_context(framebus.Publisher(NAME))
        return framebus.Subscriber(NAME)
    if kind == "pipe":
        reading, writing = os.pipe()
        opened.callback(os.close, writing)
        return framebus.source(f"pipe:fd/{reading}")  # type: ignore[attr-defined]
    if kind == "dde":
        opened.enter_context(framebus.sink(f"dde:{NAME}"))
    if kind == "baseimage":
        opened.enter_context(framebus.baseimage.Writer(NAME))
    folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
    url = {
        "baseimage": f"baseimage:{NAME}",
        "clipboard": "clipboard:",
        "dde": f"dde:{NAME}",
        "images": f"images:{folder}/*.png",
        "ipc": f"ipc://{folder}/socket?bind=true",
        "mailslot": f"mailslot:{NAME}",
        "msg": f"msg:{NAME}",
        "pattern": "pattern:bars",
        "tcp": "tcp://127.0.0.1:0?bind=true",
        "video": f"video:{folder}/clip.mkv",
    }[kind]
    if kind in ("images", "video"):
        with framebus.sink(f"images:{folder}/{{seq}}.png" if kind == "images" else url) as sink:
            for number in range(3):
                sink.send(IMAGE, timestamp_ns=number * 900 * 10**9)
    source = framebus.source(url, **({"fps": 0.001} if kind in ("images", "pattern") else {}))
    if kind in ("images", "pattern", "video"):
        source.recv(60)
    return source


def sink_of(kind: str, opened: contextlib.ExitStack) -> Any:
    """A sink whose reader takes nothing, or that waits for one."""
    if kind == "shm":
        publisher = framebus.Publisher(NAME, slots=3, on_full="block")
        opened.enter_context(framebus.Subscriber(NAME, every=True))
        return publisher
    if kind == "pipe":
        reading, writing = os.pipe()
        opened.callback(os.close, reading)
        return framebus.sink(f"pipe:fd/{writing}?linger=0")  # type: ignore[attr-defined]
    if kind == "msg":
        opened.enter_context(framebus.source(f"msg:{NAME}"))
        return framebus.sink(f"msg:{NAME}")
    folder = opened.enter_context(tempfile.TemporaryDirectory())
    place = "tcp://127.0.0.1:0" if kind == "tcp" else f"ipc://{folder}/socket"
    return framebus.sink(f"{place}?mode=every&wait_for=1")


def main() -> None:
    what, _, role = KIND.partition(" ")
    with contextlib.ExitStack() as opened:
        end = (sink_of if role == "sink" else source_of)(what, opened)
        closings = []

        def close(*_: object) -> None:
            end.close()
            closings.append(time.monotonic())

        signal.signal(signal.SIGALRM, close)
        signal.setitimer(signal.ITIMER_REAL, 0.2, 0.05)
        try:
            while True:
                end.send(IMAGE, timeout=60) if role == "sink" else end.recv(60)
        except framebus.Error as error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            print(type(error).__name__, len(closings) > 0, flush=True)
        end.close()


main()
