# SPDX-License-Identifier: Apache-2.0
"""YCbCr and RGB by ITU-R BT.601, 8 bits, in numpy.

Chroma that is smaller than luma is enlarged by repeating samples, whatever its siting; results are rounded and clipped.
Limited range has Y in 16 to 235 and Cb, Cr in 16 to 240, full range all three in 0 to 255.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_KR, _KG, _KB = 0.299, 0.587, 0.114

# Rows Y, Cb, Cr by columns R, G, B, of full range.
_TO_YCBCR = np.array(
    [
        [_KR, _KG, _KB],
        [-_KR / (2 * (1 - _KB)), -_KG / (2 * (1 - _KB)), 0.5],
        [0.5, -_KG / (2 * (1 - _KR)), -_KB / (2 * (1 - _KR))],
    ]
)
_FROM_YCBCR = np.linalg.inv(_TO_YCBCR)
_LIMITED = np.array([219 / 255, 224 / 255, 224 / 255])


def to_rgb(planes: tuple[NDArray[Any], NDArray[Any], NDArray[Any]], full_range: bool) -> NDArray[np.uint8]:
    """Returns an RGB image of height x width x 3 from planes Y, Cb, Cr."""
    luma = planes[0]
    whole = np.stack([luma, *(_enlarge(plane, luma.shape) for plane in planes[1:])], axis=-1).astype(np.float32)
    whole -= np.array([0 if full_range else 16, 128, 128], np.float32)
    matrix = _FROM_YCBCR if full_range else _FROM_YCBCR / _LIMITED
    return _to_bytes(whole @ matrix.T.astype(np.float32))


def from_rgb(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Returns planes Y, Cb, Cr of limited range, 3 x height x width, from an RGB image."""
    matrix = _TO_YCBCR * _LIMITED[:, None]
    found = image.astype(np.float32) @ matrix.T.astype(np.float32) + np.array([16, 128, 128], np.float32)
    return np.ascontiguousarray(_to_bytes(found).transpose(2, 0, 1))


def _enlarge(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    for axis in (0, 1):
        plane = np.repeat(plane, -(-shape[axis] // plane.shape[axis]), axis)
    return plane[: shape[0], : shape[1]]


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    rounded: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
