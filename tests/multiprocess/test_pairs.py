# SPDX-License-Identifier: Apache-2.0
"""Every pair of a publisher and a subscriber, in Python and in C++: 10,000 numbered frames, none torn, none lost.

All bytes of a frame follow from its number (numbered.py, numbered.hpp), so a subscriber in one language checks what a
publisher in the other has written. An end that was killed is started again and counts on.
"""

from __future__ import annotations

from typing import Any

import pytest

from conftest import CppPrograms
from harness import Program, Programs

FRAMES = 10_000
# No multiple of a word, so that the last bytes count too.
SIZE = {"height": 241, "width": 323}
SECOND_LIFE = 1_000_000

LANGUAGES = ["python", "cpp"]
TRANSPORTS = ["channel"]


class Pair:
    """Starts the ends of one pair; each may be started again."""

    def __init__(self, programs: Programs, cpp: CppPrograms, name: str, publisher: str, subscriber: str) -> None:
        self._programs = programs
        self._cpp = cpp
        self._name = name
        self._languages = {"pair_publish": publisher, "pair_subscribe": subscriber}

    def _start(self, program: str, **options: object) -> Program:
        script = self._cpp[program] if self._languages[program] == "cpp" else program
        return self._programs.start(script, name=self._name, **SIZE, **options)

    def publisher(self, first: int = 1, pause_before: int = 0) -> Program:
        started = self._start("pair_publish", first=first, last=first + FRAMES - 1, pause_before=pause_before)
        started.expect("ready")
        return started

    def subscriber(self) -> Program:
        started = self._start("pair_subscribe")
        started.expect("attached")
        return started


@pytest.fixture(params=TRANSPORTS)
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
) -> Pair:
    assert transport == "channel"
    return Pair(programs, cpp_programs, channel_name, publisher_in, subscriber_in)


def seen(report: dict[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("seen", "torn", "gaps", "lost", "runs")}


def nothing_lost(*runs: list[int]) -> dict[str, Any]:
    """What a subscriber reports that got these runs of numbers whole, with nothing between them."""
    total = sum(last - first + 1 for first, last in runs)
    return {"seen": total, "torn": 0, "gaps": 0, "lost": 0, "runs": list(runs)}


def test_every_frame_arrives_whole(pair: Pair) -> None:
    publisher = pair.publisher()
    subscriber = pair.subscriber()
    publisher.tell("go")
    assert publisher.expect("sent")["dropped"] == 0
    assert seen(subscriber.expect("report")) == nothing_lost([1, FRAMES])


def test_every_frame_arrives_whole_though_the_publisher_is_killed_and_another_takes_over(pair: Pair) -> None:
    publisher = pair.publisher()
    subscriber = pair.subscriber()
    publisher.tell("go")
    while subscriber.expect("progress")["seen"] < FRAMES // 3:
        pass
    publisher.kill()
    successor = pair.publisher(first=SECOND_LIFE)
    successor.tell("go")
    assert successor.expect("sent")["dropped"] == 0
    report = seen(subscriber.expect("report"))
    killed_after = report["runs"][0][1]
    assert FRAMES // 3 <= killed_after < FRAMES, "it was to be killed in the middle"
    assert report == nothing_lost([1, killed_after], [SECOND_LIFE, SECOND_LIFE + FRAMES - 1])


def test_every_frame_arrives_whole_at_the_next_subscriber_though_one_is_killed(pair: Pair) -> None:
    middle = FRAMES // 2
    publisher = pair.publisher(pause_before=middle)
    subscriber = pair.subscriber()
    publisher.tell("go")
    while (progress := subscriber.expect("progress"))["seen"] < FRAMES // 5:
        pass
    subscriber.kill()
    assert progress["torn"] == 0
    publisher.expect("paused")  # the dead one did not hold it up
    successor = pair.subscriber()
    publisher.tell("go")
    assert publisher.expect("sent")["dropped"] == 0
    assert seen(successor.expect("report")) == nothing_lost([middle, FRAMES])
