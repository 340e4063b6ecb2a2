# SPDX-License-Identifier: Apache-2.0
"""Metadata arrives as it was sent, or is refused with the path of what is wrong."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pathlib
import types
from typing import Any

import numpy as np
import pytest

from framebus.frames import metadata


@dataclasses.dataclass
class Lens:
    focal_mm: float


class Mode(enum.IntEnum):
    FAST = 3


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"in": inner}
    return inner


def containing_itself() -> dict[str, Any]:
    outer: dict[str, Any] = {"cameras": [{"name": "left"}]}
    outer["cameras"][0]["rig"] = outer
    return outer


@pytest.mark.parametrize(
    "meta",
    [
        {"exposure_us": 900, "gain": 1.5, "name": "left", "valid": True, "note": None},
        {"camera": {"roi": [0, 0, 640, 480], "lens": {"focal_mm": 8.0}}, "empty": [{}, []]},
        {"": "empty key", "µ": "größer", "日本": "𝄞 outside the first plane", "control": "\x00\x1f\x7f\u2028"},
        {"huge": 2**200, "negative": -(2**64), "tiny": 5e-324, "third": 1 / 3, "minus zero": -0.0},
        {"deep": nested(100)},
    ],
    ids=["flat", "nested", "unicode", "numbers", "deep"],
)
def test_metadata_arrives_as_it_was_sent(meta: dict[str, Any]) -> None:
    data = metadata.encode(meta)
    assert data is not None
    arrived = metadata.decode(data)
    assert arrived == meta
    assert repr(arrived) == repr(meta)


def test_no_metadata_is_no_bytes_and_arrives_as_an_empty_dict() -> None:
    assert metadata.encode(None) is None
    assert metadata.encode({}) is None
    assert metadata.decode(b"") == {}


def test_tuples_arrive_as_lists_and_subclasses_as_plain_values() -> None:
    data = metadata.encode({"size": (640, 480), "mode": Mode.FAST, "gain": np.float64(1.5)})
    assert data is not None
    arrived = metadata.decode(data)
    assert arrived == {"size": [640, 480], "mode": 3, "gain": 1.5}
    assert [type(value) for value in arrived.values()] == [list, int, float]


def test_one_list_may_stand_in_two_places() -> None:
    size = [640, 480]
    data = metadata.encode({"in": size, "out": size, "both": [size, size]})
    assert data is not None
    assert metadata.decode(data)["both"] == [size, size]


@pytest.mark.parametrize(
    ("value", "found", "instead"),
    [
        (np.float32(1), "numpy.float32", "pass meta['camera']['gain'].item()"),
        (np.int64(1), "numpy.int64", "pass meta['camera']['gain'].item()"),
        (np.datetime64("2024-01-01"), "numpy.datetime64", "pass str()"),
        (np.arange(3), "numpy.ndarray", "named array"),
        (b"\x00", "bytes", "named array, or pass base64"),
        (bytearray(1), "bytearray", "named array, or pass base64"),
        (memoryview(b"1"), "memoryview", "named array, or pass base64"),
        ({1, 2}, "set", "pass sorted()"),
        (types.MappingProxyType({}), "mappingproxy", "pass dict()"),
        (range(3), "range", "pass list()"),
        (1j, "complex", "pass [z.real, z.imag]"),
        (datetime.date(2024, 1, 1), "datetime.date", "pass .isoformat()"),
        (pathlib.PurePosixPath("a"), "PurePosixPath", "pass str()"),
        (Lens(8), "Lens", "pass dataclasses.asdict()"),
        (object(), "object", "pass one of these"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_a_value_json_does_not_have_is_refused_with_path_type_and_remedy(
    value: object, found: str, instead: str
) -> None:
    with pytest.raises(TypeError) as caught:
        metadata.encode({"ok": 1, "camera": {"gain": value}})
    message = str(caught.value)
    assert message.startswith("meta['camera']['gain'] must be None, bool, int, float, str, list, tuple or dict, not ")
    assert found in message
    assert instead in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float64("nan")])
def test_numbers_that_are_not_finite_are_refused_with_their_path(value: float) -> None:
    with pytest.raises(ValueError, match=r"^meta\['rois'\]\[1\]\['x'\] is -?(nan|inf), which JSON does not have"):
        metadata.encode({"rois": [{"x": 1.0}, {"x": value}]})


@pytest.mark.parametrize("key", [1, 1.5, None, True, (1, 2), b"gain"])
@pytest.mark.parametrize("depth", ["top", "in a dict", "in a list of dicts"])
def test_a_key_that_is_not_str_is_refused_with_its_path(key: object, depth: str) -> None:
    meta, path = {
        "top": ({"ok": 1, key: 2}, "meta"),
        "in a dict": ({"camera": {key: 2}}, "meta['camera']"),
        "in a list of dicts": ({"cameras": ({"ok": 1}, {key: 2})}, "meta['cameras'][1]"),
    }[depth]
    with pytest.raises(TypeError) as caught:
        metadata.encode(meta)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{path} has the key {key!r} of type {type(key).__name__}; keys must be str")


def test_metadata_that_contains_itself_is_refused_with_both_paths() -> None:
    with pytest.raises(ValueError, match=r"^meta\['cameras'\]\[0\]\['rig'\] is meta again"):
        metadata.encode(containing_itself())


def test_metadata_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^meta is nested too deeply"):
        metadata.encode(nested(200_000))


def test_a_lone_surrogate_is_refused_in_values_and_keys() -> None:
    with pytest.raises(ValueError, match=r"^meta\['name'\] has a lone surrogate \('\\udc80' at index 2\)"):
        metadata.encode({"name": "ab\udc80"})
    with pytest.raises(ValueError, match=r"^a key of meta\['names'\] has a lone surrogate"):
        metadata.encode({"names": {"ab\udc80": 1}})


def test_an_int_with_more_digits_than_python_writes_is_refused_or_arrives() -> None:
    huge = {"huge": 10**5000}
    try:
        str(huge["huge"])
    except ValueError:
        with pytest.raises(ValueError, match=r"^meta\['huge'\] is an int of 16610 bits"):
            metadata.encode(huge)
    else:
        assert metadata.decode(metadata.encode(huge) or b"") == huge


@pytest.mark.parametrize("meta", [[("gain", 1)], "gain", 1, b"{}", types.MappingProxyType({"gain": 1})])
def test_metadata_that_is_no_dict_is_refused(meta: Any) -> None:
    with pytest.raises(TypeError, match=rf"^meta must be a dict with str keys, not {type(meta).__name__}"):
        metadata.encode(meta)


def test_up_to_one_mebibyte_is_carried_and_more_is_refused_with_size_and_limit() -> None:
    overhead = len('{"text":""}')
    data = metadata.encode({"text": "x" * (2**20 - overhead)})
    assert data is not None
    assert len(data) == 2**20
    with pytest.raises(ValueError, match=r"1048577 bytes as JSON, the limit is 1048576"):
        metadata.encode({"text": "x" * (2**20 - overhead + 1)})


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"{",
        b'{"a":1} x',
        b"[1]",
        b"1",
        b"null",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"[" * 100_000,
        b"\x00" * 8,
    ],
    ids=range(10),
)
def test_bytes_that_are_no_metadata_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the texts of the decoder are not ours
        metadata.decode(data)


def test_good_metadata_is_not_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def walked(*_: object) -> None:
        raise AssertionError("walked through good metadata")

    monkeypatch.setattr(metadata, "_faults", walked)
    assert metadata.encode({"camera": {"gain": 1.5, "roi": (1, 2)}, "names": ["a", None]}) is not None
