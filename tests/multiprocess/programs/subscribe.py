# SPDX-License-Identifier: Apache-2.0
"""A subscriber that does what the test tells it."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import numpy.typing as npt

import framebus
from talk import Ticker, options, say, serve

OPTIONS = options()
say("starting")
SUBSCRIBER = framebus.Subscriber(**OPTIONS)
TICKER = Ticker()
KEPT: list[tuple[npt.NDArray[np.generic], bytes]] = []


def describe(frame: framebus.Frame) -> dict[str, object]:
    """A frame as JSON: of each array its shape, dtype, and lowest and highest value."""
    return {
        "seq": frame.seq,
        "meta": frame.meta,
        "arrays": {
            name: [list(array.shape), array.dtype.str, float(array.min()), float(array.max())]
            for name, array in frame.arrays.items()
        },
    }


def recv(timeout: float | None = None, keep: bool = False) -> dict[str, object]:
    """Fetch the next frame; with `keep` its array is kept as well as a copy of what it was."""
    with TICKER.around():
        frame = SUBSCRIBER.recv(timeout)
    if keep:
        KEPT.append((frame.array, frame.array.tobytes()))
    return describe(frame)


def recv_async(timeout: float | None = None, library: str = "asyncio") -> dict[str, object]:
    """The same in an event loop."""

    import asyncio  # here, since what this is run as may not be allowed to read them

    import trio

    async def look() -> dict[str, object]:
        return describe(await SUBSCRIBER.recv_async(timeout))  # a frame that comes out of trio.run() stays in its wake

    with TICKER.around():
        return trio.run(look) if library == "trio" else asyncio.run(look())


def wait(timeout: float | None = None) -> dict[str, object] | None:
    """The same by way of framebus.wait, beside a channel in which nothing happens; None when the time is over."""
    quiet = f"{OPTIONS['name']}-quiet"
    with framebus.Publisher(quiet), framebus.Subscriber(quiet) as other, TICKER.around():
        ready = framebus.wait([other, SUBSCRIBER], timeout)
    assert ready in ([], [SUBSCRIBER])
    return try_recv() if ready else None


def try_recv() -> dict[str, object] | None:
    """Fetch the next frame if there is one."""
    frame = SUBSCRIBER.try_recv()
    return None if frame is None else describe(frame)


def drain() -> list[int]:
    """Fetch whatever is there; gives the numbers."""
    numbers = []
    while (frame := SUBSCRIBER.try_recv()) is not None:
        numbers.append(frame.seq)
        frame.release()
    return numbers


def iterate() -> list[int]:
    """Fetch until the publisher closes the channel; gives the numbers."""
    numbers = []
    with TICKER.around():
        for frame in SUBSCRIBER:
            numbers.append(frame.seq)
            say("frame", seq=frame.seq)
    return numbers


def kept_unchanged() -> list[bool]:
    """Whether each kept array still has the bytes it had."""
    return [array.tobytes() == before for array, before in KEPT]


say("attached")
serve(
    recv=recv,
    recv_async=recv_async,
    wait=wait,
    try_recv=try_recv,
    drain=drain,
    iterate=iterate,
    kept_unchanged=kept_unchanged,
    forget=KEPT.clear,
    statistics=lambda: asdict(SUBSCRIBER.statistics()),
    close=SUBSCRIBER.close,
)
SUBSCRIBER.close()
