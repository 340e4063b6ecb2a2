# SPDX-License-Identifier: Apache-2.0
"""One frame carries one to eight arrays, each under a name, all of the same moment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import framebus

DTYPES = ["uint8", "uint16", ">f4", "bool", "complex64", "float16", "int64", "float64"]


def arrays(count: int) -> dict[str, Any]:
    """That many arrays, each of another dtype and number of dimensions."""
    return {f"array {number}": np.full((3,) * number, number + 1).astype(DTYPES[number]) for number in range(count)}


@pytest.mark.parametrize("count", range(1, 9))
def test_one_to_eight_arrays_arrive_in_the_order_they_were_given(channel_name: str, count: int) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        sent = arrays(count)
        publisher.send(sent)
        frame = subscriber.recv(5.0)
        assert list(frame.arrays) == list(sent)
        for name, array in sent.items():
            assert frame.arrays[name].dtype == array.dtype
            assert frame.arrays[name].shape == array.shape
            np.testing.assert_array_equal(frame.arrays[name], array)
        np.testing.assert_array_equal(frame.array, sent["array 0"])


@pytest.mark.parametrize("count", [0, 9])
def test_no_array_or_nine_are_refused_with_the_range(channel_name: str, count: int) -> None:
    given = {f"array {number}": np.zeros(3) for number in range(count)}
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(ValueError, match=r"\b8\b"):
            publisher.send(given)
        with pytest.raises(ValueError, match=r"\b8\b"):
            publisher.loan(dict.fromkeys(given, ((3,), "uint8")))
        assert subscriber.try_recv() is None


def test_single_array_without_a_name_is_called_image(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(np.arange(5))
        frame = subscriber.recv(5.0)
        assert list(frame.arrays) == ["image"]
        assert frame.array.ctypes.data == frame.arrays["image"].ctypes.data


@pytest.mark.parametrize("name", ["d", "x" * 32, "depth (mm)"])
def test_name_of_an_array_may_have_32_bytes(channel_name: str, name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send({name: np.arange(5)})
        np.testing.assert_array_equal(subscriber.recv(5.0).arrays[name], np.arange(5))


@pytest.mark.parametrize("name", ["", "x" * 33, "ö" * 17], ids=ascii)
def test_other_name_of_an_array_is_refused_with_the_range(channel_name: str, name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with pytest.raises(ValueError, match=r"\b32\b"):
            publisher.send({name: np.zeros(3)})
        with pytest.raises(ValueError, match=r"\b32\b"):
            publisher.loan({name: ((3,), "uint8")})


@pytest.mark.parametrize("name", [1, None, b"depth"], ids=repr)
def test_name_of_an_array_that_is_no_text_is_a_type_error(channel_name: str, name: Any) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with pytest.raises(TypeError):
            publisher.send({name: np.zeros(3)})


def test_array_that_does_not_exist_is_answered_with_those_that_do(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send({"color": np.zeros(3), "depth": np.zeros(3)})
        with pytest.raises(KeyError):
            subscriber.recv(5.0).arrays["infrared"]


def test_large_and_small_arrays_of_one_frame_do_not_touch_each_other(channel_name: str) -> None:
    generator = np.random.default_rng(11)
    sent = {
        f"array {number}": generator.integers(0, 256, size, dtype=np.uint8)
        for number, size in enumerate((1, 0, 63, 64, 65, 4095, 1_000_001, 7))
    }
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for _ in range(20):
            publisher.send(sent)
            frame = subscriber.recv(5.0)
            for name, array in sent.items():
                np.testing.assert_array_equal(frame.arrays[name], array)
