# SPDX-License-Identifier: Apache-2.0
"""Children that a program leaves behind do not keep its ends of a channel alive."""

from __future__ import annotations

import pytest
from tests.support.harness import Programs

import framebus


@pytest.mark.parametrize("how", ["fork", "exec"])
def test_child_does_not_keep_a_killed_parent_alive(programs: Programs, channel_name: str, how: str) -> None:
    parent = programs.start("forks", name=channel_name, how=how)
    parent.expect("child_runs")
    parent.expect("ready")
    with framebus.Subscriber(channel_name, reconnect=False) as watcher:
        assert watcher.recv(30.0).seq == 1
        parent.kill()
        with pytest.raises(framebus.PublisherDied):
            watcher.recv(30.0)
        with framebus.Publisher(channel_name, on_full="raise") as successor:
            assert successor.send(b"mine now") == 2
            statistics = successor.statistics()
            assert (statistics.subscribers, statistics.held) == (1, 0)


def test_forked_child_changes_nothing_for_its_parent(programs: Programs, channel_name: str) -> None:
    parent = programs.start("forks", name=channel_name, how="fork")
    parent.expect("child_runs")
    parent.expect("ready")
    with pytest.raises(framebus.ChannelInUse, match=str(parent.pid)):
        framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name) as watcher:
        assert watcher.recv(30.0).seq == 1
        [channel] = [channel for channel in framebus.channels() if channel.name == channel_name]
        assert channel.publisher is not None
        assert channel.publisher.pid == parent.pid
        assert {reader.pid: reader.held for reader in channel.subscribers}[parent.pid] == 1
    assert parent.wait() == 0
