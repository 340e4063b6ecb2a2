# SPDX-License-Identifier: Apache-2.0
"""Both ends of a channel in a program that may have no more descriptors or no more address space."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np

import framebus
from talk import options, say, serve

NAME = options()["name"]
PUBLISHER = framebus.Publisher(NAME)
PUBLISHER.send(np.full((100, 100), 1, np.uint8))
SUBSCRIBER = framebus.Subscriber(NAME)
HOGS: list[int] = []


def use_up_descriptors() -> None:
    """Leave not one descriptor free."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with contextlib.suppress(OSError):
        while True:
            HOGS.append(os.open("/", os.O_RDONLY))


def give_descriptors_back() -> None:
    """Undo that."""
    while HOGS:
        os.close(HOGS.pop())


def limit_address_space(room: int) -> None:
    """Let the program map no more than `room` bytes beyond what it has mapped now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + room
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def send(size: int) -> int:
    """Send a frame of `size` bytes that itself takes no memory."""
    return PUBLISHER.send(np.broadcast_to(np.uint8(3), (size,)))


def recv() -> tuple[int, int]:
    """Fetch the next frame; gives its number and size."""
    with SUBSCRIBER.recv(timeout=10) as frame:
        return frame.seq, frame.array.nbytes


def open_another(end: str, name: str) -> None:
    """Open one more end of a channel and close it."""
    ends: dict[str, Callable[[str], framebus.Publisher | framebus.Subscriber]] = {
        "publisher": framebus.Publisher,
        "subscriber": framebus.Subscriber,
    }
    ends[end](name).close()


say("ready")
serve(
    use_up_descriptors=use_up_descriptors,
    give_descriptors_back=give_descriptors_back,
    limit_address_space=limit_address_space,
    send=send,
    recv=recv,
    open_another=open_another,
    fileno=SUBSCRIBER.fileno,
    channels=lambda: [channel.name for channel in framebus.channels()],
)
SUBSCRIBER.close()
PUBLISHER.close()
