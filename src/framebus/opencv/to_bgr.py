# SPDX-License-Identifier: Apache-2.0
"""Frames as OpenCV's users expect images: BGR, uint8, height x width x 3.

Mono8, RGB8, BGR8, RGBa8 and BGRa8 (alpha is dropped) need numpy alone; Bayer patterns of 8 bits, YUV 4:2:2 and 4:2:0
(I420, YV12, NV12, NV21) need OpenCV, and become what it makes of them. Without a pixel format, a uint8 array with 1, 3
or 4 samples for each pixel is taken for Mono8, BGR8 or BGRa8. Nothing else is guessed: an array of another
format, or without the shape of its format, is not such an image.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus.errors import NotInstalled
from framebus.frames.pixel_format import FORMATS, guess

# Where blue, green and red are in a pixel.
_BGR_AT: Final = {"Mono8": (0, 0, 0), "BGR8": (0, 1, 2), "RGB8": (2, 1, 0), "BGRa8": (0, 1, 2), "RGBa8": (2, 1, 0)}

# What cv2.cvtColor calls the way to BGR. Both name a Bayer pattern by its first two rows, PFNC by two letters of them.
_CV2_CODES: Final = {
    "BayerRG8": "COLOR_BayerRGGB2BGR", "BayerGR8": "COLOR_BayerGRBG2BGR",
    "BayerGB8": "COLOR_BayerGBRG2BGR", "BayerBG8": "COLOR_BayerBGGR2BGR",
    **dict.fromkeys(("YUV422_8", "YCbCr422_8", "YCbCr601_422_8"), "COLOR_YUV2BGR_YUY2"),
    **dict.fromkeys(("YUV422_8_UYVY", "YCbCr422_8_CbYCrY", "YCbCr601_422_8_CbYCrY"), "COLOR_YUV2BGR_UYVY"),
    "YCbCr420_8_YY_CbCr_Semiplanar": "COLOR_YUV2BGR_NV12",
    "YCbCr420_8_YY_CrCb_Semiplanar": "COLOR_YUV2BGR_NV21",
    "YCbCr420_8_YY_CbCr_Planar": "COLOR_YUV2BGR_I420",
    "YCbCr420_8_YY_CrCb_Planar": "COLOR_YUV2BGR_YV12",
}  # fmt: skip
_YCBCR420: Final = "YCbCr420_8_YY_"


class Picture(NamedTuple):
    """What is known about an array without looking at its pixels."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pixel_format: str | None

    @property
    def form(self) -> str | None:
        """The PFNC name that convert() takes for it; None where it can't be made BGR."""
        if self.dtype != np.uint8 or len(self.shape) not in (2, 3) or 0 in self.shape:
            return None
        samples = self.shape[2] if len(self.shape) == 3 else 1
        name = self.pixel_format or guess(self.shape, self.dtype)
        if name is None or (name not in _BGR_AT and name not in _CV2_CODES):
            return None
        if name.startswith(_YCBCR420):  # rows of luminance, and half as many of both colours below them
            return name if len(self.shape) == 2 and self.shape[0] % 3 == self.shape[1] % 2 == 0 else None
        if FORMATS[name].channels != samples or (samples == 2 and self.shape[1] % 2):  # two pixels share their colour
            return None
        return name

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the image, 0 and 0 for an array that can't be one."""
        if len(self.shape) < 2:
            return 0, 0
        if (self.pixel_format or "").endswith("_Planar") and len(self.shape) == 3:
            return self.shape[1], self.shape[2]
        rows, columns = self.shape[:2]
        return rows * 2 // 3 if (self.form or "").startswith(_YCBCR420) else rows, columns


def convert(array: NDArray[Any], form: str, image: NDArray[Any]) -> None:
    """Fills `image` from an array of the pixel format `form`. Raises NotInstalled where that takes a missing OpenCV."""
    if form == "BGR8":
        np.copyto(image, array)
    elif form in _BGR_AT:
        pixels = array if array.ndim == 3 else array[..., np.newaxis]
        for channel, at in enumerate(_BGR_AT[form]):  # three times faster than copying pixel by pixel
            image[..., channel] = pixels[..., at]
    else:
        image[...] = _by_opencv(array, form)


def _by_opencv(array: NDArray[Any], form: str) -> NDArray[Any]:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f'making BGR of {form} takes OpenCV ({error}); install it: pip install "framebus[opencv]", or get the '
            "frames as they were sent: set(CAP_PROP_CONVERT_RGB, 0)"
        ) from error
    code: int = getattr(cv2, _CV2_CODES[form])
    return cv2.cvtColor(array, code)
