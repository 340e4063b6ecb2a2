# SPDX-License-Identifier: Apache-2.0
"""Every pair of a publisher and a subscriber, in Python and in C++: 10,000 numbered frames, none torn, none lost.

All bytes of a frame follow from its number (numbered.py, numbered.hpp), so a subscriber in one language checks what a
publisher in the other has written. An end that was killed is started again and counts on. They are on a channel, or
on a base image where each waits for the other; there the C++ ends use nothing of framebus.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.compiled import CppPrograms
from tests.support.harness import Program, Programs

FRAMES = 10_000
# No multiple of a word, so that the last bytes count too.
SIZE = {"height": 241, "width": 323}
SECOND_LIFE = 1_000_000

LANGUAGES = ["python", "cpp"]
# What a subscriber counts beside frames, and what it may find. Frames of a base image have no numbers of their own.
FAULTS = {"channel": {"torn": 0, "gaps": 0, "lost": 0}, "baseimage": {"torn": 0, "lost": 0}}


class Pair:
    """Starts the ends of one pair; each may be started again."""

    def __init__(
        self, programs: Programs, cpp: CppPrograms, name: str, transport: str, publisher: str, subscriber: str
    ) -> None:
        self._programs = programs
        self._cpp = cpp
        self._name = name
        self._transport = transport
        self._languages = {"publish": publisher, "subscribe": subscriber}

    def _start(self, role: str, **options: object) -> Program:
        program = f"pair_{role}_{self._transport}"
        script = self._cpp[program] if self._languages[role] == "cpp" else program
        return self._programs.start(script, name=self._name, **SIZE, **options)

    def publisher(self, first: int = 1, pause_before: int = 0) -> Program:
        started = self._start("publish", first=first, last=first + FRAMES - 1, pause_before=pause_before)
        started.expect("ready")
        return started

    def subscriber(self, last: int = FRAMES, progress_every: int = 500) -> Program:
        """`last` is where it ends on a base image; a channel says itself that nothing more comes."""
        started = self._start("subscribe", last=last, progress_every=progress_every)
        started.expect("attached")
        return started

    def nothing_lost(self, *runs: list[int]) -> dict[str, Any]:
        """What a subscriber reports that got these runs of numbers whole, with nothing between them."""
        total = sum(last - first + 1 for first, last in runs)
        return {"kind": "report", "seen": total, "runs": list(runs), **FAULTS[self._transport]}


@pytest.fixture(params=FAULTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LANGUAGES, ids=lambda language: f"{language}-publisher")
def publisher_in(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LANGUAGES, ids=lambda language: f"{language}-subscriber")
def subscriber_in(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(
    programs: Programs,
    cpp_programs: CppPrograms,
    channel_name: str,
    transport: str,
    publisher_in: str,
    subscriber_in: str,
) -> Iterator[Pair]:
    yield Pair(programs, cpp_programs, channel_name, transport, publisher_in, subscriber_in)
    programs.stop_all()
    if transport == "baseimage" and "cpp" in (publisher_in, subscriber_in):
        for name in (channel_name, f"sem.{channel_name}Mutex"):  # programs without framebus leave theirs behind
            (Path("/dev/shm") / name).unlink(missing_ok=True)


def killed_in_the_middle(subscriber: Program) -> dict[str, Any]:
    """Kills it after a fifth of the frames; gives the last progress that was heard of it, or lay in the pipe."""
    while (progress := subscriber.expect("progress"))["seen"] < FRAMES // 5:
        pass
    subscriber.kill()
    while subscriber.heard("progress"):
        progress = subscriber.expect("progress")
    return progress


def test_every_frame_arrives_whole(pair: Pair) -> None:
    publisher = pair.publisher()
    subscriber = pair.subscriber()
    publisher.tell("go")
    assert publisher.expect("sent")["dropped"] == 0
    assert subscriber.expect("report") == pair.nothing_lost([1, FRAMES])


def test_every_frame_arrives_whole_though_the_publisher_is_killed_and_another_takes_over(pair: Pair) -> None:
    publisher = pair.publisher()
    subscriber = pair.subscriber(last=SECOND_LIFE + FRAMES - 1)
    publisher.tell("go")
    while subscriber.expect("progress")["seen"] < FRAMES // 3:
        pass
    publisher.kill()
    successor = pair.publisher(first=SECOND_LIFE)
    successor.tell("go")
    assert successor.expect("sent")["dropped"] == 0
    report = subscriber.expect("report")
    killed_after = report["runs"][0][1]
    assert FRAMES // 3 <= killed_after < FRAMES, "it was to be killed in the middle"
    assert report == pair.nothing_lost([1, killed_after], [SECOND_LIFE, SECOND_LIFE + FRAMES - 1])


@pytest.mark.parametrize("transport", ["channel"], indirect=True)
def test_every_frame_arrives_whole_at_the_next_subscriber_though_one_is_killed(pair: Pair) -> None:
    middle = FRAMES // 2
    publisher = pair.publisher(pause_before=middle)
    subscriber = pair.subscriber()
    publisher.tell("go")
    assert killed_in_the_middle(subscriber)["torn"] == 0
    publisher.expect("paused")  # the dead one did not hold it up
    successor = pair.subscriber()
    publisher.tell("go")
    assert publisher.expect("sent")["dropped"] == 0
    assert successor.expect("report") == pair.nothing_lost([middle, FRAMES])


@pytest.mark.parametrize("transport", ["baseimage"], indirect=True)
def test_the_next_subscriber_gets_all_but_the_frame_that_a_killed_one_had_in_its_hands(pair: Pair) -> None:
    publisher = pair.publisher()
    subscriber = pair.subscriber(progress_every=1)
    publisher.tell("go")
    killed = killed_in_the_middle(subscriber)
    last_seen = killed["seen"]
    assert (killed["torn"], killed["runs"]) == (0, [[1, last_seen]])
    successor = pair.subscriber()
    assert publisher.expect("sent")["dropped"] == 0
    report = successor.expect("report")
    first = report["runs"][0][0]
    # The dead one says what it saw after it took the event, so it may have taken one more. What it had only copied
    # comes again.
    assert first in (last_seen + 1, last_seen + 2)
    assert report == pair.nothing_lost([first, FRAMES])
