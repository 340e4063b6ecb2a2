# SPDX-License-Identifier: Apache-2.0
"""A program whose signal handler closes the very end that it has interrupted; prints what came out of the call."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from typing import Any

import numpy as np

import framebus

KIND, NAME = sys.argv[1:]
IMAGE = np.zeros((480, 640, 3), np.uint8)


def source_of(kind: str, opened: contextlib.ExitStack) -> Any:
    if kind == "shm":
        opened.enter_context(framebus.Publisher(NAME))
        return framebus.Subscriber(NAME)
    if kind == "pipe":
        reading, writing = os.pipe()
        opened.callback(os.close, writing)
        return framebus.source(f"pipe:fd/{reading}")  # type: ignore[attr-defined]
    url = {
        "mailslot": f"mailslot:{NAME}",
        "msg": f"msg:{NAME}",
        "tcp": "tcp://127.0.0.1:0?bind=true",
        "pattern": "pattern:bars",
    }
    source = framebus.source(url[kind], **({"fps": 0.001} if kind == "pattern" else {}))
    if kind == "pattern":
        source.recv(60)
    return source


def sink_of(kind: str, opened: contextlib.ExitStack) -> Any:
    """A sink whose reader takes nothing."""
    if kind == "shm":
        publisher = framebus.Publisher(NAME, slots=3, on_full="block")
        opened.enter_context(framebus.Subscriber(NAME, every=True))
        return publisher
    reading, writing = os.pipe()
    opened.callback(os.close, reading)
    return framebus.sink(f"pipe:fd/{writing}?linger=0")  # type: ignore[attr-defined]


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
