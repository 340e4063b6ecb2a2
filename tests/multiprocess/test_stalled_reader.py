# SPDX-License-Identifier: Apache-2.0
"""A subscriber that wants every frame stands still: what the publisher does then is what `on_full` says."""

from __future__ import annotations

import signal

import pytest
from tests.support.harness import Program, Programs

SHAPE = [120, 160]

# Ticks of a thread that sleeps a millisecond at a time, during a wait of half a second: far fewer than it makes on
# an idle machine, far more than the none it makes where the waiting call keeps the interpreter to itself.
TIMEOUT_S = 0.5
ENOUGH_TICKS = 50


def stalled_pair(programs: Programs, name: str, on_full: str) -> tuple[Program, Program]:
    """A publisher and a subscriber that has fetched the first frame and been stopped then."""
    publisher = programs.publisher(name, on_full=on_full)
    reader = programs.subscriber(name, every=True)
    publisher.ask("send", shape=SHAPE)
    assert reader.ask("recv", timeout=30.0)["seq"] == 1
    reader.signal(signal.SIGSTOP)
    return publisher, reader


def test_block_waits_with_other_threads_running_and_obeys_its_timeout(programs: Programs, channel_name: str) -> None:
    publisher, reader = stalled_pair(programs, channel_name, "block")
    filled = publisher.ask("send_until_full", shape=SHAPE, limit=2000)
    assert filled["error"] == "ChannelFullTimeout"

    waited = publisher.ask("send_and_count_ticks", shape=SHAPE, timeout=TIMEOUT_S)
    assert (waited["error"], waited["seq"]) == ("ChannelFullTimeout", None)
    assert waited["ticks"] >= ENOUGH_TICKS

    reader.signal(signal.SIGCONT)
    assert reader.ask("drain") == list(range(2, filled["sent"] + 2)), "a frame that was refused must use up no number"
    publisher.ask("send", shape=SHAPE, timeout=30.0)
    assert reader.ask("recv", timeout=30.0)["seq"] == filled["sent"] + 2
    assert publisher.ask("statistics")["dropped"] == 0
    assert reader.ask("statistics")["missed"] == 0


def test_block_goes_on_when_the_stalled_reader_reads_again(programs: Programs, channel_name: str) -> None:
    publisher, reader = stalled_pair(programs, channel_name, "block")
    publisher.tell("send", shape=SHAPE, count=500)
    publisher.expect("waiting")
    assert not publisher.heard("answer")
    reader.signal(signal.SIGCONT)
    assert [reader.ask("recv", timeout=30.0)["seq"] for _ in range(500)] == list(range(2, 502))
    assert publisher.answer() == 501


def test_block_goes_on_when_the_stalled_reader_is_killed(programs: Programs, channel_name: str) -> None:
    publisher, reader = stalled_pair(programs, channel_name, "block")
    filled = publisher.ask("send_until_full", shape=SHAPE, limit=2000)
    publisher.tell("send_and_count_ticks", shape=SHAPE, timeout=None)
    publisher.expect("waiting")
    reader.kill()
    waited = publisher.answer()
    assert (waited["seq"], waited["error"]) == (filled["sent"] + 2, None)
    assert waited["ticks"] >= ENOUGH_TICKS
    assert publisher.ask("send", shape=SHAPE, count=500) == filled["sent"] + 502
    assert publisher.ask("statistics")["subscribers"] == 0


def test_drop_gives_up_the_oldest_frames_and_counts_them_exactly(programs: Programs, channel_name: str) -> None:
    publisher, reader = stalled_pair(programs, channel_name, "drop")
    latest = programs.subscriber(channel_name)
    assert publisher.ask("send", shape=SHAPE, count=500) == 501
    assert latest.ask("recv", timeout=30.0)["seq"] == 501
    reader.signal(signal.SIGCONT)
    fetched = reader.ask("drain")
    assert fetched == list(range(502 - len(fetched), 502))
    assert fetched
    dropped = 500 - len(fetched)
    assert dropped > 0
    statistics = reader.ask("statistics")
    assert (statistics["frames"], statistics["dropped"], statistics["missed"]) == (1 + len(fetched), dropped, 0)
    assert publisher.ask("statistics")["dropped"] == dropped
    assert latest.ask("statistics")["dropped"] == 0


def test_raise_raises_and_sends_again_when_there_is_room(programs: Programs, channel_name: str) -> None:
    publisher, reader = stalled_pair(programs, channel_name, "raise")
    filled = publisher.ask("send_until_full", shape=SHAPE, limit=2000)
    assert filled["error"] == "ChannelFull"
    assert filled["sent"] >= 1
    reader.signal(signal.SIGCONT)
    assert reader.ask("drain") == list(range(2, filled["sent"] + 2))
    assert publisher.ask("send", shape=SHAPE) == filled["sent"] + 2


@pytest.mark.parametrize("on_full", ["drop", "block", "raise"])
def test_stalled_reader_of_the_latest_frame_slows_nobody(programs: Programs, channel_name: str, on_full: str) -> None:
    publisher = programs.publisher(channel_name, on_full=on_full)
    stalled = programs.subscriber(channel_name)
    publisher.ask("send", shape=SHAPE)
    stalled.ask("recv", timeout=30.0)
    stalled.signal(signal.SIGSTOP)
    assert publisher.ask("send", shape=SHAPE, count=500) == 501
    stalled.signal(signal.SIGCONT)
    assert stalled.ask("recv", timeout=30.0)["seq"] == 501
    assert stalled.ask("statistics")["missed"] == 499
    assert publisher.ask("statistics")["dropped"] == 0
