# SPDX-License-Identifier: Apache-2.0
"""`framebus.channels()` lists what exists, who uses it, and whether it is alive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import framebus


def the_channel(name: str) -> framebus.ChannelInfo:
    """The one entry of that name."""
    [channel] = [channel for channel in framebus.channels() if channel.name == name]
    return channel


def test_channel_appears_when_it_is_made_and_disappears_when_all_have_left(channel_name: str) -> None:
    assert channel_name not in [channel.name for channel in framebus.channels()]
    with framebus.Publisher(channel_name):
        assert the_channel(channel_name).alive
    assert channel_name not in [channel.name for channel in framebus.channels()]


def test_channels_are_listed_by_name(channel_name: str) -> None:
    names = [f"{channel_name}-{letter}" for letter in "cab"]
    publishers = [framebus.Publisher(name) for name in names]
    assert [info.name for info in framebus.channels() if info.name in names] == sorted(names)
    for publisher in publishers:
        publisher.close()


def test_channel_without_frames_has_no_shape_yet(channel_name: str) -> None:
    with framebus.Publisher(channel_name):
        channel = the_channel(channel_name)
        assert (channel.seq, channel.arrays, channel.shape, channel.dtype) == (0, (), None, None)
        assert channel.pixel_format is None
        assert channel.subscribers == ()


def test_newest_frame_is_described(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(np.zeros(5))
        publisher.send(
            {"color": np.zeros((48, 64, 3), np.uint8), "depth": np.zeros((48, 64), ">u2")}, pixel_format="BGR8"
        )
        channel = the_channel(channel_name)
        assert (channel.seq, channel.pixel_format) == (2, "BGR8")
        assert channel.shape == (48, 64, 3)
        assert np.dtype(channel.dtype) == np.uint8
        assert [(array.name, array.shape, np.dtype(array.dtype)) for array in channel.arrays] == [
            ("color", (48, 64, 3), np.dtype("uint8")),
            ("depth", (48, 64), np.dtype(">u2")),
        ]
        assert channel.size_bytes >= 48 * 64 * 5


def test_participants_are_named_with_pid_and_command(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, every=True, hold=2) as every, framebus.Subscriber(channel_name):
            for _ in range(3):
                publisher.send(np.zeros(5))
            frames = [every.recv(5.0), every.recv(5.0)]
            channel = the_channel(channel_name)
            assert channel.publisher is not None
            assert channel.publisher.pid == os.getpid()
            assert channel.publisher.command
            assert [reader.pid for reader in channel.subscribers] == [os.getpid()] * 2
            assert all(reader.command for reader in channel.subscribers)
            told = {(reader.every, reader.frames, reader.held, reader.dropped) for reader in channel.subscribers}
            assert told == {(True, 2, 2, 0), (False, 0, 0, 0)}
            frames.clear()


def test_looking_changes_nothing(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(np.zeros(5))
        before = publisher.statistics()
        for _ in range(300):
            framebus.channels()
        after = publisher.statistics()
        assert (after.subscribers, after.held, after.slots) == (before.subscribers, before.held, before.slots)
        assert subscriber.recv(5.0).seq == 1


def test_channel_that_was_closed_but_is_still_looked_at_is_not_alive(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name):
        publisher.close()
        channel = the_channel(channel_name)
        assert not channel.alive
        assert len(channel.subscribers) == 1


PUBLISH_AND_DIE = """
import os, signal, sys, numpy, framebus
publisher = framebus.Publisher(sys.argv[1])
publisher.send(numpy.zeros((48, 64), numpy.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_channel_of_a_killed_publisher_is_stale_until_somebody_takes_it_over(channel_name: str) -> None:
    died = subprocess.run([sys.executable, "-c", PUBLISH_AND_DIE, channel_name], check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    channel = the_channel(channel_name)
    assert (channel.alive, channel.seq, channel.shape) == (False, 1, (48, 64))
    with framebus.Publisher(channel_name):
        channel = the_channel(channel_name)
        assert channel.alive
        assert channel.publisher is not None
        assert channel.publisher.pid == os.getpid()


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 20_000], ids=["empty", "short", "garbage"])
def test_file_that_is_no_channel_does_not_disturb_the_list(channel_name: str, content: bytes) -> None:
    path = f"/dev/shm/framebus.{channel_name}-broken"
    with open(path, "wb") as file:
        file.write(content)
    try:
        with framebus.Publisher(channel_name):
            assert the_channel(channel_name).alive
            with pytest.raises(framebus.Error):
                framebus.Subscriber(f"{channel_name}-broken")
    finally:
        os.unlink(path)
