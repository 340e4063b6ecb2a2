# SPDX-License-Identifier: Apache-2.0
"""Makes arrays of what people want to send: arrays, buffers, Pillow images, DLPack objects, dicts of these.

An exact ndarray is taken as it is; everything else becomes one without a copy where that is possible. What is no
array of numbers is refused with a TypeError that says what to send instead. Of all these only a Pillow image says what
its numbers mean, so its pixel format comes along.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus.frames import pillow, pixel_format as formats


def to_array(value: object, name: str = "image") -> NDArray[Any]:
    """Returns `value` as an ndarray of any shape and dtype; the native module checks both.

    Raises TypeError for what is neither an array, a buffer nor a DLPack object.
    """
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"array '{name}' is a masked array, and its mask would be lost; send both: "
            f"{{'{name}': array.data, 'mask': array.mask}}"
        )
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    if pillow.is_image(value):
        return pillow.to_array(value, name)
    if isinstance(value, bytes | bytearray):
        return np.frombuffer(value, dtype=np.uint8)
    if isinstance(value, memoryview | array.array) or hasattr(value, "__array_interface__"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, name)
    if hasattr(value, "__array__"):
        return np.asarray(value)
    return _from_buffer(value, name)


def as_arrays(value: object) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """Returns one array, or a dict of arrays by name for a mapping."""
    if isinstance(value, Mapping):
        frame: dict[str, NDArray[Any]] = {}
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"array names are str, got {name!r} ({type(name).__name__})")
            frame[name] = to_array(item, name)
        return frame
    return to_array(value)


def as_arrays_and_format(value: object, given: str | None) -> tuple[NDArray[Any] | dict[str, NDArray[Any]], str | None]:
    """Returns what as_arrays() does, and the pixel format of the first array: `given`, or that of a Pillow image.

    Raises ValueError for a name that is not known, or contradicts the image.
    """
    frame = as_arrays(value)
    first = next(iter(value.values()), None) if isinstance(value, Mapping) else value
    if pillow.is_image(first):
        return frame, pillow.checked_form(first, given)
    return frame, formats.check(given) if given is not None else None


def _from_dlpack(value: Any, name: str) -> NDArray[Any]:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(
            f"array '{name}' ({type(value).__name__}) could not be read through DLPack: {error}; "
            "move it to the CPU first (for PyTorch: tensor.detach().cpu())"
        ) from error


def _from_buffer(value: object, name: str) -> NDArray[Any]:
    try:
        view = memoryview(value)  # type: ignore[arg-type]  # whether it has a buffer is what we want to know
    except TypeError:
        raise TypeError(
            f"array '{name}' is {type(value).__name__}; expected a numpy array, a buffer (bytes, memoryview), a Pillow "
            "image, a DLPack object or a dict of these; for numbers in a list use numpy.asarray(values)"
        ) from None
    return np.asarray(view)
