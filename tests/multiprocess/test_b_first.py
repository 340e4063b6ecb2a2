# SPDX-License-Identifier: Apache-2.0
"""The subscriber's program may start before the publisher's: its error says what is missing, or it waits."""

from __future__ import annotations

import time

import pytest
from tests.support.harness import Programs

import framebus


def test_channel_that_is_not_there_is_refused_with_the_names_of_the_running_ones(
    programs: Programs, channel_name: str
) -> None:
    programs.publisher(f"{channel_name}-depth")
    programs.publisher(f"{channel_name}-colour")
    with pytest.raises(framebus.ChannelNotFound) as refusal:
        framebus.Subscriber(channel_name)
    text = str(refusal.value)
    assert f"'{channel_name}'" in text
    assert f"{channel_name}-depth" in text
    assert f"{channel_name}-colour" in text
    assert "connect_timeout" in text
    assert isinstance(refusal.value, LookupError)


def test_connect_timeout_waits_for_a_publisher_that_comes_later_and_then_gets_frames(
    programs: Programs, channel_name: str
) -> None:
    subscriber = programs.start("subscribe", name=channel_name, connect_timeout=60.0)
    subscriber.expect("starting")
    publisher = programs.publisher(channel_name)
    subscriber.expect("attached")
    for value in range(1, 6):
        publisher.ask("send", shape=[48, 64], fill=value)
        frame = subscriber.ask("recv", timeout=30.0)
        assert frame["arrays"] == {"image": [[48, 64], "|u1", value, value]}
        assert frame["seq"] == value


def test_connect_timeout_that_runs_out_is_channel_not_found(channel_name: str) -> None:
    before = time.monotonic()
    with pytest.raises(framebus.ChannelNotFound, match=channel_name):
        framebus.Subscriber(channel_name, connect_timeout=0.2)
    assert time.monotonic() - before >= 0.2


def test_channel_whose_publisher_has_closed_is_not_found_by_a_newcomer(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    earlier = programs.subscriber(channel_name)
    publisher.ask("send", shape=[8])
    publisher.ask("close")
    with pytest.raises(framebus.ChannelNotFound):
        framebus.Subscriber(channel_name)
    assert earlier.ask("recv", timeout=30.0)["seq"] == 1


def test_newcomer_begins_with_the_newest_frame_there_is(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    publisher.ask("send", shape=[48, 64], fill=1, count=9)
    publisher.ask("send", shape=[48, 64], fill=7)
    frame = programs.subscriber(channel_name).ask("recv", timeout=30.0)
    assert frame["seq"] == 10
    assert frame["arrays"]["image"][2:] == [7, 7]
