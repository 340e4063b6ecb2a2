# SPDX-License-Identifier: Apache-2.0
"""The source of video:FILE.

Frames have the pixel format that loses least, unless another is asked for: Mono8 or Mono16 for grey video, BGRa8 for
one with transparency, BGR16 where red, green and blue are stored with more than 8 bits, else BGR8. Their metadata are
the source's own (Frame.origin):

    file        the path
    index       number of the picture in this round, from 0 at `start`
    round       how often the file had been played before
    pts         seconds by the file's own clock, or null
    time_base   what that clock counts, such as "1/12800"
    rotation    degrees counterclockwise by which the file wants it turned, only where it does and that is not done:
                with rotate=keep, and for what is not a quarter turn
    corrupt     true, only where the decoder says so

Pictures are turned and mirrored as the file says, as players and OpenCV do, unless `rotate` says otherwise: keep leaves
them as they are stored, a number turns them by that many degrees clockwise instead. Colours are converted by the tags
of the file; where it has none, by BT.709 from 720 lines up and BT.601 below. Times go on evenly where the clock of a
file starts again or jumps (joined transport streams); its own clock is in pts.

Pieces of the file that can't be decoded are counted in statistics().refused and left out. Codecs for pictures that
depend on each other hide much damage, so what comes may still look damaged.

A forked child may not use the source of its parent, and its close() does nothing.
"""

from __future__ import annotations

import math
import os
from typing import Annotated, Any, Literal

import numpy as np

from framebus._util import lifetime
from framebus.endpoint.kinds.video.forms import TO_AV
from framebus.endpoint.kinds.video.reader import Picture, Reader
from framebus.endpoint.kinds.video.turning import Rotate
from framebus.endpoint.paced_source import PacedSource
from framebus.errors import ChannelClosed, ForkedChild, InvalidUrl
from framebus.frames.frame import Frame


class VideoSource(PacedSource):
    """The pictures of a file, in time."""

    def __init__(self, path: str, reader: Reader, waits: bool) -> None:
        """Decodes the first picture, so that a file that can't be played is noticed now."""
        super().__init__(f"video:{path}", waits=waits)
        self._reader = reader
        self._pid = os.getpid()
        lifetime.keep_in_children(self)  # the decoder has threads
        self._pictures = reader.pictures()
        self._next: Picture | None = next(self._pictures)

    def _make(self) -> Frame:
        if os.getpid() != self._pid:
            raise ForkedChild(
                f"{self.url!r} was opened by the parent process {self._pid}; open another one in the child"
            )
        picture = self._next if self._next is not None else next(self._pictures, None)
        self._next = None
        if refused := self._reader.refused - self._statistics.refused:
            self._count(refused=refused)
        if picture is None:
            raise ChannelClosed(f"{self.url!r} has ended after {self._last_seq} frames; ?loop plays it over and over")
        image = np.empty(picture.shape, picture.dtype)
        picture.draw_into(image)
        return self._frame(
            {"image": image}, self._moment(picture.time_s), pixel_format=picture.form, origin=self._origin_of(picture)
        )

    def _origin_of(self, picture: Picture) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "file": os.fsencode(self._reader.path).decode(errors="backslashreplace"),
            "index": picture.index,
            "round": picture.round,
            "pts": picture.pts_s,
            "time_base": str(self._reader.time_base),
        }
        if picture.rotation:
            meta["rotation"] = picture.rotation
        if picture.frame.is_corrupt:
            meta["corrupt"] = True
        return meta

    def _let_go(self) -> None:
        if os.getpid() == self._pid:
            self._pictures.close()  # type: ignore[attr-defined]  # it is a generator, and closes the file


def open_source(
    path: str,
    *,
    pace: Annotated[Literal["real", "fast"], "at the file's own pace, or as fast as frames are asked for"] = "real",
    loop: Annotated[bool, "play it over and over"] = False,
    start: Annotated[float, "seconds to leave out"] = 0.0,
    pixel_format: Annotated[str, "PFNC name to convert to; auto loses least, native never converts"] = "auto",
    rotate: Annotated[
        Rotate, "turn as the file says, not at all, or by degrees clockwise from how it is stored"
    ] = "auto",
    threads: Annotated[int, "to decode with, 0 for as many as there are processors"] = 0,
) -> VideoSource:
    """Opens the file and decodes its first picture. Raises EndpointError if there is none."""
    where = f"video:{path}"
    if pixel_format not in ("auto", "native", *TO_AV):
        raise InvalidUrl(
            f"{where}: pixel_format must be auto, native or one of {', '.join(TO_AV)}; got {pixel_format!r}"
        )
    if not (math.isfinite(start) and start >= 0):
        raise InvalidUrl(f"{where}: start must be 0 or more seconds, got {start!r}")
    if threads < 0:
        raise InvalidUrl(f"{where}: threads must be 0 or more, got {threads}")
    reader = Reader(path, form=pixel_format, loop=loop, start_s=start, threads=threads, rotate=rotate)
    return VideoSource(path, reader, waits=pace == "real")
