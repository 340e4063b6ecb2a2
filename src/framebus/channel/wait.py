# SPDX-License-Identifier: Apache-2.0
"""Waiting on several subscribers at once."""

from __future__ import annotations

from collections.abc import Iterable

from framebus import _core
from framebus.channel.subscriber import Subscriber


def wait(subscribers: Iterable[Subscriber], timeout: float | None = None) -> list[Subscriber]:
    """Returns those that have something new, in the order given, and waits for at least one of them.

        for sub in framebus.wait([left, right], timeout=1.0):
            frame = sub.try_recv()

    try_recv() of each that is returned returns a frame or raises at once, unless another thread is faster. A closed one
    is returned, and so is one with reconnect=False whose publisher has closed or died. With reconnect=True the end of a
    publisher is nothing new, as in recv(). Other Python threads run meanwhile. Nothing spins, whatever `wait=` the
    subscribers have.

    When `timeout` seconds are over it returns an empty list and raises nothing, as multiprocessing.connection.wait()
    does: 0 only looks, None waits without a limit. Unlike that function it refuses an empty list.

    Raises:
        ValueError: no subscriber given, or a negative timeout.
        TypeError: something else than Subscribers given.
        ForkedChild: one of them belongs to the parent of this forked process.
        CorruptChannel, LayoutMismatch: the files of one were removed, and what has its name now can't be used.
    """
    several = list(subscribers)
    for one in several:
        if not isinstance(one, Subscriber):
            raise TypeError(f"wait() takes Subscribers, got {one!r} ({type(one).__name__})")
    if not several:
        raise ValueError("wait() got no subscriber, so nothing can come; give it at least one")
    return [several[index] for index in _core.wait(several, timeout)]
