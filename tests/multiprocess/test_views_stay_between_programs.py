# SPDX-License-Identifier: Apache-2.0
"""What was fetched stays as it was, whatever the publisher's program does and however it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.support.harness import Program, Programs

import framebus

ENDINGS: dict[str, Callable[[Program], object]] = {"exits": Program.wait, "is killed": Program.kill}


def keep_four_kinds(subscriber: framebus.Subscriber, publisher: Program) -> dict[int, Any]:
    """Fetch four frames, keep of each something else; gives what was kept by the value of the frame."""
    kept: dict[int, Any] = {}
    takers: dict[int, Callable[[framebus.Frame], Any]] = {
        11: lambda frame: frame.array,
        22: lambda frame: frame.array[5:40:3, ::-2],
        33: lambda frame: frame.array.data,
        44: lambda frame: frame,
    }
    for value, take in takers.items():
        publisher.ask("send", shape=[48, 64], fill=value)
        kept[value] = take(subscriber.recv(30.0))
    return kept


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS.keys())
def test_kept_arrays_survive_a_thousand_frames_growth_closing_and_the_end_of_the_publisher(
    programs: Programs, channel_name: str, end: Callable[[Program], object]
) -> None:
    publisher = programs.publisher(channel_name)
    with framebus.Subscriber(channel_name, hold=4) as subscriber:
        kept = keep_four_kinds(subscriber, publisher)
        publisher.ask("send", shape=[48, 64], fill=255, count=1000)
        assert values_of(kept) == {11: {11}, 22: {22}, 33: {33}, 44: {44}}
        publisher.ask("send", shape=[2160, 3840], fill=255, count=20)
        assert values_of(kept) == {11: {11}, 22: {22}, 33: {33}, 44: {44}}
        assert subscriber.statistics().held == 4
    publisher.ask("send", shape=[48, 64], fill=255, count=1000)
    assert values_of(kept) == {11: {11}, 22: {22}, 33: {33}, 44: {44}}
    end(publisher)
    assert values_of(kept) == {11: {11}, 22: {22}, 33: {33}, 44: {44}}
    with framebus.Publisher(channel_name) as successor:
        for _ in range(1000):
            successor.send(np.full((48, 64), 254, np.uint8))
        assert values_of(kept) == {11: {11}, 22: {22}, 33: {33}, 44: {44}}
    kept.clear()


def values_of(kept: dict[int, Any]) -> dict[int, set[int]]:
    """The values that occur in each thing that was kept."""
    return {value: set(np.asarray(thing).ravel().tolist()) for value, thing in kept.items()}
