# SPDX-License-Identifier: Apache-2.0
"""Files of a channel that are not what they should be: a clear error each, and nothing is lost for whoever comes next.

What stands in the way is made with ordinary file operations, as an accident or another user would make it.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.support.harness import Programs

import framebus
from framebus import _core
from framebus._util import ofd_lock

CONTROL_BYTES = 69632
VERSION_AT = 8
COMMAND_AT = 256 + 16
STRANGER = 1234
IMAGE = np.full((48, 64), 7, np.uint8)

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason=f"needs root: sudo {sys.executable} -m pytest tests/multiprocess/test_broken_segments.py"
)


def control_path(name: str) -> Path:
    return Path(f"/dev/shm/framebus.{name}")


def store_path(name: str, generation: int = 1) -> Path:
    return Path(f"/dev/shm/framebus.{name}@{generation}")


def valid_control(name: str) -> bytes:
    """The bytes of a control block that is in use."""
    with framebus.Publisher(name) as publisher:
        publisher.send(IMAGE)
        return control_path(name).read_bytes()


def check_it_works(name: str) -> None:
    """A whole channel of that name, from nothing."""
    with framebus.Publisher(name) as publisher, framebus.Subscriber(name) as subscriber:
        publisher.send(IMAGE)
        assert (subscriber.recv(5).array == 7).all()


@contextmanager
def somebody_in(path: Path) -> Iterator[None]:
    """Somebody alive in a file, as the kernel sees it: a lock on a byte of it."""
    with path.open("r+b") as file:
        assert ofd_lock.lock(file.fileno(), 1)
        yield


def run(code: str, *arguments: str) -> str:
    """What a program of its own prints; it must end by itself, without a signal and without an error."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"exit status {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout.strip()


# A control block that can't be used


def cut(length: int) -> Callable[[bytes], bytes]:
    return lambda control: (control + bytes(CONTROL_BYTES))[:length]


def written_over(offset: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda control: control[:offset] + data + control[offset + len(data) :]


BROKEN = {
    "empty": (cut(0), framebus.CorruptChannel, ["expected a control block of 69632 bytes", "found 0"]),
    "63 bytes": (cut(63), framebus.CorruptChannel, ["69632", "found 63"]),
    "4096 bytes": (cut(4096), framebus.CorruptChannel, ["69632", "found 4096"]),
    "one byte short": (cut(CONTROL_BYTES - 1), framebus.CorruptChannel, ["69632", "found 69631"]),
    "one byte too long": (cut(CONTROL_BYTES + 1), framebus.CorruptChannel, ["69632", "found 69633"]),
    "something else": (lambda control: b"x" * len(control), framebus.CorruptChannel, ["not a framebus control block"]),
    "version 77": (
        written_over(VERSION_AT, struct.pack("=I", 77)),
        framebus.LayoutMismatch,
        ["layout version 77", f"speaks version {_core.LAYOUT_VERSION}", "same framebus release"],
    ),
    "byte order": (
        lambda control: control[7::-1] + control[8:],
        framebus.LayoutMismatch,
        ["other byte order"],
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_control_block_is_refused_while_somebody_is_in_it_and_replaced_afterwards(
    channel_name: str, kind: str
) -> None:
    spoil, error, words = BROKEN[kind]
    path = control_path(channel_name)
    path.write_bytes(spoil(valid_control(channel_name)))
    store_path(channel_name).write_bytes(b"what the one before left")
    for end in (framebus.Publisher, framebus.Subscriber):
        with somebody_in(path), pytest.raises(error) as caught:
            end(channel_name)
        for word in (str(path), *words):
            assert word in str(caught.value)
    with pytest.raises(error) as caught:
        framebus.Subscriber(channel_name)  # it only looks, and leaves all as it is
    problems = [channel.problem for channel in framebus.channels() if channel.name == channel_name]
    assert problems == [str(caught.value)]
    check_it_works(channel_name)


def test_numbers_that_cannot_be_are_replaced_when_nobody_is_there(channel_name: str) -> None:
    control = written_over(64, b"\xff" * 8)(valid_control(channel_name))  # `head`
    control_path(channel_name).write_bytes(control)
    with somebody_in(control_path(channel_name)), pytest.raises(framebus.CorruptChannel, match="number of frames"):
        framebus.Publisher(channel_name)
    check_it_works(channel_name)


def test_a_command_line_that_is_no_text_spoils_no_message(programs: Programs, channel_name: str) -> None:
    programs.publisher(channel_name)
    with control_path(channel_name).open("r+b") as file:
        file.seek(COMMAND_AT)
        file.write(b"\xff\xfe\x1b[2J evil \xc3" + bytes(20))
    with pytest.raises(framebus.ChannelInUse, match=r"evil"):
        framebus.Publisher(channel_name)
    (channel,) = [channel for channel in framebus.channels() if channel.name == channel_name]
    assert channel.publisher is not None
    assert "evil" in channel.publisher.command
    assert "\x1b" not in channel.publisher.command


# Something else in the place of a file


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


OBSTACLES: dict[str, Callable[[Path], None]] = {
    "directory": Path.mkdir,
    "FIFO": os.mkfifo,
    "symlink": lambda path: path.symlink_to("/etc/hostname"),
    "dangling symlink": lambda path: path.symlink_to("/dev/shm/framebus-nothing"),
    "socket": make_socket,
}


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.parametrize("kind", OBSTACLES)
def test_something_else_in_the_place_of_the_control_block_is_refused_and_left_alone(
    channel_name: str, kind: str
) -> None:
    path = control_path(channel_name)
    OBSTACLES[kind](path)
    try:
        for end in (framebus.Subscriber, framebus.Publisher):
            with pytest.raises(
                framebus.CorruptChannel, match="expected a regular file, found something else"
            ) as caught:
                end(channel_name)
            assert str(path) in str(caught.value)
            assert "remove it by hand" in str(caught.value)
        assert os.path.lexists(path)
    finally:
        remove(path)
    check_it_works(channel_name)


def write_zeros(path: Path) -> None:
    path.write_bytes(bytes(4096))


STORE_OBSTACLES: dict[str, tuple[Callable[[Path], None], str]] = {
    **{kind: (make, "expected a regular file") for kind, make in OBSTACLES.items()},
    "nothing": (lambda _: None, "is missing"),
    "empty file": (Path.touch, "not a frame store of generation 1"),
    "page of zeros": (write_zeros, "not a frame store of generation 1"),
}


@pytest.mark.parametrize("kind", STORE_OBSTACLES)
def test_something_else_in_the_place_of_the_store_is_an_error_until_the_publisher_moves_on(
    programs: Programs, channel_name: str, kind: str
) -> None:
    make, words = STORE_OBSTACLES[kind]
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=[48, 64], fill=1)
    path = store_path(channel_name)
    path.unlink()
    make(path)
    try:
        with framebus.Subscriber(channel_name) as subscriber:
            with pytest.raises(framebus.CorruptChannel, match=words) as caught:
                subscriber.recv(5)
            assert str(path) in str(caught.value)
            publisher.ask("send", shape=[480, 640], fill=2)  # needs a larger store
            assert (subscriber.recv(5).array == 2).all()
    finally:
        if os.path.lexists(path):
            remove(path)


@pytest.mark.parametrize("kind", OBSTACLES)
def test_a_publisher_grows_past_what_stands_in_the_place_of_its_next_store(
    programs: Programs, channel_name: str, kind: str
) -> None:
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=[48, 64], fill=1)
    path = store_path(channel_name, 2)
    OBSTACLES[kind](path)
    try:
        with framebus.Subscriber(channel_name) as subscriber:
            publisher.ask("send", shape=[480, 640], fill=2)
            assert (subscriber.recv(5).array == 2).all()
    finally:
        if os.path.lexists(path):
            remove(path)


def test_a_store_cut_short_before_it_was_opened_is_an_error(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=[48, 64], fill=1)
    size = store_path(channel_name).stat().st_size
    os.truncate(store_path(channel_name), size - 1)
    with framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(framebus.CorruptChannel, match=rf"\({size - 1} bytes\).*restart its publisher"):
            subscriber.recv(5)
        os.truncate(store_path(channel_name), size)
        assert (subscriber.recv(5).array == 1).all()


def test_a_dead_publishers_channel_without_its_store_is_taken_over(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=[48, 64], fill=1, count=3)
    publisher.kill()
    store_path(channel_name).unlink()
    with framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(framebus.CorruptChannel, match="is missing"):
            subscriber.recv(5)
        with framebus.Publisher(channel_name) as successor:
            assert successor.send(IMAGE) == 4
            assert (subscriber.recv(5).array == 7).all()


def test_metadata_that_is_no_metadata_is_an_error(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, hold=4) as subscriber:
        for good, bad in ((b'{"gain":1234}', b'{"gain":12{{}'), (b'{"text":"abc"}', b'{"text":"\xff\xfe\xfd"}')):
            publisher.send(IMAGE, meta={"gain": 1234} if b"gain" in good else {"text": "abc"})
            store = store_path(channel_name)
            contents = store.read_bytes()
            with store.open("r+b") as file:
                file.seek(contents.rindex(good))
                file.write(bad)
            frame = subscriber.recv(5)
            with pytest.raises(framebus.CorruptChannel, match="restart its publisher"):
                _ = frame.meta
            assert (frame.array == 7).all()


# Other users

AS_STRANGER = """
import os, sys, framebus
os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
try:
    end = getattr(framebus, sys.argv[3])(sys.argv[1])
    print("opened", end.recv(5).array.sum() if sys.argv[3] == "Subscriber" else "")
except framebus.Error as error:
    print(type(error).__name__, isinstance(error, PermissionError), error)
"""


@needs_root
def test_another_users_channel_without_permission_is_refused_with_owner_and_mode(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(IMAGE)
        for end in ("Subscriber", "Publisher"):
            said = run(AS_STRANGER, channel_name, str(STRANGER), end)
            assert said.startswith("PermissionDenied True")
            for word in (str(control_path(channel_name)), "user 0", "mode 0600", f"you are user {STRANGER}"):
                assert word in said
    check_it_works(channel_name)


@needs_root
def test_a_channel_that_another_user_shares_can_be_read_but_not_published(channel_name: str) -> None:
    with framebus.Publisher(channel_name, mode=0o666) as publisher:
        publisher.send(IMAGE)
        assert run(AS_STRANGER, channel_name, str(STRANGER), "Subscriber") == f"opened {IMAGE.sum()}"
        said = run(AS_STRANGER, channel_name, str(STRANGER), "Publisher")
        assert said.startswith("PermissionDenied True")
        assert "can only be published by its owner" in said


@needs_root
def test_a_control_block_of_another_user_is_not_taken_over(channel_name: str) -> None:
    control = valid_control(channel_name)
    for contents in (control, control[:4096]):
        control_path(channel_name).write_bytes(contents)
        shutil.chown(control_path(channel_name), STRANGER)
        with pytest.raises((framebus.PermissionDenied, framebus.CorruptChannel)) as caught:
            framebus.Publisher(channel_name)
        assert str(control_path(channel_name)) in str(caught.value)
        assert control_path(channel_name).read_bytes() == contents
        control_path(channel_name).unlink()
    check_it_works(channel_name)


@needs_root
def test_a_store_of_another_user_is_not_read(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(IMAGE)
        shutil.chown(store_path(channel_name), STRANGER)
        with pytest.raises(framebus.CorruptChannel, match=f"belongs to user {STRANGER}"):
            subscriber.recv(5)
        shutil.chown(store_path(channel_name), 0)
        assert (subscriber.recv(5).array == 7).all()
