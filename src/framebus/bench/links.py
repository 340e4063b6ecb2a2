# SPDX-License-Identifier: Apache-2.0
"""The mechanisms that are compared, and how two ends that belong together are named.

The seven are those of the article framebus grew out of. Where a mechanism needs something that is not there (a display,
a message bus), it is left out and the reason is shown.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import framebus
from framebus._util import fds
from framebus._util.server import server

PREFIX = "bench"


@dataclass(frozen=True)
class Link:
    """Two ends that belong together.

    Attributes:
        source: URL of the receiving end.
        sink: URL of the sending end.
        source_first: the receiving end has to be there first.
        source_fds, sink_fds: descriptors for the two programs.
        env: environment variables for both, beside those of this program.
    """

    source: str
    sink: str
    source_first: bool = False
    source_fds: tuple[int, ...] = ()
    sink_fds: tuple[int, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Mechanism:
    """One mechanism: its name, its number in the article, and how to make a link: of every frame, or of the newest."""

    name: str
    number: int
    scheme: str
    link: Callable[[bool], AbstractContextManager[Link]]


class Missing(Exception):
    """Something that a mechanism needs is not there; the text says what."""


def unique() -> str:
    """A name that no other program uses."""
    return f"{PREFIX}-{os.getpid()}-{os.urandom(4).hex()}"


@contextmanager
def shared_memory(every: bool) -> Iterator[Link]:
    """The channel."""
    name = unique()
    if every:
        yield Link(f"{name}?every&connect_timeout=10", f"{name}?on_full=block")
    else:
        yield Link(f"{name}?connect_timeout=10", name)


@contextmanager
def pipe(_every: bool) -> Iterator[Link]:  # a pipe delivers every frame
    """An anonymous pipe."""
    reading, writing = fds.pipe()
    try:
        yield Link(f"pipe:fd/{reading}", f"pipe:fd/{writing}", source_fds=(reading,), sink_fds=(writing,))
    finally:
        os.close(reading)
        os.close(writing)


@contextmanager
def message_queue(_every: bool) -> Iterator[Link]:  # a queue delivers every frame
    """A POSIX message queue, the counterpart of window messages."""
    name = unique()
    yield Link(f"msg:{name}", f"msg:{name}?on_full=block", source_first=True)


@contextmanager
def socket(every: bool) -> Iterator[Link]:
    """ZeroMQ over a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="framebus-bench.") as folder:
        mode = "?mode=every" if every else ""
        yield Link(f"ipc://{folder}/socket{mode}", f"ipc://{folder}/socket{mode}")


@contextmanager
def clipboard(_every: bool) -> Iterator[Link]:  # there is only ever the newest
    """The image clipboard: that of a display of its own where Xvfb is there, so that the user's is not overwritten."""
    if shutil.which("Xvfb") is None:
        raise Missing("Xvfb is not there (apt-get install xvfb)")
    with server("Xvfb", "-displayfd", "{}", "-nolisten", "tcp") as (display, _):
        if not display:
            raise Missing("Xvfb did not start")
        url = "clipboard:?pixel_format=RGB8&interval=0.01"
        yield Link(url, "clipboard:", env={"DISPLAY": f":{display}"})


@contextmanager
def data_exchange(_every: bool) -> Iterator[Link]:  # a request returns the newest
    """D-Bus in the place of DDE, with a bus of its own."""
    if shutil.which("dbus-daemon") is None:
        raise Missing("dbus-daemon is not there (apt-get install dbus)")
    with server("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address={}") as (address, _):
        if not address:
            raise Missing("dbus-daemon did not start")
        name = unique()
        yield Link(f"dde:{name}", f"dde:{name}", env={"DBUS_SESSION_BUS_ADDRESS": address})


@contextmanager
def mailslot(_every: bool) -> Iterator[Link]:  # a slow box loses frames
    """Datagrams to every box of a name."""
    name = unique()
    yield Link(f"mailslot:{name}", f"mailslot:{name}", source_first=True)


MECHANISMS = (
    Mechanism("anonymous pipe", 1, "pipe", pipe),
    Mechanism("message queue", 2, "msg", message_queue),
    Mechanism("socket (ZeroMQ)", 3, "ipc", socket),
    Mechanism("clipboard", 4, "clipboard", clipboard),
    Mechanism("data exchange (D-Bus)", 5, "dde", data_exchange),
    Mechanism("mailslot (datagrams)", 6, "mailslot", mailslot),
    Mechanism("shared memory", 7, "shm", shared_memory),
)


def reason_missing(mechanism: Mechanism) -> str | None:
    """Why a mechanism can't be measured here, None where it can."""
    for info in framebus.endpoints():
        if info.scheme == mechanism.scheme:
            return None if info.installed else f'run: pip install "framebus[{info.extra}]"'
    return f"this release has no {mechanism.scheme}:"
