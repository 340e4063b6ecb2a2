# SPDX-License-Identifier: Apache-2.0
"""What `send` takes: whatever is an array of numbers. All else is refused with a word on what to send instead."""

from __future__ import annotations

import array
import ctypes
import datetime
import decimal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import framebus

Array = npt.NDArray[Any]
RoundTrip = Callable[[object], Array]

NUMERIC = [np.dtype(code) for code in "?" + np.typecodes["AllInteger"] + np.typecodes["AllFloat"]]
PICTURE = np.random.default_rng(7).integers(0, 60_000, (48, 64), dtype=np.uint16)
LARGE = np.random.default_rng(8).integers(0, 256, (700, 900, 3), dtype=np.uint8)


@pytest.fixture
def round_trip(channel_name: str) -> Iterator[RoundTrip]:
    """Send something and give the array that arrives."""
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:

        def there_and_back(sent: object) -> Array:
            publisher.send(sent)
            return subscriber.recv(5.0).array

        yield there_and_back


def assert_same(received: Array, sent: Array) -> None:
    assert received.dtype == sent.dtype
    assert received.dtype.str == sent.dtype.str
    assert received.shape == sent.shape
    assert received.flags.c_contiguous
    assert not received.flags.writeable
    np.testing.assert_array_equal(received, sent)


@pytest.mark.parametrize("order", ["=", "<", ">"])
@pytest.mark.parametrize("dtype", NUMERIC, ids=lambda dtype: dtype.name + "-" + dtype.char)
def test_every_numeric_dtype_arrives_in_its_own_byte_order(
    round_trip: RoundTrip, dtype: np.dtype[Any], order: Any
) -> None:
    sent = np.arange(-12, 12).reshape(4, 6).astype(dtype).astype(dtype.newbyteorder(order))
    if dtype.kind == "c":
        sent.imag = np.arange(24).reshape(4, 6)
    assert_same(round_trip(sent), sent)


@pytest.mark.parametrize("dtype", [dtype for dtype in NUMERIC if dtype.kind in "fc"], ids=lambda dtype: dtype.name)
def test_not_a_number_infinity_and_negative_zero_arrive(round_trip: RoundTrip, dtype: np.dtype[Any]) -> None:
    sent = np.array([np.nan, np.inf, -np.inf, -0.0], dtype)
    received = round_trip(sent)
    assert_same(received, sent)
    np.testing.assert_array_equal(np.signbit(received.real), np.signbit(sent.real))


@pytest.mark.parametrize("dimensions", range(9))
def test_zero_to_eight_dimensions_arrive(round_trip: RoundTrip, dimensions: int) -> None:
    shape = (2, 3, 1, 2, 3, 1, 2, 3)[:dimensions]
    sent = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    assert_same(round_trip(sent), sent)


def test_nine_dimensions_are_refused_with_the_range(round_trip: RoundTrip) -> None:
    with pytest.raises(ValueError, match=r"\b8\b"):
        round_trip(np.zeros((1,) * 9, np.uint8))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0, 2), (0,) * 8], ids=str)
def test_empty_arrays_arrive_with_their_shape(round_trip: RoundTrip, shape: tuple[int, ...]) -> None:
    sent = np.empty(shape, np.float32)
    assert_same(round_trip(sent), sent)


ARRANGEMENTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda a: a,
    "sliced rows": lambda a: a[3:-5],
    "sliced columns": lambda a: a[:, 5:-3],
    "every third": lambda a: a[::3, ::2],
    "transposed": lambda a: a.T,
    "rows backwards": lambda a: a[::-1],
    "all backwards": lambda a: a[::-1, ::-1],
    "Fortran-ordered": np.asfortranarray,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
    "big-endian and transposed": lambda a: a.astype(a.dtype.newbyteorder(">")).T,
    "one column": lambda a: a[:, 7],
    "with an extra axis": lambda a: a[:, np.newaxis, ::-1],
}


@pytest.mark.parametrize("source", [PICTURE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("arrange", ARRANGEMENTS.values(), ids=ARRANGEMENTS.keys())
def test_every_arrangement_in_memory_arrives(
    round_trip: RoundTrip, arrange: Callable[[Array], Array], source: Array
) -> None:
    sent = arrange(source)
    before = sent.copy()
    assert_same(round_trip(sent), before)
    np.testing.assert_array_equal(sent, before)


def test_read_only_array_arrives(round_trip: RoundTrip) -> None:
    sent = PICTURE.copy()
    sent.flags.writeable = False
    assert_same(round_trip(sent), sent)


def test_unaligned_array_arrives(round_trip: RoundTrip) -> None:
    sent = np.frombuffer(b"\x00" + PICTURE.tobytes(), np.uint16, offset=1).reshape(PICTURE.shape)
    assert not sent.flags.aligned
    assert_same(round_trip(sent), sent)


def test_array_may_be_used_again_as_soon_as_send_has_returned(round_trip: RoundTrip) -> None:
    sent = LARGE.copy()
    received = round_trip(sent)
    sent.fill(0)
    np.testing.assert_array_equal(received, LARGE)


class OnlyDLPack:
    """An object that offers its array through DLPack and nothing else."""

    def __init__(self, content: Array) -> None:
        self._content = content

    def __dlpack__(self, **options: Any) -> Any:
        return self._content.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class OnlyArrayMethod:
    """An object that offers its array through `__array__` and nothing else."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return PICTURE


BUFFERS: dict[str, tuple[Callable[[], object], Array]] = {
    "bytes": (lambda: b"\x00\x01\xff", np.array([0, 1, 255], np.uint8)),
    "empty bytes": (lambda: b"", np.array([], np.uint8)),
    "bytearray": (lambda: bytearray(b"abc"), np.frombuffer(b"abc", np.uint8)),
    "memoryview of bytes": (lambda: memoryview(b"abcdef")[1:5], np.frombuffer(b"bcde", np.uint8)),
    "memoryview with a step": (lambda: memoryview(b"abcdef")[::2], np.frombuffer(b"ace", np.uint8)),
    "memoryview of an array": (lambda: PICTURE.data, PICTURE),
    "memoryview cast to rows": (
        lambda: memoryview(bytes(range(24))).cast("B", (4, 6)),
        np.arange(24, dtype=np.uint8).reshape(4, 6),
    ),
    "array.array of float64": (lambda: array.array("d", [1.5, -2.5]), np.array([1.5, -2.5])),
    "array.array of int16": (lambda: array.array("h", [1, -2]), np.array([1, -2], np.int16)),
    "ctypes array": (lambda: (ctypes.c_uint32 * 3)(1, 2, 3), np.array([1, 2, 3], np.uint32)),
    "DLPack object": (lambda: OnlyDLPack(PICTURE), PICTURE),
    "DLPack object that is transposed": (lambda: OnlyDLPack(LARGE.T), LARGE.T),
    "__array__ object": (OnlyArrayMethod, PICTURE),
    "Pillow RGB": (lambda: Image.fromarray(LARGE), LARGE),
    "Pillow L": (lambda: Image.fromarray(LARGE[:, :, 0]), LARGE[:, :, 0]),
    "Pillow 16 bit": (lambda: Image.fromarray(PICTURE), PICTURE),
    "Pillow 1 bit": (lambda: Image.fromarray(PICTURE > 9).convert("1"), PICTURE > 9),
}


@pytest.mark.parametrize(("make", "expected"), BUFFERS.values(), ids=BUFFERS.keys())
def test_everything_that_lends_its_memory_arrives(
    round_trip: RoundTrip, make: Callable[[], object], expected: Array
) -> None:
    assert_same(round_trip(make()), np.ascontiguousarray(expected).reshape(expected.shape))


REFUSED: dict[str, tuple[object, str]] = {
    "object array": (np.array([1, "a", None], object), r"astype|numeric"),
    "decimal array": (np.array([decimal.Decimal(1)]), r"astype|numeric"),
    "unicode array": (np.array(["abc"]), r"meta|encode|frombuffer|uint8"),
    "bytes array": (np.array([b"abc"]), r"meta|encode|frombuffer|uint8"),
    "datetime array": (np.array(["2024-01-01"], "datetime64[s]"), r"int64"),
    "timedelta array": (np.array([5], "timedelta64[ms]"), r"int64"),
    "structured array": (np.zeros(3, [("x", "f4"), ("y", "f4")]), r"dict|named|field"),
    "void array": (np.zeros(3, "V8"), r"view|uint8"),
    "masked array": (np.ma.masked_array([1, 2], mask=[True, False]), r"filled|mask"),
    "list": ([[1, 2], [3, 4]], r"array\("),
    "tuple": ((1, 2), r"array\("),
    "None": (None, r"array"),
    "text": ("abc", r"buffer|bytes|meta"),
    "int": (5, r"array\("),
    "set": ({1, 2}, r"array"),
    "date": (datetime.datetime(2024, 1, 1), r"array"),
    "an object": (object(), r"array"),
}


@pytest.mark.parametrize(("sent", "hint"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("named", [False, True], ids=["alone", "as a named array"])
def test_what_is_no_array_of_numbers_is_refused_with_what_to_send_instead(
    channel_name: str, sent: object, hint: str, named: bool
) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(TypeError, match=hint) as refusal:
            publisher.send({"depth": sent} if named else sent)
        if named:
            assert "depth" in str(refusal.value)
        assert subscriber.try_recv() is None
        assert publisher.send(PICTURE) == 1, "what is refused uses up no number"


def test_metadata_that_is_not_json_is_refused_with_its_path_and_nothing_is_sent(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        with pytest.raises(TypeError, match=r"meta\['camera'\]\['gain'\]"):
            publisher.send(PICTURE, meta={"camera": {"gain": np.float32(2.0)}})
        with pytest.raises(ValueError, match=r"meta\['exposures'\]\[1\]"):
            publisher.send(PICTURE, meta={"exposures": [1.0, float("nan")]})
        assert subscriber.try_recv() is None
        assert publisher.send(PICTURE) == 1
