# SPDX-License-Identifier: Apache-2.0
"""The first frame is not lost while the launched program starts, however fast the publisher goes on."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from tests.support.launching import Journal
from tests.support.waiting import wait_until

import framebus

SMALL = (48, 64)
LARGE = (1080, 1920, 3)  # eight of them are far more than the 4 MiB that a channel keeps anyway


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def flood(publisher: framebus.Publisher, shape: tuple[int, ...], journal: Journal, lines: int) -> int:
    """Send as fast as possible until the journal has that many lines; gives the number of frames."""
    image = np.zeros(shape, np.uint8)
    sent = 0

    def send_and_look() -> bool:
        nonlocal sent
        for _ in range(10):
            sent = publisher.send(image)
        return len(journal.lines()) >= lines

    wait_until(send_and_look, f"{lines} lines in the journal")
    return sent


@pytest.mark.parametrize("on_full", ["drop", "raise"])
@pytest.mark.parametrize("every", [True, False], ids=["every", "latest"])
@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["small", "large"])
def test_program_with_history_begins_with_the_first_frame(
    channel_name: str, journal: Journal, shape: tuple[int, ...], every: bool, on_full: Literal["drop", "raise"]
) -> None:
    command = journal.argv("fetch", name=channel_name, every=every, history=1, limit=3)
    launch = framebus.Launch(command, on_exit="ignore")
    with framebus.Publisher(channel_name, launch=launch, on_full=on_full) as publisher:
        image = np.zeros(shape, np.uint8)
        while len(journal.lines()) < 4:
            with contextlib.suppress(framebus.ChannelFull):  # it is there and fetches
                sent = publisher.send(image)
        first, second = [int(line) for line in journal.lines()[1:3]]
        assert first == 1
        assert second > 8, "it was so slow to start that all frames but the first were gone"
        assert sent >= second
        wait_until(lambda: publisher.statistics().held == 0, "the first frame to be given back")


@pytest.mark.parametrize("shape", [SMALL, LARGE], ids=["small", "large"])
def test_program_gets_every_frame_from_the_first_where_the_publisher_waits(
    channel_name: str, journal: Journal, shape: tuple[int, ...]
) -> None:
    launch = framebus.Launch(journal.argv("fetch", name=channel_name, every=True, history=1), shutdown_timeout=60)
    with framebus.Publisher(channel_name, launch=launch, on_full="block") as publisher:
        sent = flood(publisher, shape, journal, 100)
    assert journal.lines()[1:] == [*map(str, range(1, sent + 1)), "dropped 0"]
    assert publisher.statistics().dropped == 0


@pytest.mark.parametrize("every", [True, False], ids=["every", "latest"])
def test_publisher_that_waits_does_not_close_before_the_program_has_come(
    channel_name: str, journal: Journal, every: bool
) -> None:
    launch = framebus.Launch(journal.argv("fetch", name=channel_name, every=every, history=3), shutdown_timeout=60)
    with framebus.Publisher(channel_name, launch=launch, on_full="block") as publisher:
        for _ in range(3):
            publisher.send(np.zeros(SMALL, np.uint8))
    assert journal.lines()[1] == "1"
    assert journal.lines()[-1] == "dropped 0"
    if every:
        assert journal.lines()[1:-1] == ["1", "2", "3"]


def test_publisher_that_waits_does_not_wait_for_a_program_that_has_failed(channel_name: str, journal: Journal) -> None:
    launch = framebus.Launch(journal.argv("end", status=3), on_exit="ignore")
    with framebus.Publisher(channel_name, launch=launch, on_full="block", slots=2) as publisher:
        for _ in range(20):
            publisher.send(np.zeros(LARGE, np.uint8))
    assert publisher.launched[0].exit_code == 3


def test_program_that_wants_the_newest_gets_a_frame_at_once_where_there_is_only_one(
    channel_name: str, journal: Journal
) -> None:
    launch = journal.argv("fetch", name=channel_name)
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        publisher.send(np.zeros(SMALL, np.uint8))
        assert journal.wait(2)[1] == "1"


def test_first_frame_waits_for_each_of_several_programs_and_for_one_that_has_to_be_started_again(
    channel_name: str, tmp_path: Path
) -> None:
    prompt, slow = Journal(tmp_path / "prompt"), Journal(tmp_path / "slow")
    failing = tmp_path / "failing"
    failing.write_text(f'#!/bin/sh\n[ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; exit 1; }}\nexec "$@"\n')
    failing.chmod(0o755)
    fetch = {"name": channel_name, "every": True, "history": 1, "limit": 2}
    launch = [
        framebus.Launch(prompt.argv("fetch", **fetch), on_exit="ignore"),
        framebus.Launch([str(failing), *slow.argv("fetch", **fetch)], max_restarts=1, restart_delay=1.0),
    ]
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        flood(publisher, LARGE, prompt, 3)
        flood(publisher, LARGE, slow, 3)
        assert prompt.lines()[1] == slow.lines()[1] == "1"
        assert publisher.launched[1].starts == 2


def test_publisher_whose_program_does_not_subscribe_is_not_held_up(channel_name: str, journal: Journal) -> None:
    with framebus.Publisher(channel_name, launch=journal.argv("wait")) as publisher:
        flood(publisher, LARGE, journal, 2)
        found = publisher.statistics()
        assert (found.dropped, found.subscribers, found.held) == (0, 0, 1)
    assert publisher.statistics().held == 0
