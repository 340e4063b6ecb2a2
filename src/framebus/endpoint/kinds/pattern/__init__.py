# SPDX-License-Identifier: Apache-2.0
"""pattern:KIND: test pictures that numpy computes, of any size and dtype, at any rate.

    bars       colour bars that do not move
    gradient   soft colours that drift to the left
    ball       the same with a ball that bounces to and fro
    checker    squares that drift by a pixel a frame
    noise      every sample by chance, the same for the same seed

Every picture shows its number, as digits and as a barcode, and the time of day (UTC) at which it was due. read_number()
reads the barcode, also after a lossy codec or a change of size, so that a receiver knows which picture it sees. The
number is the sequence number. A picture that is too small shows none of them: the barcode needs 48 columns. With
`label=false` the picture of a number is the same on every machine.

A frame has no metadata, so every sink takes it. It falls due every 1/fps seconds; with `fps=0` it is made when it is
asked for, and its timestamps are that moment.
"""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Annotated

import numpy as np

from framebus.endpoint import Capabilities, Endpoint
from framebus.endpoint.kinds.pattern.barcode import read_number as read_number
from framebus.endpoint.kinds.pattern.painter import KINDS, Painter
from framebus.endpoint.kinds.pattern.samples import Samples
from framebus.endpoint.paced_source import PacedSource
from framebus.errors import ChannelClosed, InvalidUrl
from framebus.frames.frame import Frame


class PatternSource(PacedSource):
    """A source without a sender: a picture for every number from 1."""

    def __init__(self, kind: str, painter: Painter, fps: float, count: int | None, label: bool) -> None:
        """`count` pictures, None for no end, at `fps` a second, 0 for as fast as they are asked for."""
        super().__init__(f"pattern:{kind}", waits=fps > 0)
        self._painter, self._fps, self._count_all, self._label = painter, fps, count, label

    def _make(self) -> Frame:
        number = self._last_seq + 1
        if self._count_all is not None and number > self._count_all:
            raise ChannelClosed(f"{self.url!r} has ended after {self._count_all} frames, its count")
        moment = self._moment((number - 1) / self._fps if self._fps else None)
        painter = self._painter
        image = np.empty(painter.shape, painter.samples.dtype)
        painter.paint(number, image, f"{number:06d} {_time_of_day(moment[1])}" if self._label else "")
        return self._frame({"image": image}, moment, pixel_format=painter.samples.pixel_format)


def _time_of_day(wall_time_ns: int) -> str:
    seconds, rest_ns = divmod(wall_time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%H:%M:%S}.{rest_ns // 10**6:03d}"


def open_source(
    kind: str,
    *,
    width: Annotated[int, "columns"] = 640,
    height: Annotated[int, "rows"] = 480,
    pixel_format: Annotated[str | None, "PFNC name such as Mono12; says dtype and channels too"] = None,
    dtype: Annotated[str | None, "numpy's name of the type of a sample; uint8 unless said otherwise"] = None,
    channels: Annotated[int | None, "1, 3 or 4 samples for each pixel; 3 unless said otherwise"] = None,
    fps: Annotated[float, "frames per second, 0 for as fast as they are asked for"] = 30.0,
    count: Annotated[int | None, "end after that many frames"] = None,
    seed: Annotated[int, "of the noise"] = 0,
    label: Annotated[bool, "write number and time of day into the picture"] = True,
) -> PatternSource:
    """Begins with picture 1 when it is first asked for one."""
    if kind not in KINDS:
        raise InvalidUrl(f"pattern:{kind}: no such pattern; there are {', '.join(KINDS)}")
    if not (math.isfinite(fps) and fps >= 0):
        raise InvalidUrl(f"pattern:{kind}: fps must be 0 or more, got {fps!r}")
    for name, value, least in (("width", width, 1), ("height", height, 1), ("count", count, 0), ("seed", seed, 0)):
        if value is not None and value < least:
            raise InvalidUrl(f"pattern:{kind}: {name} must be {least} or more, got {value}")
    try:
        samples = Samples.of(pixel_format, dtype, channels)
    except (TypeError, ValueError) as error:
        raise InvalidUrl(f"pattern:{kind}: {error}") from None
    return PatternSource(kind, Painter(kind, height, width, samples, seed), fps, count, label)


ENDPOINTS = {
    "pattern": Endpoint(
        "pattern",
        "test pictures with their number in them, of any size and dtype",
        f"pattern:{'|'.join(KINDS)}",
        open_source,
        capabilities=Capabilities(
            arrays="one", meta=False, pixel_format="some", receivers="one", notices_death=False, uniform=True
        ),
    ),
}
