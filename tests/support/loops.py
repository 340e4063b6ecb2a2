# SPDX-License-Identifier: Apache-2.0
"""What tests of waiting in event loops have in common."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
from collections.abc import Iterator

import numpy as np

import framebus
from framebus.channel import aio

PICTURE = np.zeros((48, 64), np.uint8)


@contextlib.contextmanager
def sending(publisher: framebus.Publisher, count: int) -> Iterator[None]:
    """A thread sends `count` frames as fast as they are taken."""
    thread = threading.Thread(target=lambda: [publisher.send(PICTURE) for _ in range(count)])
    thread.start()
    yield
    thread.join()


def readers_of(loop: asyncio.AbstractEventLoop) -> int:
    """How many of ours are registered in the loop."""
    selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
    handles = [handle for key in selector.get_map().values() for handle in key.data if handle is not None]
    arguments = [argument for handle in handles for argument in handle._args]
    return sum(isinstance(getattr(argument, "__self__", None), aio.Reader) for argument in arguments)
