# SPDX-License-Identifier: Apache-2.0
"""Every kind of end in a program without standard input, output or error: nothing of it is ever descriptor 0, 1 or 2.

A program opens the end, with one of 0, 1 and 2 closed (in a fork) or all three (in an interpreter of its own); frames
go through; it writes garbage to all three, as a print or a warning of a C library would; more frames go through,
unharmed. Then it closes 0, 1 and 2 and goes on with larger frames, for which a channel needs files of another
generation. Whatever sits at these numbers must be /dev/null or nothing at all times.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.support.bus import message_bus, needs_bus
from tests.support.compiled import CppPrograms, needs_compiler
from tests.support.desktop import display, needs_display
from tests.support.paths import PROGRAMS
from tests.support.ports import free_port
from tests.support.started import Started
from tests.support.streamless import Streamless, streamless
from tests.support.waiting import wait_until

import framebus
import framebus.baseimage

pytestmark = [needs_bus, needs_display]

SMALL, LARGE = (24, 32), (240, 320)
PROGRAM = str(PROGRAMS / "without_streams.py")
PYTHON = [sys.executable, "-W", "error", PROGRAM]
ALL = (0, 1, 2)
CLOSED = ((0,), (1,), (2,), ALL)


@dataclass(frozen=True)
class Kind:
    """One kind of end.

    Attributes:
        opens: what the program opens it as, a key of SENDERS or RECEIVERS in programs/without_streams.py.
        target: what it opens, with {name}, {folder}, {reading} and {writing}.
        peer: the other end, here: a URL, or one of the words below; "" for the target.
        covers: the roles of an endpoint that this is the test of.
        last: the program opens its end after the one here.
        grows: frames of two sizes may go through.
        patience_s: how long to wait for a frame before it is sent again, where one may be lost at the beginning.
        native: the C++ program, not the Python one.
    """

    opens: str
    target: str = "{name}"
    peer: str = ""
    covers: tuple[str, str] = ("", "")
    last: bool = False
    grows: bool = True
    patience_s: float = 30.0
    native: bool = False

    @property
    def sends(self) -> bool:
        return self.opens in ("publisher", "writer", "launch", "sink", "sink_child")


def sink(target: str, **more: Any) -> Kind:
    return Kind("sink", target, covers=(target.partition(":")[0], "sink"), **more)


def source(target: str, **more: Any) -> Kind:
    return Kind("source", target, covers=(target.partition(":")[0], "source"), **more)


FILES = "files"  # the peer of a sink that writes files: they are read when it has closed
READY = "ready"  # the peer of a source whose frames are there before it opens, numbered 20, 38, 56 ...
ANY = "any"  # the same, whatever the frames are
JOURNAL = "journal"  # the peer is a child of the program, and writes what it gets into a file
BASE = "base"  # a framebus.baseimage.Writer or Reader
PUBLISHED = "{name}?every&connect_timeout=60"
BLOCKING = "{name}?on_full=block"

KINDS = {
    "publisher": Kind("publisher", peer=PUBLISHED),
    "publisher in C++": Kind("publisher", peer=PUBLISHED, native=True),
    "publisher that takes over": Kind("publisher", peer="dead", last=True),
    "publisher that launches": Kind("launch", peer=JOURNAL),
    "subscriber": Kind("subscriber", peer=BLOCKING, last=True),
    "subscriber in C++": Kind("subscriber", peer=BLOCKING, last=True, native=True),
    "subscriber by fileno": Kind("fileno", peer=BLOCKING, last=True),
    "subscriber in asyncio": Kind("asyncio", peer=BLOCKING, last=True),
    "subscriber in trio": Kind("trio", peer=BLOCKING, last=True),
    "subscribers that are waited for together": Kind("wait", peer=BLOCKING, last=True),
    "VideoCapture": Kind("video_capture", peer=BLOCKING, last=True),
    "baseimage.Writer": Kind("writer", peer=BASE),
    "baseimage.Reader": Kind("reader", peer=BASE, last=True),
    "child that is written to": Kind("sink_child", peer=JOURNAL),
    "child that is read from": Kind("source_child", peer=ANY, grows=False),
    "shm sink": sink("shm:{name}?on_full=block", peer=PUBLISHED),
    "shm source": source("shm:{name}?every&connect_timeout=60", peer=BLOCKING, last=True),
    "baseimage sink": sink("baseimage:{name}", peer=BASE),
    "baseimage source": source("baseimage:{name}?connect_timeout=60", peer=BASE, last=True),
    "pipe sink": sink("pipe:fd/{writing}", peer="pipe:fd/{reading}"),
    "pipe source": source("pipe:fd/{reading}", peer="pipe:fd/{writing}"),
    "msg sink": sink("msg:{name}?on_full=block", peer="msg:{name}", last=True),
    "msg source": source("msg:{name}", peer="msg:{name}?on_full=block"),
    "mailslot sink": sink("mailslot:{name}", last=True),
    "mailslot source": source("mailslot:{name}"),
    "ipc sink": sink("ipc://{folder}/socket?mode=every"),
    "ipc source": source("ipc://{folder}/socket?mode=every"),
    "ipc sink of the newest": sink("ipc://{folder}/socket", patience_s=1.0),
    "ipc source of the newest": source("ipc://{folder}/socket", patience_s=1.0),
    "tcp sink": sink("tcp://127.0.0.1:{port}?mode=every"),
    "tcp source": source("tcp://127.0.0.1:{port}?mode=every"),
    "dde sink": sink("dde:{name}"),
    "dde source": source("dde:{name}", last=True),
    "dde sink that pokes": sink("dde:{name}?mode=poke", last=True),
    "dde source that is poked": source("dde:{name}?mode=poke"),
    "clipboard sink": sink("clipboard:", peer="clipboard:?interval=0.01", last=True),
    "clipboard source": source("clipboard:?interval=0.01", peer="clipboard:"),
    "images sink": sink("images:{folder}/{{seq:04d}}.png", peer=FILES),
    "images source": source("images:{folder}/*.png?fps=1000", peer=READY, grows=False),
    "video sink": sink("video:{folder}/clip.mkv", peer=FILES, grows=False),
    "video source": source("video:{folder}/clip.mkv", peer=READY, grows=False),
    "pattern source": source("pattern:gradient?fps=0", peer=ANY, grows=False),
    "camera source": Kind("camera", "{folder}/clip.mkv", ANY, covers=("camera", "source"), grows=False),
}


@pytest.fixture(scope="module", autouse=True)
def desktop() -> Iterator[None]:
    """A bus and a display of the test's own, for it and what it starts."""
    with message_bus() as bus, display() as screen, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        patch.setenv("DISPLAY", screen)
        yield


def test_the_table_has_every_endpoint_in_both_roles() -> None:
    there = {(info.scheme, "source") for info in framebus.endpoints() if info.source is not None}
    there |= {(info.scheme, "sink") for info in framebus.endpoints() if info.sink is not None}
    assert there - {kind.covers for kind in KINDS.values()} == set()


@needs_compiler
@pytest.mark.parametrize("closed", CLOSED, ids=lambda closed: "".join(map(str, closed)))
@pytest.mark.parametrize("name", KINDS)
def test_nothing_of_an_end_is_a_standard_stream(
    name: str, closed: tuple[int, ...], channel_name: str, tmp_path: Path, cpp_programs: CppPrograms
) -> None:
    kind = KINDS[name]
    forks = not kind.native and closed != ALL
    command = [str(cpp_programs["without_streams"])] if kind.native else [PROGRAM] if forks else PYTHON
    with ExitStack() as ends:
        given: dict[str, Any] = {"name": channel_name, "folder": tmp_path, "port": free_port()}
        if kind.target.startswith("pipe:"):
            given["reading"], given["writing"] = os.pipe()
        target = kind.target.format(**given)
        other = (kind.peer or kind.target).format(**given)
        prepare(kind, tmp_path)
        peer: Any = None
        if kind.last and other != "dead":
            peer = ends.enter_context(peer_of(kind, other, channel_name, tmp_path))
        elif kind.last:
            peer = ends.enter_context(left_by_the_dead(channel_name))
        passed = [given["writing" if kind.sends else "reading"]] if "reading" in given else []
        program = ends.enter_context(
            streamless(closed, command, kind.opens, target, str(tmp_path / "journal"), pass_fds=passed, forks=forks)
        )
        for number in passed:
            os.close(number)
        assert program.answer() == ["open"]
        if not kind.last:
            peer = ends.enter_context(peer_of(kind, other, channel_name, tmp_path))
        go_through(kind, program, peer)
    if kind.peer == JOURNAL:
        low = (tmp_path / "journal").read_text().splitlines()[0].split("|")
        assert all(target == os.devnull or target.startswith("pipe:") for target in low)


def go_through(kind: Kind, program: Streamless, peer: Any) -> None:
    """Frames, garbage, frames, closed streams, larger frames, garbage, frames."""
    exchange = Exchange(kind, program, peer)
    assert_only_null(program.low())
    exchange.frames(SMALL)
    assert_only_null(program.low())
    program.ask("scribble")
    exchange.frames(SMALL)
    program.ask("close")
    exchange.frames(LARGE if kind.grows else SMALL)
    assert_only_null(program.low())
    program.ask("scribble")
    exchange.frames(LARGE if kind.grows else SMALL)
    assert program.ask("end") == ["done"]
    if kind.peer == FILES:
        assert peer.numbers() == exchange.sent


def assert_only_null(low: list[str]) -> None:
    assert set(low) <= {"", os.devnull}


class Exchange:
    """Sends numbered frames from one side and looks at them at the other."""

    def __init__(self, kind: Kind, program: Streamless, peer: Any) -> None:
        self._kind, self._program, self._peer = kind, program, peer
        self._last = 0
        self.sent: list[int] = []

    def frames(self, size: tuple[int, int]) -> None:
        """Two of them."""
        for _ in range(2):
            number = 20 + 18 * len(self.sent)
            self.sent.append(number)
            if self._kind.sends:
                self._from_program(number, size)
            else:
                self._to_program(number, size)
            self._last = number

    def _from_program(self, number: int, size: tuple[int, int]) -> None:
        while True:
            self._program.tell("send", number, *size)
            found = self._next_here()
            assert self._program.answer() == ["sent"]
            if found is not None:
                assert found == (number, True)
                return

    def _next_here(self) -> tuple[int, bool] | None:
        """The number of the next frame, and whether it is whole; None where it did not come and is to be sent again."""
        while True:
            if self._kind.peer == FILES:
                return self.sent[-1], True  # will be looked at in the end
            try:
                array = self._peer.recv(self._kind.patience_s).array
            except framebus.Timeout:
                return None
            number = int(array.flat[0])
            if number != self._last:  # else one that was sent twice
                return number, bool((array[..., :3] == number).all())

    def _to_program(self, number: int, size: tuple[int, int]) -> None:
        while True:
            self._program.tell("recv", self._kind.patience_s)
            if self._kind.peer not in (READY, ANY):
                self._peer.send(np.full((*size, 3), number, np.uint8))
            found = self._program.answer()
            while found == ["got", str(self._last), "1"]:
                found = self._program.ask("recv", self._kind.patience_s)
            if self._kind.peer == ANY:
                assert found[0] == "got"
                return
            if found != ["none"]:
                assert found[0] == "got"
                assert abs(int(found[1]) - number) <= 4, f"expected {number}, got {found}"
                assert found[2] == "1"
                return


def prepare(kind: Kind, folder: Path) -> None:
    """Makes what a source finds when it opens: files, or a picture numbered 0, which does not count."""
    if kind.opens == "source" and "images:" in kind.target:
        for count in range(8):
            Image.fromarray(np.full((*SMALL, 3), 20 + 18 * count, np.uint8)).save(folder / f"{count}.png")
    elif kind.peer == "clipboard:" and not kind.sends:
        with framebus.sink("clipboard:") as left:  # instead of what another test has left there
            left.send(np.zeros((*SMALL, 3), np.uint8))
    elif "clip.mkv" in kind.target and not kind.sends:
        with framebus.sink(f"video:{folder}/clip.mkv") as clip:
            for count in range(8):
                picture = np.full((*SMALL, 3), 20 + 18 * count, np.uint8)
                clip.send(picture, pixel_format="BGR8", timestamp_ns=1 + count * 10_000_000)


@contextmanager
def peer_of(kind: Kind, target: str, name: str, folder: Path) -> Iterator[Any]:
    """The other end, here; what it must be able to do depends on the kind alone."""
    if kind.peer in (READY, ANY):
        yield None
    elif kind.peer == FILES:
        yield Files(folder)
    elif kind.peer == JOURNAL:
        yield Journal(folder / "journal")
    elif kind.peer == BASE:
        with framebus.baseimage.Reader(name) if kind.sends else framebus.baseimage.Writer(name) as end:
            yield end
    elif kind.opens == "wait":
        with framebus.Publisher(f"{name}-other"), framebus.sink(target) as end:
            yield end
    else:
        with framebus.source(target) if kind.sends else framebus.sink(target) as end:
            yield end


@contextmanager
def left_by_the_dead(name: str) -> Iterator[framebus.Subscriber]:
    """A subscriber of a channel whose publisher was killed."""
    code = f"import framebus, os; p = framebus.Publisher({name!r}); p.send(bytes(9)); os.write(1, b'.\\n'); input()"
    with Started(sys.executable, "-c", code) as publisher:
        assert publisher.line() == "."
        with framebus.Subscriber(name, every=True) as subscriber:
            publisher.kill()
            publisher.wait()
            yield subscriber


class Files:
    """What a sink of files has written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def numbers(self) -> list[int]:
        """Of all frames; each must be of one colour."""
        found: list[int] = []
        pictures = [np.asarray(Image.open(path)) for path in sorted(self._folder.glob("*.png"))]
        for clip in self._folder.glob("*.mkv"):
            with av.open(str(clip)) as container:
                pictures += [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for picture in pictures:
            number = 20 + 18 * len(found)
            assert np.abs(picture.astype(np.int16) - number).max() <= 4
            found.append(number)
        return found


class Journal:
    """What a child of the program has written: what its 0, 1 and 2 are, then a line for each frame."""

    def __init__(self, path: Path) -> None:
        self._path, self._taken = path, 0

    def recv(self, _: float) -> Any:
        """The next frame, as far as it is told: its number, once for each pixel that a whole one has the same."""
        self._taken += 1
        wait_until(lambda: len(self._lines()) > self._taken, "the child to have got the frame")
        number, whole = map(int, self._lines()[self._taken].split())
        return SimpleNamespace(array=np.full((1, 1, 3), number if whole else -1))

    def _lines(self) -> list[str]:
        return self._path.read_text().splitlines() if self._path.exists() else []
