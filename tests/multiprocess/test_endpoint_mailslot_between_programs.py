# SPDX-License-Identifier: Apache-2.0
"""Mailslots between programs: boxes and sinks that are killed or stand still, and one copy for all."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.receiving import until_death

import framebus
from framebus.endpoint.kinds.mailslot import directory
from framebus.testing import Receiver, Sender, is_whole, number_of

FIRST = 2000
SHAPE = (400, 1000)
IMAGE = (("image", "|u1", SHAPE, "C"),)


@pytest.fixture
def folder(channel_name: str) -> Iterator[str]:
    folder = directory.folder_of(channel_name)
    yield folder
    assert not os.path.exists(folder), "a box was left behind"


@pytest.fixture
def url(channel_name: str, folder: str) -> str:  # noqa: ARG001 - its check runs last
    return f"mailslot:{channel_name}"


@pytest.mark.parametrize("frames", [0, 1, 5])
def test_a_killed_sender_is_noticed_after_all_that_it_had_sent(url: str, frames: int) -> None:
    with framebus.source(url) as source:
        with Sender(url) as sender:
            for number in range(frames):
                sender.send(number, IMAGE)
            sender.kill()
        for number in range(frames):
            array = source.recv(30).array
            assert is_whole(array)
            assert number_of(array) == number
        for _ in range(2):
            with pytest.raises(framebus.PublisherDied, match="has ended without closing"):
                source.recv(30)
        with Sender(url) as sender:
            sender.send(77, IMAGE)
            assert number_of(source.recv(30).array) == 77


def test_a_sender_killed_at_any_moment_leaves_only_whole_frames(url: str) -> None:
    with framebus.source(url) as source:
        for _ in range(5):
            with Sender(url) as sender:
                sender.begin_flood(1, 1_000_000, shapes=[SHAPE])
                arrays = [source.recv(30).array for _ in range(3)]
                sender.kill()
            arrays += until_death(source)
            assert all(is_whole(array) for array in arrays)
            numbers = [number_of(array) for array in arrays]
            assert numbers == sorted(set(map(int, filter(None, numbers))))


def test_the_source_ends_with_a_close_when_one_sender_was_killed_and_another_closed(url: str) -> None:
    with framebus.source(url) as source, Sender(url) as victim, Sender(url) as other:
        victim.kill()
        other.send(FIRST, IMAGE)
        other.close()
        assert number_of(source.recv(30).array) == FIRST
        with pytest.raises(framebus.ChannelClosed):
            source.recv(30)


def test_a_box_that_stands_still_costs_nobody_a_frame_but_itself(url: str) -> None:
    with framebus.source(url) as source, Receiver(url) as still, framebus.sink(url) as sink, Sender(url) as other:
        other.send(FIRST, IMAGE)
        assert number_of(source.recv(30).array) == FIRST
        still.recv(30)
        still.freeze()
        for number in range(FIRST + 1, FIRST + 59):
            other.send(number, IMAGE)
            assert number_of(source.recv(30).array) == number
        assert source.statistics().dropped == 0
        lost = other.statistics()["dropped"]
        assert 0 < lost < 58
        still.resume()
        other.close()
        sink.close()
        report = still.collect(timeout=30)
        assert report["ended"]["error"] == "ChannelClosed"
        assert len(report["numbers"]) == 58 - lost
        assert report["not_whole"] == []


def test_killed_boxes_are_removed_by_the_next_frame(url: str, folder: str) -> None:
    with Sender(url) as sender, framebus.source(url) as source:
        with Receiver(url) as first, Receiver(url) as second:
            sender.send(1, IMAGE)
            first.recv(30)
            assert len(os.listdir(folder)) == 3
            first.kill()
            second.kill()
        assert len(os.listdir(folder)) == 3
        sender.send(2, IMAGE)
        assert len(os.listdir(folder)) == 1
        assert [number_of(source.recv(30).array) for _ in range(2)] == [1, 2]


def received_memory() -> list[str]:
    """The inode of each read-only mapping of what a sender has made."""
    maps = Path("/proc/self/maps").read_text()
    return re.findall(r"^\S+ r--p \S+ \S+ (\d+) +/memfd:framebus", maps, re.MULTILINE)


def test_all_boxes_look_at_the_same_memory(url: str) -> None:
    gc.collect()  # so that frames of other tests are not collected meanwhile
    before = received_memory()
    with framebus.source(url) as one, framebus.source(url) as other, Sender(url) as sender:
        sender.send(1, IMAGE)
        frames = [one.recv(30), other.recv(30)]
        inodes = [inode for inode in received_memory() if inode not in before]
        assert len(inodes) == len(frames)
        assert len(set(inodes)) == 1
