# SPDX-License-Identifier: Apache-2.0
"""What the tests of images: share: numbers by chance, and the look at what was made of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import framebus

RANDOM = np.random.default_rng(12)
DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16")
FORMS = {
    "u1": "Mono8", "u2": "Mono16", "u4": "Data32", "u8": "Data64", "i1": "Data8s", "i2": "Data16s", "i4": "Data32s",
    "i8": "Data64s", "f4": "Data32f", "f8": "Data64f",
}  # fmt: skip


def noise(dtype: Any, shape: tuple[int, ...] = (21, 34), top: int | None = None) -> NDArray[Any]:
    kind = np.dtype(dtype)
    if kind.kind in "fc":
        made = RANDOM.normal(size=shape) * 1000
        return (made + 1j * RANDOM.normal(size=shape) if kind.kind == "c" else made).astype(kind)
    limits = np.iinfo(kind)
    plain = RANDOM.integers(
        limits.min, limits.max if top is None else top, shape, kind.newbyteorder("="), endpoint=True
    )
    if plain.size > 1:
        plain.reshape(-1)[:2] = limits.min, limits.max if top is None else top
    return plain.astype(kind)


def read(path: Path) -> list[framebus.Frame]:
    with framebus.source(f"images:{path}") as source:
        return list(source)


def check(path: Path, expected: NDArray[Any], form: str | None) -> framebus.Frame:
    (frame,) = read(path)
    check_frame(frame, expected, form)
    return frame


def check_frame(frame: framebus.Frame, expected: NDArray[Any], form: str | None) -> None:
    assert (frame.array.dtype, frame.array.shape) == (expected.dtype.newbyteorder("="), expected.shape)
    assert frame.array.tobytes() == np.ascontiguousarray(expected.astype(frame.array.dtype)).tobytes()
    assert frame.pixel_format == form
    assert frame.array.flags.c_contiguous


def refusal(path: Path) -> str:
    with framebus.source(f"images:{path}") as source:
        with pytest.raises(framebus.EndpointError) as caught:
            source.recv()
    return str(caught.value)
