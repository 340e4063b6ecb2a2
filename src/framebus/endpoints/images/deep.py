# SPDX-License-Identifier: Apache-2.0
"""Colour images with 16 bits a sample, read and written by PyAV. Pillow has no room for them: it drops the low bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

# What FFmpeg calls the samples of a PNG and of a TIFF, by channels.
_STORED = {"png": {3: "rgb48be", 4: "rgba64be"}, "tiff": {3: "rgb48le", 4: "rgba64le"}}


def is_deep(rawmode: str) -> bool:
    """Says whether a file that Pillow would read by this raw mode has colours with 16 bits."""
    return ";16" in rawmode and not rawmode.startswith("I")


def read(path: str, channels: int) -> NDArray[Any]:
    """Returns rows, columns, and red, green, blue and, with 4 channels, alpha, as uint16."""
    import av

    with av.open(f"file:{path}") as container:
        frame = next(container.decode(video=0))
        return frame.to_ndarray(format=_STORED["tiff"][channels])


def encode(array: NDArray[Any], codec: str) -> bytes:
    """Returns a "png" or "tiff" file of such an array."""
    import av

    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=_STORED["tiff"][array.shape[2]])
    context = cast("av.VideoCodecContext", av.CodecContext.create(codec, "w"))
    context.height, context.width = array.shape[:2]
    context.pix_fmt = _STORED[codec][array.shape[2]]
    frame.pts = 0
    packets = [*context.encode(frame), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
