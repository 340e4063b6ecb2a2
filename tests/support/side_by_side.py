# SPDX-License-Identifier: Apache-2.0
"""How tests run side by side: in the workers of pytest-xdist that scripts/test starts, two for each core.

Most tests wait most of the time, for programs that start and for timeouts that run out. What keeps them apart:

- Names. Channels, services and sockets of a test are named as no others are, ports, displays and message buses are
  those that are free; nothing else is needed where a test looks only at its own. Several runs may share a machine, too.
- A /dev/shm of its own for each worker, if it may mount one, which takes root. Then a test may look at all that there
  is, programs of documents may use the name that the document shows, and each worker answers for what it leaves.
- A group, `@pytest.mark.xdist_group("queues")`: tests that share a limit of the user or, without root, a name. They run
  one after the other in one worker.
- `@pytest.mark.alone`: no other test runs beside it, because it is about what an idle machine does. They come last,
  when the workers have nothing else to do, so that no other test waits for them.

`@pytest.mark.long` is only about time: such a test begins first, so that the run doesn't end with waiting for it.

Without workers (-n 0, or no pytest-xdist) nothing of this happens and the order is the usual one.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLONE_NEWNS = 0x20000
MS_NOSUID, MS_NODEV, MS_REC, MS_PRIVATE = 2, 4, 0x4000, 0x40000


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def own_shared_memory() -> bool:
    """Gives this thread, and all that it starts from now on, an empty /dev/shm; says whether that was possible.

    Tests run in the main thread of a worker; its other thread only talks to pytest-xdist.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    mount = libc.mount
    mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
    return (
        libc.unshare(CLONE_NEWNS) == 0
        and mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
        and mount(b"tmpfs", b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV, b"mode=1777") == 0
    )


def arrange(items: list[pytest.Item]) -> None:
    """Puts long tests first and those that must be alone last, into a group."""

    def place(item: pytest.Item) -> int:
        if item.get_closest_marker("alone"):
            return 2
        return 0 if item.get_closest_marker("long") else 1

    for item in items:
        if place(item) == 2:
            item.add_marker(pytest.mark.xdist_group("alone"))
    items.sort(key=place)


class Turns:
    """Lets any number of tests run beside each other, or one that is alone, in all workers together.

    Two locks of files, which end with their process. Every test goes through the gate; one that must be alone holds it
    while it waits for those that run, so that no others come in between.
    """

    def __init__(self) -> None:
        self._gate = os.open(__file__, os.O_RDONLY | os.O_CLOEXEC)
        self._running = os.open(Path(__file__).parent, os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def of(self, item: pytest.Item) -> Iterator[None]:
        alone = item.get_closest_marker("alone") is not None
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._running, fcntl.LOCK_UN)  # also that of children that were forked and are still there
