# SPDX-License-Identifier: Apache-2.0
"""Programs killed at any moment: the others see only whole frames, and go on."""

from __future__ import annotations

import random

import pytest
from tests.support.harness import Program, Programs

import framebus

KILLS = 12
NOTHING_WRONG = {"torn": 0, "changed": 0, "out_of_order": 0, "repeated": 0}


def start_flood(programs: Programs, name: str, progress_every: int) -> Program:
    publisher = programs.start(
        "flood", name=name, shape=[240, 320], slots=4, on_full="block", progress_every=progress_every
    )
    publisher.expect("ready")
    publisher.tell("go")
    return publisher


def test_subscribers_survive_publisher_after_publisher_killed_in_the_middle_of_sending(
    programs: Programs, channel_name: str
) -> None:
    chance = random.Random(2)
    publisher = start_flood(programs, channel_name, progress_every=chance.randint(50, 300))
    every = programs.start("watch", name=channel_name, every=True, progress_every=100)
    latest = programs.start("watch", name=channel_name, slow=0.001)
    every.expect("attached")
    latest.expect("attached")
    for _ in range(KILLS):
        publisher.expect("progress")
        publisher.kill()
        publisher = start_flood(programs, channel_name, progress_every=chance.randint(50, 300))
        while every.heard("progress"):
            every.expect("progress")
        every.expect("progress")
    publisher.kill()
    framebus.Publisher(channel_name).close()
    reports = {"every": every.expect("report"), "latest": latest.expect("report")}
    assert {kind: report["wrong"] for kind, report in reports.items()} == dict.fromkeys(reports, NOTHING_WRONG)
    assert reports["every"]["missing"] == 0, "what was published was lost with its publisher"
    for report in reports.values():
        assert report["seen"] == report["frames"] >= KILLS


@pytest.mark.parametrize("every", [False, True], ids=["latest", "every"])
def test_publisher_survives_subscriber_after_subscriber_killed_in_the_middle_of_reading(
    programs: Programs, channel_name: str, every: bool
) -> None:
    chance = random.Random(3)
    publisher = start_flood(programs, channel_name, progress_every=100)
    witness = programs.start("watch", name=channel_name, every=True, progress_every=1000)
    witness.expect("attached")
    for _ in range(KILLS):
        victim = programs.start(
            "watch", name=channel_name, every=every, hold=4, progress_every=chance.randint(1, 60), slow=0.0005
        )
        victim.expect("progress")
        victim.kill()
        while publisher.heard("progress"):
            publisher.expect("progress")
        publisher.expect("progress")
    publisher.kill()
    framebus.Publisher(channel_name).close()
    report = witness.expect("report")
    assert (report["wrong"], report["missing"]) == (NOTHING_WRONG, 0)
