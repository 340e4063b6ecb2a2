# SPDX-License-Identifier: Apache-2.0
"""What may be given for each option; everything else is refused with the range, before anything is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebus

PICTURE = np.zeros((48, 64), np.uint8)
NAN = float("nan")

GOOD_NAMES = ["a", "0", "camera0", "Camera-0.left_eye", "a..b", "9-"]
BAD_NAMES = [
    "", ".hidden", "-dash", "_under", "with space", "a/b", "../up", "/abs", "a@1", "a\n", "a\0b", "kamera-ö", "名前",
    "x" * 129, "a:b", "a*",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_name_of_allowed_characters_makes_a_channel(channel_name: str, name: str) -> None:
    full = f"{channel_name}-{name}"[:128]
    with framebus.Publisher(full) as publisher, framebus.Subscriber(full) as subscriber:
        assert publisher.name == subscriber.name == full
        publisher.send(PICTURE)
        assert subscriber.recv(5.0).seq == 1


def test_name_of_128_characters_is_the_longest(channel_name: str) -> None:
    longest = channel_name + "x" * (128 - len(channel_name))
    with framebus.Publisher(longest):
        pass
    with pytest.raises(framebus.InvalidName, match="128"):
        framebus.Publisher(longest + "x")


@pytest.mark.parametrize("end", [framebus.Publisher, framebus.Subscriber], ids=lambda end: end.__name__)
@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:24])
def test_name_with_anything_else_is_refused_as_an_invalid_name(end: Any, name: str) -> None:
    before = set(Path("/dev/shm").iterdir())
    with pytest.raises(framebus.InvalidName, match="128") as refusal:
        end(name)
    assert isinstance(refusal.value, ValueError)
    assert isinstance(refusal.value, framebus.Error)
    assert not [path for path in set(Path("/dev/shm").iterdir()) - before if name and name in path.name]


@pytest.mark.parametrize("end", [framebus.Publisher, framebus.Subscriber], ids=lambda end: end.__name__)
@pytest.mark.parametrize("name", [None, 5, b"camera0", ["camera0"], Path("camera0")], ids=repr)
def test_name_that_is_no_text_is_a_type_error(end: Any, name: Any) -> None:
    with pytest.raises(TypeError):
        end(name)


# Option, values that are refused, and what the message has to contain.
PUBLISHER_RANGES: list[tuple[str, list[Any], str]] = [
    ("slots", [-1, 0, 1, 1025, 2**40], r"slots.*\b2\b.*\b1024\b"),
    ("max_bytes", [-1], r"max_bytes"),
    ("mode", [-1, 0o10000], r"mode"),
    ("on_full", ["", "wait", "DROP"], r"on_full.*drop.*block.*raise|on_full.*'drop'"),
]
SUBSCRIBER_RANGES: list[tuple[str, list[Any], str]] = [
    ("hold", [-1, 0, 65, 2**40], r"hold.*\b1\b.*\b64\b"),
    ("history", [-1, 1025, 2**40], r"history.*\b0\b.*\b1024\b"),
    ("connect_timeout", [-0.1, NAN], r"connect_timeout"),
    ("wait", ["", "sleep", "ADAPTIVE"], r"wait.*adaptive"),
]


def one_by_one(ranges: list[tuple[str, list[Any], str]]) -> list[Any]:
    return [
        pytest.param(option, value, text, id=f"{option}={value!r}")
        for option, values, text in ranges
        for value in values
    ]


@pytest.mark.parametrize(("option", "value", "text"), one_by_one(PUBLISHER_RANGES))
def test_publisher_option_out_of_range_is_a_value_error_with_the_range(
    channel_name: str, option: str, value: Any, text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        framebus.Publisher(channel_name, **{option: value})
    with pytest.raises(framebus.ChannelNotFound):
        framebus.Subscriber(channel_name)


@pytest.mark.parametrize(("option", "value", "text"), one_by_one(SUBSCRIBER_RANGES))
def test_subscriber_option_out_of_range_is_a_value_error_with_the_range(
    channel_name: str, option: str, value: Any, text: str
) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with pytest.raises(ValueError, match=text):
            framebus.Subscriber(channel_name, **{option: value})
        assert publisher.statistics().subscribers == 0


@pytest.mark.parametrize("option", ["slots", "max_bytes", "mode", "on_full"])
@pytest.mark.parametrize("value", ["8x", 2.5, [1]], ids=repr)
def test_publisher_option_of_the_wrong_type_is_refused_by_its_name(channel_name: str, option: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=option):
        framebus.Publisher(channel_name, **{option: value})


@pytest.mark.parametrize("option", ["hold", "history", "connect_timeout", "wait"])
@pytest.mark.parametrize("value", ["8x", [1], None], ids=repr)
def test_subscriber_option_of_the_wrong_type_is_refused_by_its_name(channel_name: str, option: str, value: Any) -> None:
    with framebus.Publisher(channel_name):
        with pytest.raises((TypeError, ValueError), match=option):
            framebus.Subscriber(channel_name, **{option: value})


@pytest.mark.parametrize("slots", [2, 3, 1024])
def test_slots_from_2_to_1024_are_taken(channel_name: str, slots: int) -> None:
    with framebus.Publisher(channel_name, slots=slots) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for number in range(1, 8):
            publisher.send(PICTURE)
            assert subscriber.recv(5.0).seq == number
        assert publisher.statistics().slots >= slots


@pytest.mark.parametrize("wait", ["park", "spin", "adaptive"])
@pytest.mark.parametrize(("hold", "history"), [(1, 0), (64, 1024)])
def test_options_at_the_ends_of_their_ranges_are_taken(channel_name: str, wait: Any, hold: int, history: int) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, hold=hold, history=history, wait=wait) as subscriber:
            publisher.send(PICTURE)
            assert subscriber.recv(5.0).seq == 1
            with pytest.raises(framebus.Timeout):
                subscriber.recv(0.02)


@pytest.mark.parametrize("timeout", [-1, -0.001, NAN, float("-inf")], ids=str)
def test_timeout_that_is_negative_or_no_number_is_refused_everywhere(channel_name: str, timeout: float) -> None:
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name) as subscriber:
            for call in (
                lambda: subscriber.recv(timeout),
                lambda: publisher.send(PICTURE, timeout=timeout),
                lambda: publisher.loan((3,), timeout=timeout),
            ):
                with pytest.raises(ValueError, match="timeout"):
                    call()
            assert subscriber.try_recv() is None


def test_timeout_of_the_wrong_type_is_a_type_error(channel_name: str) -> None:
    with framebus.Publisher(channel_name), framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(TypeError, match="timeout"):
            subscriber.recv("soon")  # type: ignore[arg-type]


def test_timeout_is_waited_for_and_names_the_channel(channel_name: str) -> None:
    with framebus.Publisher(channel_name), framebus.Subscriber(channel_name) as subscriber:
        for timeout in (0, 0.0, 0.05):
            with pytest.raises(framebus.Timeout, match=channel_name) as refusal:
                subscriber.recv(timeout)
            assert isinstance(refusal.value, TimeoutError)


@pytest.mark.parametrize("pixel_format", ["", "BGR9", "mono8", "x" * 33, "Mönö8"], ids=ascii)
def test_pixel_format_that_does_not_exist_is_a_value_error(channel_name: str, pixel_format: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(ValueError, match=r"pixel.format"):
            publisher.send(PICTURE, pixel_format=pixel_format)
        with pytest.raises(ValueError, match=r"pixel.format"):
            with publisher.loan((3,), pixel_format=pixel_format):
                pass
        assert subscriber.try_recv() is None
        assert publisher.send(PICTURE) == 1


def test_pixel_format_nearly_right_is_answered_with_the_right_one(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with pytest.raises(ValueError, match="BGR8"):
            publisher.send(PICTURE, pixel_format="BGR9")
        with pytest.raises(TypeError):
            publisher.send(PICTURE, pixel_format=8)  # type: ignore[arg-type]


LONE_SURROGATE = "camera-\udcff"  # what os.fsdecode() makes of the byte FF, which is not UTF-8


def strict_capture() -> framebus.VideoCapture:
    capture = framebus.VideoCapture()
    capture.setExceptionMode(True)
    return capture


@pytest.mark.parametrize(
    "use",
    [
        framebus.Publisher,
        framebus.Subscriber,
        framebus.source,
        framebus.sink,
        lambda name: framebus.source(f"shm:{name}"),
        lambda name: framebus.source(f"msg:{name}"),
        lambda name: framebus.sink(f"mailslot:{name}"),
        lambda name: framebus.source(f"dde:{name}"),
        lambda name: framebus.sink(f"baseimage:{name}"),
        lambda name: framebus.Launcher(["true"], name),
        lambda name: strict_capture().open(name),
    ],
)
def test_name_that_is_not_utf_8_is_refused_as_any_bad_name(use: Callable[[str], object]) -> None:
    with pytest.raises(framebus.InvalidName, match=r"'camera-\\udcff' is not a name for"):
        use(LONE_SURROGATE)


@pytest.mark.parametrize("use", [framebus.Publisher, framebus.Subscriber])
@pytest.mark.parametrize("name", [None, 3, b"camera0"])
def test_name_that_is_no_text_is_refused_by_its_type(use: Callable[[Any], object], name: object) -> None:
    with pytest.raises(TypeError, match=r"name of a channel must be a str, got .*\("):
        use(name)


@pytest.mark.parametrize("address", ["ipc:///run/camera-\udcff", "tcp://camera-\udcff:7000"])
def test_address_of_zeromq_that_is_not_utf_8_is_refused(address: str) -> None:
    pytest.importorskip("zmq")
    for opened in (framebus.source, framebus.sink):
        with pytest.raises(framebus.InvalidUrl, match=r"\\udcff"):
            opened(address)


def test_array_name_that_is_not_utf_8_is_refused(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for send in (publisher.send, lambda arrays: publisher.send(dict.fromkeys(arrays, b"abc"))):
            with pytest.raises(ValueError, match=r"array name has 1 to 32 bytes of UTF-8.*\\udcff.*lone surrogate"):
                send({LONE_SURROGATE: np.zeros(3)})
        with pytest.raises(ValueError, match=r"array name has 1 to 32 bytes of UTF-8.*\\udcff.*lone surrogate"):
            publisher.loan({LONE_SURROGATE: ((3,), "uint8")})
