# SPDX-License-Identifier: Apache-2.0
"""No frame is ever seen half written, changed while it is looked at, twice, out of order, or, where asked, not at all.

Every byte of a frame is its number. One publisher sends as fast as it can while three subscribers look at every byte:
one that takes the latest frame, one that does so slowly and looks again before it lets go, and one that takes each.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest
from tests.support.harness import Program, Programs


class Flood(NamedTuple):
    shape: tuple[int, ...]
    frames: int
    slots: int


VGA = Flood((480, 640), 30_000, 8)
FULL_HD = Flood((1080, 1920), 10_000, 8)
FLOODS = {
    "640x480": VGA,
    "1920x1080": FULL_HD,
    "640x480 in the fewest slots": Flood((480, 640), 3_000, 2),
    "67 bytes in the fewest slots": Flood((67,), 20_000, 2),
}

NOTHING_WRONG = {"torn": 0, "changed": 0, "out_of_order": 0, "repeated": 0}


def start_watchers(programs: Programs, name: str) -> dict[str, Program]:
    watchers = {
        "latest": programs.start("watch", name=name, connect_timeout=60.0),
        "latest and slow": programs.start("watch", name=name, connect_timeout=60.0, slow=0.005),
        "every": programs.start("watch", name=name, connect_timeout=60.0, every=True),
    }
    for watcher in watchers.values():
        watcher.expect("attached")
    return watchers


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_nothing_is_torn_out_of_order_or_repeated_and_every_misses_nothing(
    programs: Programs, channel_name: str, flood: Flood
) -> None:
    publisher = programs.start(
        "flood", name=channel_name, shape=flood.shape, frames=flood.frames, slots=flood.slots, on_full="block"
    )
    publisher.expect("ready")
    watchers = start_watchers(programs, channel_name)
    publisher.tell("go")
    assert publisher.expect("sent") == {"kind": "sent", "frames": flood.frames, "dropped": 0}
    reports = {kind: watcher.expect("report") for kind, watcher in watchers.items()}

    assert {kind: report["wrong"] for kind, report in reports.items()} == dict.fromkeys(reports, NOTHING_WRONG)
    every = reports["every"]
    assert (every["seen"], every["missing"], every["first"], every["last"]) == (flood.frames, 0, 1, flood.frames)
    assert (every["frames"], every["missed"], every["dropped"]) == (flood.frames, 0, 0)
    for kind in ("latest", "latest and slow"):
        report = reports[kind]
        assert report["last"] == flood.frames, kind
        assert report["seen"] >= 10, kind
        assert report["frames"] == report["seen"], kind
        assert report["frames"] + report["missed"] == flood.frames, kind


def test_the_two_picture_sizes_make_at_least_20000_frames() -> None:
    pictures = [flood for flood in FLOODS.values() if math.prod(flood.shape) >= 480 * 640]
    assert {flood.shape for flood in pictures} == {(480, 640), (1080, 1920)}
    assert VGA.frames + FULL_HD.frames >= 20_000


def test_nothing_is_torn_when_two_slots_are_turned_over_hundreds_of_thousands_of_times(
    programs: Programs, channel_name: str
) -> None:
    """Tiny frames spend their time in the protocol instead of in copies, which is where a hole in it shows."""
    frames = 400_000
    publisher = programs.start("flood", name=channel_name, shape=(64,), frames=frames, slots=2)
    publisher.expect("ready")
    watchers = [programs.start("watch", name=channel_name, hold=hold, wait="spin") for hold in (1, 2, 1, 2)]
    for watcher in watchers:
        watcher.expect("attached")
    publisher.tell("go")
    publisher.expect("sent")
    for watcher in watchers:
        report = watcher.expect("report")
        assert report["wrong"] == NOTHING_WRONG
        assert report["frames"] + report["missed"] == report["last"] == frames


def test_nothing_is_torn_when_the_publisher_waits_for_nobody(programs: Programs, channel_name: str) -> None:
    publisher = programs.start("flood", name=channel_name, shape=(480, 640), frames=5_000, slots=2, on_full="drop")
    publisher.expect("ready")
    watchers = start_watchers(programs, channel_name)
    publisher.tell("go")
    sent = publisher.expect("sent")
    reports = {kind: watcher.expect("report") for kind, watcher in watchers.items()}

    assert {kind: report["wrong"] for kind, report in reports.items()} == dict.fromkeys(reports, NOTHING_WRONG)
    every = reports["every"]
    assert every["last"] == 5_000
    assert every["dropped"] == sent["dropped"]
    assert every["seen"] + every["dropped"] == 5_000
