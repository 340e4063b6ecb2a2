# SPDX-License-Identifier: Apache-2.0
"""Base images: who is there, who removes the files, and what happens when they are broken, cut, replaced or removed."""

from __future__ import annotations

import gc
import mmap
import os
import pickle
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus import baseimage

SHARED_MEMORY = Path("/dev/shm")
PICTURE = np.arange(24, dtype=np.uint8).reshape(4, 6)


def files(name: str) -> set[str]:
    return {path.name for path in (SHARED_MEMORY / name, SHARED_MEMORY / f"sem.{name}Mutex") if path.exists()}


def both(name: str) -> set[str]:
    return {name, f"sem.{name}Mutex"}


@contextmanager
def mapped(name: str) -> Iterator[mmap.mmap]:
    """The memory as a program has it that knows nothing of framebus."""
    with (SHARED_MEMORY / name).open("r+b") as file:
        memory = mmap.mmap(file.fileno(), 4096)
    try:
        yield memory
    finally:
        memory.close()


# Coming


def test_a_reader_without_program_a_is_told_so(channel_name: str) -> None:
    with pytest.raises(framebus.ChannelNotFound, match=f"s program has not started.*{channel_name}.*connect_timeout="):
        baseimage.Reader(channel_name)
    with pytest.raises(LookupError):
        baseimage.Reader(channel_name, connect_timeout=0.1)


def test_a_reader_waits_for_program_a_until_connect_timeout(channel_name: str) -> None:
    arrived: list[framebus.Frame] = []
    started = threading.Event()

    def read() -> None:
        started.set()
        with baseimage.Reader(channel_name, connect_timeout=WATCHDOG_S, fresh=False) as reader:
            arrived.append(reader.recv(WATCHDOG_S))

    thread = threading.Thread(target=read)
    thread.start()
    assert started.wait(WATCHDOG_S)
    with baseimage.Writer(channel_name) as writer:
        writer.send(PICTURE)
        thread.join(WATCHDOG_S)
    np.testing.assert_array_equal(arrived[0].array, PICTURE)


def test_a_second_writer_is_refused_until_the_first_is_gone(channel_name: str) -> None:
    with baseimage.Writer(channel_name) as writer:
        with pytest.raises(framebus.ChannelInUse, match=f"writes '{channel_name}'.*fuser"):
            baseimage.Writer(channel_name)
        writer.send(PICTURE)
    baseimage.Writer(channel_name).close()


@pytest.mark.parametrize("size", [4096, 64 << 20])
def test_memory_that_is_there_is_used_as_large_as_it_is(channel_name: str, size: int) -> None:
    with (SHARED_MEMORY / channel_name).open("wb") as file:
        file.truncate(size)
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        assert writer.capacity == size
        with pytest.raises(framebus.FrameTooLarge, match=f"has \\({size}\\)"):
            writer.send(np.zeros((size - 15, 1), np.uint8))
        writer.send(np.ones((size - 16, 1), np.uint8))
        assert reader.recv(WATCHDOG_S).array.all()


def test_memory_that_never_got_a_size_gets_one(channel_name: str) -> None:
    (SHARED_MEMORY / channel_name).touch()
    with baseimage.Writer(channel_name) as writer:
        assert writer.capacity == baseimage.CAPACITY


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_the_mode_is_that_of_both_files_whatever_the_umask(channel_name: str, mode: int) -> None:
    before = os.umask(0o077)
    try:
        with baseimage.Writer(channel_name, mode=mode):
            assert [(SHARED_MEMORY / path).stat().st_mode & 0o777 for path in both(channel_name)] == [mode, mode]
    finally:
        os.umask(before)


# Leaving


@pytest.mark.parametrize("order", [0, 1], ids=["writer first", "reader first"])
def test_the_last_one_out_removes_both_files(channel_name: str, order: int) -> None:
    writer = baseimage.Writer(channel_name)
    ends = [writer, baseimage.Reader(channel_name), baseimage.Reader(channel_name)]
    if order:
        ends.reverse()
    for end in ends:
        assert files(channel_name) == both(channel_name)
        end.close()
        end.close()
    assert files(channel_name) == set()


def test_a_mapping_of_a_foreign_program_keeps_the_files(channel_name: str) -> None:
    writer = baseimage.Writer(channel_name)
    with mapped(channel_name):
        writer.close()
        assert files(channel_name) == both(channel_name)
    baseimage.Writer(channel_name).close()
    assert files(channel_name) == set()


def test_keep_leaves_the_files(channel_name: str) -> None:
    with baseimage.Writer(channel_name, keep=True) as writer:
        writer.send(PICTURE)
    assert files(channel_name) == both(channel_name)
    with baseimage.Reader(channel_name, fresh=False) as reader:
        np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, PICTURE)
    assert files(channel_name) == set()


def test_ends_that_were_forgotten_are_closed(channel_name: str) -> None:
    baseimage.Writer(channel_name)
    gc.collect()
    assert files(channel_name) == set()


def test_a_closed_end_says_so(channel_name: str) -> None:
    writer = baseimage.Writer(channel_name)
    reader = baseimage.Reader(channel_name)
    writer.close()
    reader.close()
    calls: list[Callable[[], Any]] = [lambda: writer.send(PICTURE), reader.recv, reader.try_recv, lambda: next(reader)]
    for call in calls:
        with pytest.raises(framebus.ChannelClosed, match="closed"):
            call()
    assert writer.closed
    assert "closed" in repr(reader)


@pytest.mark.parametrize("what", ["recv", "send"])
def test_close_ends_a_call_that_waits_in_another_thread(channel_name: str, what: str) -> None:
    writer = baseimage.Writer(channel_name, wait_for_reader=True)
    reader = baseimage.Reader(channel_name)
    if what == "send":
        writer.send(PICTURE)
    raised: list[BaseException] = []
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        try:
            reader.recv() if what == "recv" else writer.send(PICTURE)
        except framebus.ChannelClosed as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(WATCHDOG_S)
    (reader if what == "recv" else writer).close()
    thread.join(WATCHDOG_S)
    assert len(raised) == 1
    reader.close()
    writer.close()
    assert files(channel_name) == set()


def test_a_forked_child_is_refused_and_keeps_nothing(channel_name: str) -> None:
    writer, reader = baseimage.Writer(channel_name), baseimage.Reader(channel_name)
    finish_read, finish_write = os.pipe()
    told_read, told_write = os.pipe()
    child = os.fork()
    if child == 0:
        said = b""
        for call in (lambda: writer.send(PICTURE), reader.try_recv):
            try:
                call()
            except framebus.Error as error:
                said += b"refused;" if "forked child" in str(error) else b"?"
        writer.close()
        os.write(told_write, said)
        os.close(finish_write)
        os.read(finish_read, 1)
        os._exit(0)
    try:
        assert os.read(told_read, 100) == b"refused;refused;"
        writer.send(PICTURE)
        assert reader.recv(WATCHDOG_S).seq == 1
        reader.close()
        writer.close()
        assert files(channel_name) == set()
        baseimage.Writer(channel_name).close()  # the child does not keep its parent's lock
    finally:
        for descriptor in (finish_read, finish_write, told_read, told_write):
            os.close(descriptor)
        os.waitpid(child, 0)


def test_ends_travel_as_name_and_options(channel_name: str) -> None:
    writer = baseimage.Writer(channel_name, stride=4, bottom_up=True)
    reader = pickle.loads(pickle.dumps(baseimage.Reader(channel_name, bottom_up=True, stride=4)))
    data = pickle.dumps(writer)
    writer.close()
    with pickle.loads(data) as again, reader:
        again.send(PICTURE)
        np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, PICTURE)


# Broken, cut, replaced and removed


BROKEN = [
    (24, 6, 4, 7), (24, 6, 4, 0), (24, 6, 4, -8), (24, 6, 4, 64), (0, 6, 4, 8), (24, 0, 4, 8), (24, 6, 0, 8),
    (24, -6, -4, 8), (-24, 6, 4, 8), (25, 6, 4, 8), (23, 6, 4, 8), (24, 6, 4, 24), (31, 6, 4, 8), (0, 0, 0, 8),
    (24, 0, 0, 0), (2**31 - 1, 2**31 - 1, 1, 8), (2**31 - 1, 1, 2**31 - 1, 8), (33554432, 4096, 2048, 32),
    (33554417, 33554417, 1, 8), (2**31 - 4, 2**29 - 1, 1, 32), (-(2**31), -(2**31), 1, 8),
]  # fmt: skip


@pytest.mark.parametrize("header", BROKEN, ids=str)
def test_a_header_that_contradicts_itself_or_the_memory_is_corrupt(
    channel_name: str, header: tuple[int, int, int, int]
) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(PICTURE)
        with mapped(channel_name) as memory:
            memory[:16] = struct.pack("<4i", *header)
        with pytest.raises(framebus.CorruptChannel, match=f"'{channel_name}' is broken"):
            reader.recv(WATCHDOG_S)
        writer.send(PICTURE)
        np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, PICTURE)
        assert reader.statistics().corrupt == 1


@pytest.mark.parametrize(("stride", "accepted"), [(None, {24, 32}), (1, {24}), (4, {32})])
def test_padding_is_accepted_as_asked_for(channel_name: str, stride: int | None, accepted: set[int]) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name, stride=stride) as reader:
        for length in (24, 32):
            writer.send(PICTURE)
            with mapped(channel_name) as memory:
                memory[:4] = struct.pack("<i", length)
            if length in accepted:
                assert reader.recv(WATCHDOG_S).array.shape == (4, 6)
            else:
                with pytest.raises(framebus.CorruptChannel, match="contradict"):
                    reader.recv(WATCHDOG_S)


@pytest.mark.parametrize("size", [0, 15, 16, 20, 39])
def test_memory_that_was_cut_is_an_error_and_no_signal(channel_name: str, size: int) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(PICTURE)
        os.truncate(SHARED_MEMORY / channel_name, size)
        with pytest.raises(framebus.CorruptChannel, match=r"was cut|do not fit"):
            reader.recv(WATCHDOG_S)
        with pytest.raises(framebus.FrameTooLarge):
            writer.send(PICTURE)
        os.truncate(SHARED_MEMORY / channel_name, 4096)
        writer.send(PICTURE)
        np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, PICTURE)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to(path.with_name(f"{path.name}-other"))


@pytest.mark.parametrize("make", [make_folder, make_link, os.mkfifo])
@pytest.mark.parametrize("which", ["{}", "sem.{}Mutex"])
@pytest.mark.parametrize("end", [baseimage.Writer, baseimage.Reader])
def test_something_else_in_the_place_is_refused_and_left_alone(
    channel_name: str, end: Any, which: str, make: Callable[[Path], None]
) -> None:
    baseimage.Writer(channel_name, keep=True).close()
    path = SHARED_MEMORY / which.format(channel_name)
    path.unlink()
    make(path)
    try:
        with pytest.raises(framebus.CorruptChannel, match=path.name):
            end(channel_name)
        assert path.is_symlink() or path.exists()
    finally:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        baseimage.Writer(channel_name).close()


def test_a_file_that_is_no_semaphore_is_refused(channel_name: str) -> None:
    baseimage.Writer(channel_name, keep=True).close()
    path = SHARED_MEMORY / f"sem.{channel_name}Mutex"
    os.truncate(path, 3)
    with pytest.raises(framebus.CorruptChannel, match="is not a semaphore: it has 3 bytes"):
        baseimage.Reader(channel_name)
    path.unlink()
    baseimage.Writer(channel_name).close()


@pytest.mark.parametrize("removed", [["{}"], ["sem.{}Mutex"], ["{}", "sem.{}Mutex"]])
def test_both_ends_go_on_when_somebody_has_removed_the_files(channel_name: str, removed: list[str]) -> None:
    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        writer.send(PICTURE)
        reader.recv(WATCHDOG_S)
        for which in removed:
            (SHARED_MEMORY / which.format(channel_name)).unlink()
        if len(removed) == 2:
            with pytest.raises(framebus.Timeout, match="its image is gone"):
                reader.recv(0.0)
        writer.send(PICTURE + 1)
        assert files(channel_name) == both(channel_name)
        np.testing.assert_array_equal(reader.recv(WATCHDOG_S).array, PICTURE + 1)
        assert (writer.statistics().reopened, reader.statistics().reopened) == (1, 1)
        with pytest.raises(framebus.ChannelInUse):
            baseimage.Writer(channel_name)


def test_a_program_that_sets_the_event_without_looking_makes_no_second_frame(channel_name: str) -> None:
    from framebus.baseimage.semaphore import Semaphore

    with baseimage.Writer(channel_name) as writer, baseimage.Reader(channel_name) as reader:
        event = Semaphore(channel_name, None)
        writer.send(PICTURE)
        for _ in range(50):
            event.post()
        assert reader.recv(WATCHDOG_S).seq == 1
        assert (event.value(), reader.try_recv()) == (0, None)
        for _ in range(50):
            event.post()
        writer.send(PICTURE)
        assert event.value() == 1
        event.close()
