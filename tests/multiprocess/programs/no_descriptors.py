# SPDX-License-Identifier: Apache-2.0
"""Opens an end with ever more descriptors free, from none on, and tells what that raised and what it left open.

With `close_without`, it closes a sink while no descriptor is free, and tells what its source is told.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from typing import Any

import numpy as np

import framebus
from talk import options, say

LIMIT, MOST = 200, 40
LONG = 30.0  # against hangs only
OPTIONS = options()
OPEN: Any = getattr(framebus, OPTIONS.get("role", "sink"))


def count() -> int:
    """How many descriptors are open."""
    return len(os.listdir("/proc/self/fd"))


def use_up(free: int) -> list[int]:
    """Leave this many free."""
    hogs: list[int] = []
    with contextlib.suppress(OSError):
        while True:
            hogs.append(os.open("/", os.O_PATH))
    for _ in range(free):
        os.close(hogs.pop())
    return hogs


def give_back(hogs: list[int]) -> None:
    """Undo that."""
    while hogs:
        os.close(hogs.pop())


def try_to_open(free: int) -> tuple[str, str]:
    """Open and close the end; what was raised, "" for nothing."""
    hogs = use_up(free)
    try:
        OPEN(OPTIONS["url"]).close()
    except Exception as error:
        return type(error).__name__, str(error)
    finally:
        give_back(hogs)
    return "", ""


def open_with_few() -> None:
    """Report each try."""
    OPEN(OPTIONS["url"]).close()  # imports what there is to import
    gc.collect()
    before = count()
    for free in range(MOST):
        kind, message = try_to_open(free)
        gc.collect()
        say("tried", free=free, error=kind, message=message, left=count() - before)
        if not kind:
            break


def close_without() -> None:
    """Close a sink when there are none left."""
    mode = OPTIONS["mode"]
    with framebus.sink(OPTIONS["url"], mode=mode, wait_for=1) as sink, framebus.source(sink.url, mode=mode) as source:
        sink.send(np.zeros((10, 10), np.uint8), timeout=LONG)
        source.recv(LONG)
        hogs = use_up(0)
        sink.close()
        try:
            source.recv(LONG)
        except framebus.Error as error:
            told = type(error).__name__
        give_back(hogs)
    say("told", error=told)


resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
if "mode" in OPTIONS:
    close_without()
else:
    open_with_few()
say("done")
