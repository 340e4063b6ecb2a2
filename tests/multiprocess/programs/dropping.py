# SPDX-License-Identifier: Apache-2.0
"""One end of a channel, opened as root, that becomes another user afterwards."""

from __future__ import annotations

import os
from dataclasses import asdict

import numpy as np

import framebus
from talk import options, say, serve

OPTIONS = options()
END = {"publisher": framebus.Publisher, "subscriber": framebus.Subscriber}[OPTIONS.pop("end")](**OPTIONS)


def become(uid: int) -> None:
    """Be this user from now on, in all threads, for good."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def send(size: int) -> int:
    """Send a frame of `size` bytes."""
    assert isinstance(END, framebus.Publisher)
    return END.send(np.zeros(size, np.uint8))


def recv(timeout: float | None = None) -> int:
    """Fetch the next frame; gives its number."""
    assert isinstance(END, framebus.Subscriber)
    with END.recv(timeout) as frame:
        return frame.seq


say("ready")
serve(become=become, send=send, recv=recv, statistics=lambda: asdict(END.statistics()))
END.close()
