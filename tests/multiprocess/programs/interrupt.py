# SPDX-License-Identifier: Apache-2.0
"""A program that is inside one call of the library when Ctrl-C comes; says so, and when it got out of the call."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import time
from collections.abc import Callable

import numpy as np
import trio

import framebus
from framebus import baseimage
from talk import Ticker, options, say

OPTIONS = options()
NAME, WAIT = OPTIONS["name"], OPTIONS.get("wait", "adaptive")
TICKER = Ticker()
IMAGE = np.zeros((48, 64), np.uint8)


def receive() -> None:
    """Wait for a frame that never comes."""
    with framebus.Publisher(NAME), framebus.Subscriber(NAME, wait=WAIT) as subscriber, TICKER.around():
        subscriber.recv()


def receive_paced() -> None:
    """Wait for the second frame of a source whose frames are a quarter of an hour apart."""
    with framebus.source(OPTIONS["url"]) as source:
        source.recv()
        with TICKER.around():
            source.recv()


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


def await_frame() -> None:
    """Await a frame in an event loop."""
    with framebus.Publisher(NAME), framebus.Subscriber(NAME, wait=WAIT) as subscriber, TICKER.around():
        asyncio.run(subscriber.recv_async())


def await_frame_in_trio() -> None:
    """The same in the other event loop."""
    with framebus.Publisher(NAME), framebus.Subscriber(NAME, wait=WAIT) as subscriber, TICKER.around():
        trio.run(subscriber.recv_async)


def wait_for_several() -> None:
    """Wait for a frame in any of two channels."""
    with framebus.Publisher(NAME), framebus.Publisher(f"{NAME}-2"):
        with framebus.Subscriber(NAME, wait=WAIT) as one, framebus.Subscriber(f"{NAME}-2") as other, TICKER.around():
            framebus.wait([one, other])


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


def receive_base_image() -> None:
    """Wait for a base image that never comes."""
    with baseimage.Writer(NAME), baseimage.Reader(NAME) as reader, TICKER.around():
        reader.recv()


def send_base_image() -> None:
    """Wait until a reader takes the base image before."""
    with baseimage.Writer(NAME, wait_for_reader=True) as writer:
        writer.send(IMAGE)
        with TICKER.around():
            writer.send(IMAGE)


def connect_to_base_image() -> None:
    """Wait for a publisher that never comes."""
    with TICKER.around():
        baseimage.Reader(NAME, connect_timeout=3600.0)


def receive_from_pipe() -> None:
    """Wait for a frame from a pipe that nobody writes into."""
    reading, _ = os.pipe()
    with framebus.source(f"pipe:fd/{reading}") as source, TICKER.around():  # type: ignore[attr-defined]
        source.recv()


def send_to_pipe() -> None:
    """Send into a pipe that nobody reads; leaving it must not wait for a reader either."""
    _, writing = os.pipe()
    with framebus.sink(f"pipe:fd/{writing}?linger=3600") as sink:  # type: ignore[attr-defined]
        while True:
            with TICKER.around():
                sink.send(np.zeros(4 << 20, np.uint8))


CALLS: dict[str, Callable[[], None]] = {
    "recv": receive,
    "recv_paced": receive_paced,
    "iterate": iterate,
    "iterate_async": iterate_async,
    "await": await_frame,
    "await_in_trio": await_frame_in_trio,
    "wait": wait_for_several,
    "send": send,
    "loan": loan,
    "connect": connect,
    "relay": relay,
    "relay_slowly": functools.partial(relay, 1e-3),
    "receive_base_image": receive_base_image,
    "send_base_image": send_base_image,
    "connect_to_base_image": connect_to_base_image,
    "receive_from_pipe": receive_from_pipe,
    "send_to_pipe": send_to_pipe,
}

# Whoever started the test may have had SIGINT ignored, which is inherited.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    CALLS[OPTIONS["call"]]()
except KeyboardInterrupt:
    say("interrupted", at_ns=time.monotonic_ns())
    raise
