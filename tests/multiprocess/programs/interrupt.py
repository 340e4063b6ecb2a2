# SPDX-License-Identifier: Apache-2.0
"""A program that is inside one call of the library when Ctrl-C comes; says so, and when it got out of the call."""

from __future__ import annotations

import asyncio
import functools
import signal
import time
from collections.abc import Callable

import numpy as np

import framebus
from talk import Ticker, options, say

OPTIONS = options()
NAME, WAIT = OPTIONS["name"], OPTIONS.get("wait", "adaptive")
TICKER = Ticker()
IMAGE = np.zeros((48, 64), np.uint8)


def receive() -> None:
    """Wait for a frame that never comes."""
    with framebus.Publisher(NAME), framebus.Subscriber(NAME, wait=WAIT) as subscriber, TICKER.around():
        subscriber.recv()


def iterate() -> None:
    """Iterate over frames that never come."""
    with framebus.Publisher(NAME), framebus.Subscriber(NAME, wait=WAIT) as subscriber, TICKER.around():
        for _ in subscriber:
            pass


def iterate_async() -> None:
    """Iterate in an event loop."""

    async def watch(subscriber: framebus.Subscriber) -> None:
        async for _ in subscriber:
            pass

    with framebus.Publisher(NAME), framebus.Subscriber(NAME, wait=WAIT) as subscriber, TICKER.around():
        asyncio.run(watch(subscriber))


def send() -> None:
    """Send until an `every` subscriber that never reads makes the publisher wait."""
    with framebus.Publisher(NAME, on_full="block") as publisher, framebus.Subscriber(NAME, every=True):
        while True:
            with TICKER.around():
                publisher.send(IMAGE)


def loan() -> None:
    """Take loans until an `every` subscriber that never reads makes the publisher wait."""
    with framebus.Publisher(NAME, on_full="block") as publisher, framebus.Subscriber(NAME, every=True):
        while True:
            with TICKER.around(), publisher.loan(IMAGE.shape):
                pass


def connect() -> None:
    """Wait for a publisher that never comes."""
    with TICKER.around():
        framebus.Subscriber(NAME, connect_timeout=3600.0, wait=WAIT)


def relay(fps: float | None = None) -> None:
    """Move frames from a channel that has only one."""
    with framebus.Publisher(NAME) as publisher, framebus.Publisher(f"{NAME}-out") as out:
        publisher.send(IMAGE)
        with framebus.Subscriber(NAME) as subscriber, TICKER.around():
            framebus.relay(subscriber, out, fps=fps)


CALLS: dict[str, Callable[[], None]] = {
    "recv": receive,
    "iterate": iterate,
    "iterate_async": iterate_async,
    "send": send,
    "loan": loan,
    "connect": connect,
    "relay": relay,
    "relay_slowly": functools.partial(relay, 1e-3),
}

# Whoever started the test may have had SIGINT ignored, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    CALLS[OPTIONS["call"]]()
except KeyboardInterrupt:
    say("interrupted", at_ns=time.monotonic_ns())
    raise
