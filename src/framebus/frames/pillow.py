# SPDX-License-Identifier: Apache-2.0
"""Pillow images as arrays: the mode of an image decides its numbers and its pixel format.

    1                       an array of bool without a pixel format, as numpy has it
    L, RGB, RGBA, YCbCr     Mono8, RGB8, RGBa8, YCbCr8, as they are
    RGBX                    RGB8, without the padding
    LA, PA                  RGBa8: grey or palette colour in red, green and blue, and the alpha channel
    P                       the palette's colours: RGB8, or RGBa8 where the palette or one colour is transparent
    I;16, I;16L, B and N    Mono16, in this machine's byte order
    I, F                    Data32s, Data32f

All other modes are refused: CMYK, LAB and HSV have no pixel format, and the colours of RGBa and La are multiplied by
their alpha, which can't be undone exactly. Pillow is never imported here: an image exists only where its module does.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from framebus.frames import pixel_format as formats

if TYPE_CHECKING:
    from typing import TypeGuard

    from PIL.Image import Image

_FORMS: Final = {
    "1": None, "L": "Mono8", "LA": "RGBa8", "PA": "RGBa8", "RGB": "RGB8", "RGBX": "RGB8", "RGBA": "RGBa8",
    "YCbCr": "YCbCr8", "I": "Data32s", "F": "Data32f",
    "I;16": "Mono16", "I;16L": "Mono16", "I;16B": "Mono16", "I;16N": "Mono16",
}  # fmt: skip

# What such a mode is converted to before its numbers are taken; nothing is lost in any of these.
_CONVERTED: Final = {"LA": "RGBA", "PA": "RGBA", "RGBX": "RGB"}


def is_image(value: object) -> TypeGuard[Image]:
    """Whether `value` is a Pillow image."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def form_of(image: Image) -> str | None:
    """Returns the PFNC name of what to_array() makes of an image, None where there is none or it refuses the mode."""
    if image.mode == "P":
        has_alpha = "transparency" in image.info or (image.palette is not None and image.palette.mode == "RGBA")
        return "RGBa8" if has_alpha else "RGB8"
    return _FORMS.get(image.mode)


def to_array(image: Image, name: str) -> NDArray[Any]:
    """Returns the numbers of an image: rows, columns, and channels where there are several.

    Raises TypeError, which says what to convert it to, for a mode that can't be converted exactly.
    """
    form = form_of(image)
    if image.mode != "P" and image.mode not in _FORMS:
        raise TypeError(
            f"array '{name}' is a Pillow image of mode {image.mode}, which no pixel format describes exactly; expected "
            f"one of {', '.join(('P', *_FORMS))}: send image.convert('RGB') or image.convert('RGBA'), or "
            "numpy.asarray(image) for its numbers without a meaning"
        )
    if image.mode == "P":
        image = image.convert("RGBA" if form == "RGBa8" else "RGB")
    elif image.mode in _CONVERTED:
        image = image.convert(_CONVERTED[image.mode])
    array = np.asarray(image)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def checked_form(image: Image, given: str | None) -> str | None:
    """Returns the pixel format to send an image with, `given` being what the caller says it is.

    A caller knows more of one channel than the mode says, such as BayerRG8 or Mono12. Raises ValueError for a name that
    contradicts the mode, which would swap or invent colours.
    """
    form = form_of(image)
    if given is None or given == form:
        return form
    said = formats.FORMATS[formats.check(given)]
    if form is None:
        return given
    own = formats.FORMATS[form]
    if own.channels == 1 and (own.dtype, own.channels) == (said.dtype, said.channels):
        return given
    raise ValueError(
        f"pixel_format {given!r} contradicts a Pillow image of mode {image.mode}, which is {form}; leave pixel_format "
        "out, or send an array"
    )
