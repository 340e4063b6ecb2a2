# SPDX-License-Identifier: Apache-2.0
"""Pixel formats by their PFNC names and by FFmpeg's, and what a video file keeps of a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from framebus.endpoint import OutgoingFrame, spec
from framebus.endpoint.spec import ONE_IMAGE
from framebus.errors import EndpointError
from framebus.frames.pixel_format import FORMATS, guess

CAPABILITIES: Final = replace(
    ONE_IMAGE,
    dtypes="uint8 or uint16, with 1, 3 or 4 channels",
    accepts=spec.images(uint8=[(), (3,), (4,)], uint16=[(), (3,), (4,)]),
    receivers="many",
    notices_death=False,
    stored=True,
    uniform=True,
)

# What framebus and FFmpeg mean the same by, sample for sample, on a little-endian machine.
TO_AV: Final = {
    "Mono8": "gray", "Mono10": "gray10le", "Mono12": "gray12le", "Mono14": "gray14le", "Mono16": "gray16le",
    "BGR8": "bgr24", "RGB8": "rgb24", "BGRa8": "bgra", "RGBa8": "rgba",
    "BGR16": "bgr48le", "RGB16": "rgb48le", "BGRa16": "bgra64le", "RGBa16": "rgba64le",
}  # fmt: skip

# What an encoder may be given for a format so that nothing is lost before it encodes, the best first.
KEEPS: Final = {
    "Mono8": ("gray",), "Mono10": ("gray10le",), "Mono12": ("gray12le",), "Mono14": ("gray14le",),
    "Mono16": ("gray16le",),
    **dict.fromkeys(("BGR8", "RGB8"), ("bgr0", "gbrp", "rgb24", "bgr24")),
    **dict.fromkeys(("BGRa8", "RGBa8"), ("bgra", "gbrap", "rgba")),
    **dict.fromkeys(("BGR16", "RGB16"), ("rgb48le", "gbrp16le")),
    **dict.fromkeys(("BGRa16", "RGBa16"), ("rgba64le", "gbrap16le")),
}  # fmt: skip


def form_of(frame: OutgoingFrame, where: str) -> str:
    """Returns the PFNC name of what is in a frame. Raises EndpointError for what has no place in a video."""
    array = frame.array
    channels = array.shape[2] if array.ndim == 3 else 1
    form = frame.pixel_format or guess(array.shape, array.dtype)
    named = FORMATS[form] if form in TO_AV else None
    fits = named is not None and (str(array.dtype), channels) == (named.dtype, named.channels)
    if form is None or not fits or array.ndim not in (2, 3) or 0 in array.shape:
        raise EndpointError(
            f"{where} takes uint8 or uint16 images of these pixel formats: {', '.join(TO_AV)}; frame {frame.seq} is "
            f"{'x'.join(map(str, array.shape)) or 'a scalar'} {array.dtype} {frame.pixel_format or ''}".rstrip()
        )
    return form


def form_for(av_name: str, bits: int, is_gray: bool, has_alpha: bool) -> str:
    """Returns the form that loses least of what is stored as `av_name`, with 8 bits for colours of up to 8."""
    for form, name in TO_AV.items():
        if name == av_name:
            return form
    if is_gray and not has_alpha:
        return "Mono16" if bits > 8 else "Mono8"
    if av_name.startswith(("gbr", "rgb", "bgr")) and bits > 8:
        return "BGRa16" if has_alpha else "BGR16"
    return "BGRa8" if has_alpha else "BGR8"
