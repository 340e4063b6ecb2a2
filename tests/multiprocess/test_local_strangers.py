# SPDX-License-Identifier: Apache-2.0
"""ipc: and baseimage: among the users of one machine: what is closed to strangers, and whose names are believed.

The strangers are real: programs that root starts and that become another user.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.places import needs_root

import framebus
from framebus import baseimage

zmq = pytest.importorskip("zmq", reason='needs pyzmq: pip install "framebus[zmq]"')

LONG = 30.0  # against hangs only
STRANGER = 1234
IMAGE = np.arange(100 * 100, dtype=np.uint8).reshape(100, 100)
ENDS = pytest.mark.parametrize("open_url", [framebus.sink, framebus.source], ids=["sink", "source"])
BASE_ENDS = pytest.mark.parametrize("end", [baseimage.Writer, baseimage.Reader])
SHARED_MEMORY = Path("/dev/shm")


@contextmanager
def stranger(code: str, *arguments: object, last: str = "") -> Iterator[None]:
    """A program of user STRANGER, which has run this code, and waits; at the end it runs `last`."""
    text = f"import os, sys\nos.setgroups([])\nos.setgid({STRANGER})\nos.setuid({STRANGER})\n{code}\nprint(flush=True)"
    program = subprocess.Popen(
        [sys.executable, "-c", f"import socket, zmq\n{text}\nsys.stdin.read()\n{last}", *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == b"\n"
        yield
    finally:
        program.communicate()
    assert program.returncode == 0


LISTENS = """
name = sys.argv[1]
listening = socket.socket(socket.AF_UNIX)
listening.bind(name.replace("@", chr(0)))
listening.listen()
if name[0] != "@":
    os.chmod(name, 0o777)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder such as /tmp: every user can make names in it."""
    made = Path("/tmp") / f"framebus-test-{os.getpid()}-{tmp_path.name[-20:]}"
    made.mkdir()
    made.chmod(0o1777)
    yield made
    for path in made.iterdir():
        path.unlink()
    made.rmdir()


@pytest.fixture
def umask() -> Iterator[Any]:
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


# Binding


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
@ENDS
def test_a_path_is_bound_for_this_user_alone_whatever_the_umask(
    tmp_path: Path, umask: Any, mask: int, open_url: Any
) -> None:
    umask(mask)
    with open_url(f"ipc://{tmp_path}/socket", bind=True):
        assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [], "the name goes with the end"


def test_public_binds_a_path_for_all_users(tmp_path: Path, umask: Any) -> None:
    umask(0o077)
    with framebus.sink(f"ipc://{tmp_path}/socket?public=true"):
        assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o666


@ENDS
def test_an_abstract_name_is_bound_with_public_or_keys_only(tmp_path: Path, open_url: Any) -> None:
    name = f"ipc://@framebus-test-{os.getpid()}-{tmp_path.name}"
    with pytest.raises(framebus.EndpointError, match=r"every user of this machine.*public=true.*curve_secret_key="):
        open_url(name, bind=True)
    import zmq.auth

    secret = zmq.auth.create_certificates(tmp_path, "key")[1]
    open_url(name, bind=True, curve_secret_key=secret).close()
    with framebus.sink(f"{name}?public=true", wait_for=1) as sink, framebus.source(name) as source:
        sink.send(IMAGE, timeout=LONG)
        assert np.array_equal(source.recv(LONG).array, IMAGE)


def test_a_name_that_was_taken_over_is_not_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with framebus.sink(f"ipc://{path}"):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"


@needs_root
@ENDS
def test_a_stranger_can_not_connect_to_a_path(folder: Path, open_url: Any) -> None:
    with open_url(f"ipc://{folder}/socket", bind=True):
        with stranger(
            "try:\n socket.socket(socket.AF_UNIX).connect(sys.argv[1])\nexcept PermissionError:\n pass\n"
            "else:\n sys.exit('was let in')",
            folder / "socket",
        ):
            pass


# Connecting


@needs_root
@ENDS
def test_a_strangers_path_is_refused_with_the_owners_name(folder: Path, open_url: Any) -> None:
    with stranger(LISTENS, folder / "socket"):
        with pytest.raises(framebus.EndpointError, match=f"belongs to user {STRANGER}.*public=true"):
            open_url(f"ipc://{folder}/socket", bind=False)
        open_url(f"ipc://{folder}/socket", bind=False, public=True).close()
        with pytest.raises(framebus.EndpointError, match=f"socket of user {STRANGER}"):
            open_url(f"ipc://{folder}/socket", bind=True)


@needs_root
@pytest.mark.parametrize("mode", ["latest", "every"])
@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_a_stranger_that_takes_the_name_later_gets_no_frame(folder: Path, mode: str, abstract: bool) -> None:
    name = f"@framebus-test-{os.getpid()}-{mode}" if abstract else f"{folder}/socket"
    with (
        framebus.sink(f"ipc://{name}", bind=False, mode=mode, wait_for=1) as sink,
        framebus.source(f"ipc://{name}", mode=mode) as source,
        stranger(LISTENS, name),
    ):
        with pytest.raises(framebus.EndpointError, match=f"belongs to user {STRANGER}.*public=true"):
            sink.send(IMAGE, timeout=LONG)
        with pytest.raises(framebus.EndpointError, match=f"belongs to user {STRANGER}.*public=true"):
            source.recv(LONG)


RECEIVES = """
taking = zmq.Context().socket(zmq.PULL if sys.argv[2] == "every" else zmq.SUB)
if sys.argv[2] == "latest":
    taking.subscribe(b"")
taking.bind(f"ipc://{sys.argv[1]}")
os.chmod(sys.argv[1], 0o777)
"""
GOT_NOTHING = "if taking.poll(500): sys.exit('it was sent something')"


@needs_root
@pytest.mark.parametrize("mode", ["latest", "every"])
def test_no_frame_waits_for_a_connection_that_may_be_a_strangers(folder: Path, mode: str) -> None:
    with framebus.sink(f"ipc://{folder}/socket", bind=False, mode=mode) as sink:
        with stranger(RECEIVES, folder / "socket", mode, last=GOT_NOTHING):
            with pytest.raises(framebus.EndpointError, match=f"belongs to user {STRANGER}"):
                send_again_and_again(sink)


def send_again_and_again(sink: Any) -> None:
    """Sends whenever there is room; returns when it has tried very often."""
    for _ in range(1 << 20):
        with suppress(framebus.Timeout):
            sink.send(IMAGE, timeout=0.001)


# Base images


MEMORY = """
with open(f"/dev/shm/{sys.argv[1]}", "wb") as file:
    file.truncate(100_000)
    os.fchmod(file.fileno(), 0o666)
"""
SEMAPHORE = """
with open(f"/dev/shm/sem.{sys.argv[1]}Mutex", "wb") as file:
    file.write(bytes([255]) * 32)
    os.fchmod(file.fileno(), 0o666)
"""


def files(name: str) -> list[Path]:
    return [SHARED_MEMORY / name, SHARED_MEMORY / f"sem.{name}Mutex"]


@pytest.fixture
def image_name(channel_name: str) -> Iterator[str]:
    yield channel_name
    for path in files(channel_name):
        path.unlink(missing_ok=True)


@needs_root
@BASE_ENDS
@pytest.mark.parametrize("which", [0, 1], ids=["memory", "semaphore"])
def test_a_strangers_file_is_refused_with_its_owner_and_left_alone(image_name: str, end: Any, which: int) -> None:
    baseimage.Writer(image_name, keep=True).close()
    path = files(image_name)[which]
    path.unlink()
    with stranger([MEMORY, SEMAPHORE][which], image_name):
        before = path.read_bytes()
        with pytest.raises(
            framebus.PermissionDenied, match=f"{path} belongs to user {STRANGER}.*public=True"
        ) as refusal:
            end(image_name)
        assert (refusal.value.errno, refusal.value.filename) == (errno.EPERM, str(path))
        assert path.read_bytes() == before


@needs_root
def test_public_uses_a_strangers_memory(image_name: str) -> None:
    with stranger(MEMORY, image_name):
        with framebus.sink(f"baseimage:{image_name}?public=true") as sink:
            with framebus.source(f"baseimage:{image_name}?public=true") as source:
                sink.send(IMAGE)
                assert np.array_equal(source.recv(LONG).array, IMAGE)


@BASE_ENDS
@pytest.mark.parametrize("size", [0, 16, 31, 32, 33, 4096])
def test_a_semaphore_of_garbage_is_refused_and_ends_no_program(image_name: str, end: Any, size: int) -> None:
    baseimage.Writer(image_name, keep=True).close()
    files(image_name)[1].write_bytes(b"\xff" * size)
    with pytest.raises(framebus.CorruptChannel, match=r"is not a semaphore.*remove it"):
        end(image_name)


@pytest.mark.parametrize("content", [b"something that a user has kept there", b"short", b"\xff" * 100])
def test_a_writer_overwrites_no_file_that_holds_something_else(image_name: str, content: bytes) -> None:
    path = files(image_name)[0]
    path.write_bytes(content)
    with pytest.raises(framebus.CorruptChannel, match=r"remove it|Remove it"):
        baseimage.Writer(image_name)
    assert path.read_bytes() == content
    assert not files(image_name)[1].exists()


def test_a_writer_writes_to_no_second_name_of_a_file(image_name: str) -> None:
    other = SHARED_MEMORY / f"{image_name}-other"
    other.write_bytes(bytes(1000))
    try:
        os.link(other, files(image_name)[0])
        with pytest.raises(framebus.CorruptChannel, match="another name of a file"):
            baseimage.Writer(image_name)
    finally:
        other.unlink()


def test_an_abstract_listener_of_this_user_is_connected_to(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(f"\0framebus-test-{os.getpid()}-{tmp_path.name}")
        ours.listen()
        with framebus.source(f"ipc://@framebus-test-{os.getpid()}-{tmp_path.name}") as source:
            with pytest.raises(framebus.Timeout):
                source.recv(0.2)
