# SPDX-License-Identifier: Apache-2.0
"""Page, which all readers of images: return: the exact numbers of one picture, their pixel format, and its origin.

Names follow from what a file says about its samples:

    one channel      Mono8, Mono10, Mono12, Mono14, Mono16: the smallest that holds the file's bits; wider, signed and
                     floating ones Data32, Data16s, Data32f ...; none where PFNC has no name, as for float16 and complex
    red, green, blue RGB8 to RGB16, and RGBa8 to RGBa16 with alpha, of whole numbers of up to 16 bits
    grey and alpha   RGBa8 to RGBa16, with grey in all three
    anything else    no name

A sample is never scaled to fill its depth: where the largest number is not the top of the named depth the origin has
"maxval". Only black and white, which has no numbers, becomes 0 and 255.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus.frames.pixel_format import guess

DEPTHS: Final = (8, 10, 12, 14, 16)


class Page(NamedTuple):
    """One picture of a file.

    Attributes:
        array: rows, columns, and channels where there are several; this machine's byte order.
        form: PFNC name, None where none fits.
        origin: what the file says about it, as JSON values.
    """

    array: NDArray[Any]
    form: str | None
    origin: dict[str, Any]

    def at(self, number: int | None) -> Page:
        """The same, which says that it is the page `number` of several; None for the only one."""
        return self if number is None else self._replace(origin={**self.origin, "page": number})


def of_samples(array: NDArray[Any], maxval: int | None, *, colour: bool, alpha: bool) -> Page:
    """Returns the page of an array of shape (height, width, channels).

    Args:
        array: the stored numbers.
        maxval: the largest number there can be, None for that of the dtype.
        colour: the first three channels are red, green and blue.
        alpha: the channel after grey, or after blue, says how opaque a pixel is.
    """
    channels = array.shape[2]
    depth = _depth(array.dtype, maxval)
    origin: dict[str, Any] = {}
    if depth is not None and maxval is not None and maxval != (1 << depth) - 1:
        origin["maxval"] = maxval
    if depth is not None and alpha and channels == 2 and not colour:
        array, colour, channels = array[..., [0, 0, 0, 1]], True, 4
    form: str | None = None
    if channels == 1:
        array = array[..., 0]
        whole = depth is not None and (maxval is not None or array.dtype.kind == "u")
        form = f"Mono{depth}" if whole else guess(array.shape, array.dtype)
    elif depth is not None and colour and channels in (3, 4):
        form = f"{'RGB' if channels == 3 else 'RGBa'}{depth}"
        if channels == 4 and not alpha:
            origin["extra_sample"] = "unspecified"
    return Page(np.ascontiguousarray(array), form, origin)


def _depth(dtype: np.dtype[Any], maxval: int | None) -> int | None:
    """The smallest depth that PFNC names for whole numbers up to `maxval`, None where they are signed or too large."""
    if dtype.kind != "u" or dtype.itemsize > 2:
        return None
    top = int(np.iinfo(dtype).max) if maxval is None else maxval
    return next(depth for depth in DEPTHS if top < 1 << depth and depth <= 8 * dtype.itemsize)


def check_size(width: int, height: int, samples: int = 1) -> None:
    """Raises Pillow's DecompressionBombError for more pixels than it takes for harmless, before they are decoded.

    More than four samples for each pixel count as further pixels.
    """
    from PIL import Image

    most = Image.MAX_IMAGE_PIXELS
    if most is not None and width * height * max(4, samples) > 4 * most:
        raise Image.DecompressionBombError(f"{width}x{height} pixels, {most} are allowed")
