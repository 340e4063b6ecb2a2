# SPDX-License-Identifier: Apache-2.0
"""A Writer or Reader of base images that does what the test tells it; `role` says which.

`run` works through numbered images: the first four bytes are the number, every other byte is the number modulo 251.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from framebus import baseimage
from numbered import Checker, byte_of
from talk import Ticker, options, say, serve

OPTIONS = options()
ROLE = OPTIONS.pop("role")
END = baseimage.Writer(**OPTIONS) if ROLE == "writer" else baseimage.Reader(**OPTIONS)
TICKER = Ticker()
CHECKER = Checker()


def send(value: int, shape: list[int], timeout: float | None = None) -> int:
    """Send one image that is all `value`."""
    assert isinstance(END, baseimage.Writer)
    with TICKER.around():
        return END.send(np.full(shape, value, np.uint8), timeout=timeout)


def recv(timeout: float | None = None) -> dict[str, object]:
    """Fetch the next image; gives what is in it."""
    assert isinstance(END, baseimage.Reader)
    with TICKER.around():
        frame = END.recv(timeout)
    return {
        "seq": frame.seq,
        "shape": frame.array.shape,
        "values": np.unique(frame.array).tolist(),
        "meta": frame.meta,
        "pixel_format": frame.pixel_format,
    }


def send_numbers(first: int, last: int, shape: list[int], quiet: bool = False) -> None:
    """Send the images from `first` to `last`, and say each unless `quiet`."""
    assert isinstance(END, baseimage.Writer)
    image = np.empty(shape, np.uint8)
    for number in range(first, last + 1):
        image.fill(byte_of(number))
        image.reshape(-1)[:4].view("<i4")[0] = number
        END.send(image)
        if not quiet:
            say("number", number=number)


def is_whole(image: NDArray[np.uint8], number: int) -> bool:
    """Whether all of it belongs to image `number`."""
    return CHECKER.is_whole(image.reshape(-1)[4:].copy(), byte_of(number))


def recv_numbers(last: int) -> dict[str, object]:
    """Fetch images up to number `last`, and say each; gives how many were torn, and of these marked as that."""
    assert isinstance(END, baseimage.Reader)
    counts = {"frames": 0, "torn": 0, "torn_and_marked": 0}
    number = 0
    while number != last:
        frame = END.recv()
        number = int(frame.array.reshape(-1)[:4].view("<i4")[0])
        marked = "torn_suspected" in frame.meta
        torn = not is_whole(frame.array, number)
        counts["frames"] += 1
        counts["torn"] += torn
        counts["torn_and_marked"] += torn and marked
        say("number", number=number)
    return counts


say("ready")
serve(
    send=send,
    recv=recv,
    send_numbers=send_numbers,
    recv_numbers=recv_numbers,
    statistics=lambda: asdict(END.statistics()),
    close=END.close,
)
END.close()
