# SPDX-License-Identifier: Apache-2.0
"""Frames change their size, type and number of arrays from one to the next, and the subscriber just gets them."""

from __future__ import annotations

import pytest
from tests.support.harness import Program, Programs

# What each frame is made of: the arrays' shapes and dtypes. Small to large, to several arrays, and back again.
FRAMES: list[dict[str, tuple[list[int], str]]] = [
    {"image": ([64], "|u1")},
    {"image": ([2160, 3840, 3], "|u1")},
    {"image": ([480, 640], "<u2")},
    {"color": ([480, 640, 3], "|u1"), "depth": ([480, 640], "<u2")},
    {"image": ([64], "|u1")},
    {"points": ([1000, 3], ">f4")},
    {"color": ([2160, 3840, 3], "|u1"), "depth": ([2160, 3840], "<u2"), "mask": ([2160, 3840], "|b1")},
    {"image": ([], "<f8")},
    {"image": ([4320, 7680], "|u1")},
]


def send(publisher: Program, number: int) -> int:
    """Send frame `number` of FRAMES, filled with its number (1 at most for booleans)."""
    arrays = FRAMES[number].items()
    seq = publisher.ask("send_named", arrays={name: [*kind, min(number, limit(kind))] for name, kind in arrays})
    assert isinstance(seq, int)
    return seq


def limit(kind: tuple[list[int], str]) -> int:
    return 1 if kind[1] == "|b1" else 255


def expected(number: int) -> dict[str, list[object]]:
    """What the subscriber reports of frame `number`."""
    return {
        name: [*kind, float(min(number, limit(kind))), float(min(number, limit(kind)))]
        for name, kind in FRAMES[number].items()
    }


@pytest.mark.parametrize("every", [False, True], ids=["latest", "every"])
def test_subscriber_gets_each_kind_of_frame_as_it_comes(programs: Programs, channel_name: str, every: bool) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, every=every)
    for number in range(len(FRAMES)):
        seq = send(publisher, number)
        frame = subscriber.ask("recv", timeout=30.0)
        assert (frame["seq"], frame["arrays"]) == (seq, expected(number))


def test_frames_of_many_kinds_wait_in_the_ring_for_a_subscriber_that_lags(
    programs: Programs, channel_name: str
) -> None:
    publisher = programs.publisher(channel_name, slots=16)
    subscriber = programs.subscriber(channel_name, every=True)
    for number in range(len(FRAMES)):
        send(publisher, number)
    for number in range(len(FRAMES)):
        assert subscriber.ask("recv", timeout=30.0)["arrays"] == expected(number)


def test_frame_held_while_the_channel_grows_stays_and_the_next_one_comes(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, hold=len(FRAMES))
    for number in range(len(FRAMES)):
        send(publisher, number)
        subscriber.ask("recv", timeout=30.0, keep=True)
    publisher.ask("send", shape=[4320, 7680], fill=255, count=12)
    assert subscriber.ask("kept_unchanged") == [True] * len(FRAMES)
    assert publisher.ask("statistics")["generation"] > 1
