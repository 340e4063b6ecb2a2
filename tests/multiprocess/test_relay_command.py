# SPDX-License-Identifier: Apache-2.0
"""`framebus relay` and `framebus endpoints`, as a shell runs them; those joined by a pipe are no forks."""

from __future__ import annotations

import signal
import sys

import numpy as np
import pytest
from tests.support.forked_commands import ForkedCommand
from tests.support.started import Started

import framebus
from framebus.testing.process import WATCHDOG_S


def test_relay_moves_frames_with_all_they_carry_until_the_limit(channel_name: str) -> None:
    other = f"{channel_name}-copy"
    image = np.arange(12, dtype="<u2").reshape(3, 4)
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        ForkedCommand("relay", f"{channel_name}?every&history=3", other, "--limit", "3") as process,
        framebus.Subscriber(other, every=True, history=3, connect_timeout=WATCHDOG_S) as subscriber,
    ):
        for number in range(3):
            publisher.send(
                {"image": image + number, "more": image},
                meta={"number": number},
                pixel_format="Mono16",
                timestamp_ns=1000 + number,
                wall_time_ns=2000 + number,
            )
            frame = subscriber.recv(WATCHDOG_S)
            assert list(frame.arrays) == ["image", "more"]
            assert np.array_equal(frame.array, image + number)
            assert (frame.meta, frame.pixel_format) == ({"number": number}, "Mono16")
            assert (frame.timestamp_ns, frame.wall_time_ns) == (1000 + number, 2000 + number)
        status, output, errors = process.finish()
    assert (status, output) == (0, "")
    assert errors.startswith("framebus relay: 3 frames")
    assert errors.endswith("the limit is reached\n")


def test_relay_ends_when_the_publisher_closes(channel_name: str) -> None:
    other = f"{channel_name}-copy"
    with framebus.Publisher(channel_name) as publisher, ForkedCommand("relay", channel_name, other) as process:
        publisher.send(np.zeros((2, 2), np.uint8))
        with framebus.Subscriber(other, history=1, connect_timeout=WATCHDOG_S) as subscriber:
            subscriber.recv(WATCHDOG_S)
            publisher.close()
            status, _, errors = process.finish()
    assert status == 0
    assert errors.startswith("framebus relay: 1 frames")
    assert errors.endswith("the source has ended\n")


def test_two_relays_are_joined_by_a_pipe_of_the_shell(channel_name: str) -> None:
    other = f"{channel_name}-copy"
    pipeline = f"{sys.executable} -m framebus relay {channel_name} pipe:stdout | "
    pipeline += f"{sys.executable} -m framebus relay pipe:stdin {other}"
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(np.arange(6, dtype="<u2").reshape(2, 3), meta={"number": 1}, pixel_format="Mono16")
        with (
            Started("sh", "-c", pipeline) as shell,
            framebus.Subscriber(other, history=1, connect_timeout=WATCHDOG_S) as subscriber,
        ):
            frame = subscriber.recv(WATCHDOG_S)
            assert frame.array.tolist() == [[0, 1, 2], [3, 4, 5]]
            assert (frame.meta, frame.pixel_format) == ({"number": 1}, "Mono16")
            publisher.close()
            status, output, errors = shell.finish()
    assert (status, output) == (0, "")
    assert errors.count("1 frames") == 2
    assert errors.count("the source has ended") == 2


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_relay_closes_its_sink_when_it_is_asked_to_end(number: int, status: int, channel_name: str) -> None:
    other = f"{channel_name}-copy"
    with framebus.Publisher(channel_name) as publisher, ForkedCommand("relay", channel_name, other) as process:
        publisher.send(np.zeros((2, 2), np.uint8))
        with framebus.Subscriber(other, history=1, connect_timeout=WATCHDOG_S, reconnect=False) as subscriber:
            subscriber.recv(WATCHDOG_S)
            process.send_signal(number)
            with pytest.raises(framebus.ChannelClosed):
                subscriber.recv(WATCHDOG_S)
        assert process.finish() == (status, "", "")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("nobody-publishes-this", "x"), 1, "no program publishes 'nobody-publishes-this'"),
        (("foo:bar", "x"), 2, "no endpoint for foo:; there are "),
        (("a?evry", "x"), 2, "has no option 'evry' here; it knows every, "),
        (("a/b", "x"), 2, "is not a channel name"),
        (("a", "x", "--fps", "0"), 2, "fps must be above 0"),
    ],
)
def test_relay_says_what_is_wrong(arguments: tuple[str, ...], status: int, message: str) -> None:
    with ForkedCommand("relay", *arguments) as process:
        found, output, errors = process.finish()
    assert (found, output) == (status, "")
    assert message in errors
    assert errors.count("\n") == 1, "a sentence, no traceback"


def test_endpoints_are_listed_with_what_they_are_for() -> None:
    with ForkedCommand("endpoints") as process:
        status, output, errors = process.finish()
    assert (status, errors) == (0, "")
    for info in framebus.endpoints():
        assert info.url_syntax in output


def test_the_options_of_one_endpoint_are_listed() -> None:
    with ForkedCommand("endpoints", "shm") as process:
        status, output, errors = process.finish()
    assert (status, errors) == (0, "")
    assert "seconds to wait for a program that publishes it" in output
    with ForkedCommand("endpoints", "nope") as process:
        status, output, errors = process.finish()
    assert (status, output) == (2, "")
    assert "there is no 'nope'; there are " in errors
