# SPDX-License-Identifier: Apache-2.0
"""The limits of a frame and the options of a subscriber: said once, and the same for everything that has them."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest

import framebus
from framebus import _core, endpoint
from framebus.channel.options import DEFAULTS, SubscriberOptions
from framebus.endpoint.kinds import shm

IMAGE = np.zeros((3, 4), np.uint8)
NO_FRAMES: dict[str, object] = {
    "no array": {},
    "nine arrays": {str(i): IMAGE for i in range(9)},
    "a name of 33 bytes": {"n" * 33: IMAGE},
    "no name": {"": IMAGE},
    "a lone surrogate": {"\ud800": IMAGE},
    "nine dimensions": np.zeros((1,) * 9),
    "text": np.array(["text"]),
    "moments": {"when": np.zeros(2, "datetime64[s]")},
}


class Sink(framebus.BaseSink):
    """Takes every frame."""

    def _send(self, frame: framebus.OutgoingFrame, deadline: framebus.Deadline) -> None:
        pass


@pytest.mark.parametrize("image", NO_FRAMES.values(), ids=NO_FRAMES.keys())
def test_every_sink_refuses_what_a_publisher_refuses_with_the_same_error(image: object, channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, pytest.raises((TypeError, ValueError)) as expected:
        publisher.send(image)
    with Sink("test:") as sink, pytest.raises(expected.type) as found:
        sink.send(image)
    assert str(found.value) == str(expected.value)


def test_a_frame_with_as_much_as_it_may_have_is_sent_by_every_sink_and_publisher(channel_name: str) -> None:
    names = [str(i) * endpoint.MAX_NAME_BYTES for i in range(endpoint.MAX_ARRAYS)]
    frame = {name: np.zeros((1,) * endpoint.MAX_DIMENSIONS) for name in names}
    meta = {"text": "x" * (_core.MAX_META_BYTES - len('{"text":""}'))}
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(frame, meta=meta)
        assert list(subscriber.recv(5).arrays) == names
    with Sink("test:") as sink:
        assert sink.send(frame, meta=meta) == 1


@pytest.mark.parametrize("count", [0, 9])
def test_a_frame_that_a_program_makes_has_one_to_eight_arrays(count: int) -> None:
    with pytest.raises(ValueError, match=f"a frame has 1 to 8 arrays, got {count}"):
        framebus.Frame({str(i): IMAGE for i in range(count)}, seq=1, timestamp_ns=2, wall_time_ns=3)


def keywords(function: Any) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}


def test_a_subscriber_shows_its_options_with_their_values() -> None:
    assert str(inspect.signature(framebus.Subscriber)).replace("'", "").partition(" ->")[0] == (
        "(name: str, *, every: bool = False, hold: int = 2, history: int = 0, connect_timeout: float = 0.0, "
        "wait: Wait = adaptive, max_spin: float = 0.0005, reconnect: bool = True)"
    )


def test_all_that_subscribe_have_the_same_options_with_the_same_defaults() -> None:
    expected = vars(DEFAULTS)
    assert keywords(framebus.Subscriber) == keywords(shm.open_source) == expected
    assert {name: value for name, value in keywords(framebus.VideoCapture).items() if name in expected} == expected


def test_options_do_not_change_and_are_checked_when_they_are_made() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULTS.hold = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="hold must be 1 to 64, got 65"):
        dataclasses.replace(DEFAULTS, hold=65)
    with pytest.raises(ValueError, match="max_spin must be 0 to 1 seconds, got nan"):
        SubscriberOptions(max_spin=float("nan"))


def test_the_native_subscriber_takes_its_options_by_keyword_alone(channel_name: str) -> None:
    with framebus.Publisher(channel_name):
        with pytest.raises(TypeError):
            _core.SubscriberBase(channel_name, *vars(DEFAULTS).values())  # type: ignore[call-arg]
        _core.SubscriberBase(channel_name, **vars(DEFAULTS))._leave()
