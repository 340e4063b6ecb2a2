# SPDX-License-Identifier: Apache-2.0
"""Metadata of a frame to bytes and back: JSON in UTF-8, at most 1 MiB.

What is encoded arrives equal, with two exceptions: a tuple arrives as a list, and an instance of a subclass of int,
float or str as its plain value. Anything else that JSON cannot carry exactly (NaN, keys that are not str, numpy
scalars, bytes ...) is refused with the path of the first offender, such as meta['camera']['gain'].

Good metadata costs one call of the encoder and one look at the types of its keys, which the encoder would quietly turn
into str. Only when something is wrong is the whole walked through again to find out what.

A source says things of its own about a frame, such as the file that it comes from. They are its bookkeeping, not the
user's metadata, and no reason for a sink to refuse the frame. They are read as all metadata are; Metadata knows which
entries they are. As JSON their names stand under the reserved key "framebus:origin", so the difference survives every
mechanism that carries metadata.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from framebus._core import MAX_META_BYTES

ORIGIN_KEY = "framebus:origin"

# No check for circles: they end in RecursionError, and checking costs on every frame.
_encoder = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
_LEAVES = frozenset({str, int, float, bool, type(None)})
_ONLY_STR = frozenset({str})


class Metadata(dict[str, Any]):
    """Metadata of which some entries are a source's own bookkeeping: a dict in every other respect.

    Attributes:
        origin: what the source said. An entry that has another value since is the user's.
    """

    __slots__ = ("origin",)

    origin: dict[str, Any]

    def __init__(self, meta: Mapping[str, Any], origin: Mapping[str, Any]) -> None:
        """Takes the entries of both; where both have one of a name, that of `meta` is there, and the user's."""
        super().__init__({**origin, **meta})
        self.origin = dict(origin)

    def __reduce__(self) -> tuple[Any, ...]:
        return Metadata, (dict(self), self.origin)

    def of_the_source(self) -> dict[str, Any]:
        """The entries that are still as the source said them."""
        return {key: value for key, value in self.items() if key in self.origin and self.origin[key] == value}


def of_the_user(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the entries of `meta` that are not a source's bookkeeping."""
    own = meta.of_the_source() if isinstance(meta, Metadata) else {}
    return {key: value for key, value in meta.items() if key not in own}


def to_object(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the JSON object for `meta`, in which the bookkeeping is named."""
    own = list(meta.of_the_source()) if isinstance(meta, Metadata) else []
    return {**meta, ORIGIN_KEY: own} if own else dict(meta)


def from_object(found: dict[str, Any]) -> dict[str, Any]:
    """Returns the metadata that a JSON object stands for; to_object() backwards. Names without an entry say nothing."""
    names = found.get(ORIGIN_KEY)
    meta = {key: value for key, value in found.items() if key != ORIGIN_KEY}
    own = {name: meta[name] for name in names if isinstance(name, str) and name in meta} if type(names) is list else {}
    return Metadata(meta, own) if own else meta


def encode(meta: Mapping[str, object] | None) -> bytes | None:
    """Returns the bytes for `meta`, or None if there is nothing to say (None or an empty dict).

    Raises TypeError for values of a type that JSON does not have, ValueError for values it cannot carry and for more
    than 1 MiB; both name the path of the value.
    """
    if meta is None:
        return None
    if not isinstance(meta, dict):
        raise TypeError(_not_a_dict(meta))
    if not meta:
        return None
    if ORIGIN_KEY in meta:
        raise ValueError(f"meta[{ORIGIN_KEY!r}] is reserved for a source's bookkeeping; use another key")
    if type(meta) is Metadata:
        meta = to_object(meta)
    try:
        data = _encoder.encode(meta).encode()
    except (TypeError, ValueError, RecursionError) as error:
        _explain(meta, error)
    if not _keys_are_str(meta):
        _explain(meta, None)
    if len(data) > MAX_META_BYTES:
        raise ValueError(
            f"meta takes {len(data)} bytes as JSON, the limit is {MAX_META_BYTES}; send large data as a named array "
            "instead"
        )
    return data


def decode(data: bytes) -> dict[str, Any]:
    """Returns the metadata that `data` stands for; no bytes are an empty dict.

    Raises ValueError if it is none, or has something that encode() refuses.
    """
    if not data:
        return {}
    try:
        meta = _decoder.decode(data.decode())
        if b"\\u" in data:  # only so can half a character be written in UTF-8
            _encoder.encode(meta).encode()
    except RecursionError:
        raise ValueError("metadata is nested too deeply") from None
    if not isinstance(meta, dict):
        raise ValueError(f"metadata is a JSON {type(meta).__name__}, expected an object")
    return from_object(meta) if ORIGIN_KEY in meta else meta


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"metadata contains {text}, which JSON does not have")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"metadata contains {text:.32}, which is too large for a float")
    return number


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _keys_are_str(value: object) -> bool:
    if isinstance(value, dict):
        if not _ONLY_STR.issuperset(map(type, value)) and not all(isinstance(key, str) for key in value):
            return False
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return True
    return _LEAVES.issuperset(map(type, value)) or all(map(_keys_are_str, value))


def _explain(meta: dict[Any, Any], error: Exception | None) -> NoReturn:
    """Raises the error for the first fault in `meta`; `error` is what the encoder said."""
    try:
        for fault in _faults(meta, "meta", {}):
            raise fault from None
    except RecursionError:
        error = None
    if error is None or isinstance(error, RecursionError):
        raise ValueError("meta is nested too deeply for JSON") from None
    raise error


def _faults(value: object, path: str, outside: dict[int, str]) -> Iterator[TypeError | ValueError]:
    """Yields what is wrong in `value`, which is at `path`; `outside` has the containers around it and their paths."""
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        yield from _faults_of_text(value, path)
    elif isinstance(value, int):
        yield from _faults_of_int(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield ValueError(f"{path} is {value}, which JSON does not have; pass None or leave it out")
    elif isinstance(value, (dict, list, tuple)):
        if id(value) in outside:
            yield ValueError(f"{path} is {outside[id(value)]} again; metadata must not contain itself")
            return
        outside = {**outside, id(value): path}
        if isinstance(value, dict):
            for key in value:
                yield from _faults_of_key(key, path)
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _faults(item, f"{path}[{key!r}]", outside)
    else:
        yield TypeError(
            f"{path} must be None, bool, int, float, str, list, tuple or dict, not {_type_name(value)}"
            f"; {_instead(value, path)}"
        )


def _faults_of_key(key: object, path: str) -> Iterator[TypeError | ValueError]:
    if isinstance(key, str):
        yield from _faults_of_text(key, f"a key of {path}")
    else:
        yield TypeError(f"{path} has the key {key!r} of type {_type_name(key)}; keys must be str, pass {str(key)!r}")


def _faults_of_text(text: str, path: str) -> Iterator[ValueError]:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        yield ValueError(
            f"{path} has a lone surrogate ({text[error.start]!r} at index {error.start}), which UTF-8 cannot carry"
            "; decode the text with errors='replace'"
        )


def _faults_of_int(number: int, path: str) -> Iterator[ValueError]:
    try:
        int.__repr__(number)
    except ValueError:  # Python's limit on the digits of an int
        yield ValueError(f"{path} is an int of {number.bit_length()} bits, too long to be written; pass hex() of it")


def _not_a_dict(meta: object) -> str:
    hint = "; pass dict(meta)" if isinstance(meta, Mapping) else " such as {'exposure_us': 900}"
    return f"meta must be a dict with str keys, not {_type_name(meta)}{hint}"


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _instead(value: object, path: str) -> str:
    """Returns what to pass in place of `value`; goes by what it can do, so that other array libraries are met too."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "send it as a named array, or pass base64.b64encode() of it as str"
    if hasattr(value, "dtype") and hasattr(value, "item"):
        if getattr(value, "shape", None) != ():
            return "send it as a named array beside the image, or pass .tolist() of it"
        return f"pass {path}.item()" if value.dtype.kind in "biuf" else "pass str() of it"
    if isinstance(value, (set, frozenset)):
        return "pass sorted() of it"
    if isinstance(value, Mapping):
        return "pass dict() of it"
    if isinstance(value, complex):
        return "pass [z.real, z.imag]"
    if hasattr(value, "isoformat"):
        return "pass .isoformat() of it"
    if hasattr(value, "__dataclass_fields__"):
        return "pass dataclasses.asdict() of it"
    if hasattr(value, "__fspath__"):
        return "pass str() of it"
    if hasattr(value, "__iter__"):
        return "pass list() of it"
    return "pass one of these that says the same"
