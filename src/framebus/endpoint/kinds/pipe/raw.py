# SPDX-License-Identifier: Apache-2.0
"""mode=byte, format=raw: pixels and nothing else, one image after the other, as `ffmpeg -f rawvideo` has them.

Nothing in the stream says how large an image is or what its pixels are, so both programs must know. Samples of more
than one byte are little-endian. An image whose samples share bytes, or whose pixels share samples, is an array of the
bytes of its rows; one of 4:2:0 (I420, YV12, NV12, NV21) has its rows of Y first, then half as many with the bytes of
its colours, as OpenCV has it. For that its width and height must be even; format=y4m has planes of any size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint import OutgoingFrame
from framebus.endpoint.kinds.pipe.source_sink import Pipe, PipeSink, PipeSource, aligned
from framebus.endpoint.spec import ONE_IMAGE
from framebus.errors import EndpointError
from framebus.frames import pixel_format as formats
from framebus.frames.frame import Frame


class Layout(NamedTuple):
    """What every image of a raw stream is."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pixel_format: str | None

    @property
    def nbytes(self) -> int:
        """Bytes of one image."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} {self.dtype.name}{f' {self.pixel_format}' * bool(self.pixel_format)}"


def layout_of(width: int, height: int, pixel_format: str) -> Layout:
    """Returns what an image of this size and PFNC pixel format is.

    Raises ValueError for an unknown format, and a size that is none or that the format can't have.
    """
    known = formats.FORMATS[formats.check(pixel_format)]
    if width < 1 or height < 1:
        raise ValueError(f"width and height must be 1 or more, got {width}x{height}")
    dtype = np.dtype(known.dtype or "u1").newbyteorder("<")
    if known.dtype is not None:
        samples = () if known.channels == 1 else (known.channels,)
        planar = known.name.endswith("_Planar")
        return Layout((*samples, height, width) if planar else (height, width, *samples), dtype, pixel_format)
    if known.name.endswith(("_Planar", "_Semiplanar")):
        rows = height * known.bits_per_pixel / 8
        if width % 2 or rows % 1:
            raise ValueError(
                f"{pixel_format} needs an even width and height, got {width}x{height}; crop the images to that, or "
                "have them sent as YUV4MPEG2 (ffmpeg -f yuv4mpegpipe) and pass format=y4m"
            )
        return Layout((int(rows), width), dtype, pixel_format)
    if width * known.bits_per_pixel % 8:
        raise ValueError(f"a row of {width} pixels of {pixel_format} is not a whole number of bytes")
    return Layout((height, width * known.bits_per_pixel // 8), dtype, pixel_format)


class RawSource(PipeSource):
    """Images of one size and pixel format out of a pipe."""

    def __init__(self, pipe: Pipe, layout: Layout) -> None:
        self._layout = layout
        super().__init__(pipe)

    def _steps(self) -> Iterator[memoryview | Frame]:
        seq = 0
        while True:
            self.at_boundary = True
            body = aligned(self._layout.nbytes)
            yield body.data
            seq += 1
            image: NDArray[Any] = body.view(self._layout.dtype).reshape(self._layout.shape)
            yield Frame(
                {"image": image},
                seq=seq,
                timestamp_ns=time.monotonic_ns(),
                wall_time_ns=time.time_ns(),
                pixel_format=self._layout.pixel_format,
            )


class RawSink(PipeSink):
    """Images into a pipe; the first one decides their size and type, unless they were given."""

    capabilities = replace(ONE_IMAGE, notices_death=False)

    def __init__(self, pipe: Pipe, layout: Layout | None, pixel_format: str | None, lossy: bool) -> None:
        super().__init__(pipe)
        self._layout = layout
        self._pixel_format = pixel_format
        self.lossy = lossy

    def _pieces(self, frame: OutgoingFrame) -> list[memoryview]:
        array = np.ascontiguousarray(frame.array).reshape(frame.array.shape)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        found = Layout(array.shape, array.dtype, frame.pixel_format or self._pixel_format)
        expected = self._layout = self._layout or found
        if found[:2] != expected[:2] or (found[2] or expected[2]) != (expected[2] or found[2]):
            raise EndpointError(
                f"{self.url!r} carries raw images of {expected}, got one of {found}; all must be alike, since the "
                "reader could not tell them apart"
            )
        return [array.reshape(-1).view(np.uint8).data]
