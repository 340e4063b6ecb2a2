# SPDX-License-Identifier: Apache-2.0
"""One channel has one publisher at a time, and whoever comes second is told who it is."""

from __future__ import annotations

import os

import pytest
from tests.support.harness import Programs, Refused

import framebus


def test_second_publisher_is_refused_with_pid_and_command_of_the_first(programs: Programs, channel_name: str) -> None:
    first = programs.publisher(channel_name, fork=False)
    with pytest.raises(framebus.ChannelInUse) as refusal:
        framebus.Publisher(channel_name)
    text = str(refusal.value)
    assert f"'{channel_name}'" in text
    assert str(first.pid) in text
    assert "publish.py" in text
    assert first.ask("send", shape=[8]) == 1


def test_second_publisher_in_the_same_program_is_refused_too(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as first:
        with pytest.raises(framebus.ChannelInUse, match=str(os.getpid())):
            framebus.Publisher(channel_name)
        assert first.send(b"still there") == 1


def test_refused_publisher_leaves_the_channel_as_it_was(programs: Programs, channel_name: str) -> None:
    with framebus.Publisher(channel_name) as first:
        subscriber = programs.subscriber(channel_name)
        other = programs.start("publish", name=channel_name)
        with pytest.raises(AssertionError, match="ChannelInUse"):
            other.expect("ready")
        first.send(b"still there")
        assert subscriber.ask("recv", timeout=30.0)["seq"] == 1


def test_name_is_free_again_once_the_first_has_closed(programs: Programs, channel_name: str) -> None:
    first = programs.publisher(channel_name)
    first.ask("close")
    with framebus.Publisher(channel_name) as second:
        assert second.send(b"mine now") >= 1
        with pytest.raises(Refused) as refusal:
            first.ask("reopen")
        assert refusal.value.error == "ChannelInUse"
        assert str(os.getpid()) in refusal.value.message
