# SPDX-License-Identifier: Apache-2.0
"""Images of YCbCr 4:2:0, 8 bits, in one array, and their planes; nothing is computed, samples are only moved.

The array has the rows of Y first, then half as many rows with the bytes of the colours: of all Cb and then all Cr
(I420), the other way round (YV12), or of both in turn (NV12, NV21). So an image has an even width and height.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Whether Cr comes before Cb, and whether both are in turn.
_ORDER: Final = {
    "YCbCr420_8_YY_CbCr_Planar": (False, False),
    "YCbCr420_8_YY_CrCb_Planar": (True, False),
    "YCbCr420_8_YY_CbCr_Semiplanar": (False, True),
    "YCbCr420_8_YY_CrCb_Semiplanar": (True, True),
}
FORMS: Final = tuple(_ORDER)


def is_image(array: NDArray[Any], form: str | None) -> bool:
    """Whether this is an image of one of FORMS."""
    return form in _ORDER and array.ndim == 2 and array.shape[0] % 3 == array.shape[1] % 2 == 0


def split(image: NDArray[Any], form: str) -> list[NDArray[Any]]:
    """Returns the planes Y, Cb and Cr of an image, height x width, and twice half of that."""
    is_cr_first, in_turn = _ORDER[form]
    height, width = image.shape[0] * 2 // 3, image.shape[1]
    colours = np.ascontiguousarray(image[height:]).reshape(-1)
    shape = (height // 2, width // 2)
    half = colours.size // 2
    pair = (colours[0::2], colours[1::2]) if in_turn else (colours[:half], colours[half:])
    first, second = (plane.reshape(shape) for plane in pair)
    return [image[:height], second, first] if is_cr_first else [image[:height], first, second]


def join(planes: list[NDArray[Any]], form: str) -> NDArray[Any]:
    """Returns the image that has these planes Y, Cb and Cr, of an even width and height."""
    is_cr_first, in_turn = _ORDER[form]
    height, width = planes[0].shape
    image = np.empty((height + height // 2, width), planes[0].dtype)
    image[:height] = planes[0]
    colours = image[height:].reshape(-1)
    half = colours.size // 2
    pair = (colours[0::2], colours[1::2]) if in_turn else (colours[:half], colours[half:])
    for target, plane in zip(pair, reversed(planes[1:]) if is_cr_first else planes[1:], strict=True):
        target[...] = plane.reshape(-1)
    return image
