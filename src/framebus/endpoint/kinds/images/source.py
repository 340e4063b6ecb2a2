# SPDX-License-Identifier: Apache-2.0
"""The source of images:GLOB.

GLOB is a file, a folder (all images in it) or a pattern such as shots/img*.png or shots/**/*.png. The files are those
that are there at the beginning, in natural order: img2 before img10.

A file is read as its exact numbers, in their shape and with their sign, or is refused with a reason: TIFF of every
depth and layout (tifffile), Netpbm with any maximum, PNG, JPEG, JPEG 2000 and AVIF of up to 16 bits (imagecodecs), and
formats of 8 bits (Pillow). Frames have the pixel format that says what the numbers are, Mono8 to Mono16, RGB8 to
RGBa16, Data32s, Data32f ..., and none where no name fits, as for more than four channels. Palettes become their
colours, grey with alpha RGBa8 or RGBa16, black and white Mono8 with 0 and 255, CMYK and YCbCr of 8 bits RGB8. Grey PNG
of 1, 2 and 4 bits is spread to 8 bits, as PNG prescribes. A large number is bright, so WhiteIsZero TIFF is turned over
at every depth.

A file with several pages is a frame for each, whatever its shape. The metadata are the source's own (Frame.origin):

    file            the path
    page            number of the page from 0, where there are several
    orientation     where the file wants to be turned or mirrored (EXIF, 2 to 8): the picture is as it is stored
    maxval          the largest number there can be, where the pixel format does not say it
    white_is_zero   true where the stored numbers are the largest one less these
    converted_from  CMYK or YCbCr
    alpha           "premultiplied" where colours have been multiplied by alpha
    extra_sample    "unspecified" where the file does not say that the fourth channel is alpha
    scale           of a PFM

A file with more pixels than Pillow takes for harmless (PIL.Image.MAX_IMAGE_PIXELS) is refused before it is decoded.
What can't be read is an EndpointError that names the file, and the next recv() goes on behind it; with `skip_broken`
it is counted in statistics().refused and left out.
"""

from __future__ import annotations

import glob
import importlib
import math
import os
import re
from collections.abc import Iterator
from typing import Annotated

from framebus.endpoint.kinds.images.page import Page
from framebus.endpoint.kinds.images.reading import pages
from framebus.endpoint.paced_source import PacedSource
from framebus.errors import ChannelClosed, EndpointError, InvalidUrl
from framebus.frames.frame import Frame

# Images in a folder that Pillow does not know by their ending.
_EXTENSIONS = frozenset({".pfm", ".tf8", ".btf"})


class ImagesSource(PacedSource):
    """The images of some files, one after the other."""

    def __init__(self, pattern: str, paths: list[str], fps: float | None, loop: bool, skip_broken: bool) -> None:
        """With `fps` None, frames come as fast as they are asked for."""
        super().__init__(f"images:{pattern}", waits=fps is not None)
        self._paths, self._fps, self._loop, self._skip_broken = paths, fps, loop, skip_broken
        self._place = 0
        self._pages: Iterator[Page] = iter(())
        self._given_in_round = 0

    def _make(self) -> Frame:
        page = self._next_page()
        moment = self._moment(self._last_seq / self._fps if self._fps is not None else None)
        self._given_in_round += 1
        return self._frame({"image": page.array}, moment, pixel_format=page.form, origin=page.origin)

    def _next_page(self) -> Page:
        while True:
            try:
                for page in self._pages:
                    return page
            except EndpointError:
                self._pages = iter(())
                if not self._skip_broken:
                    raise
                self._count(refused=1)
            if self._place == len(self._paths):
                self._begin_again()
            self._pages = pages(self._paths[self._place])
            self._place += 1

    def _begin_again(self) -> None:
        if not self._loop:
            raise ChannelClosed(f"{self.url!r} has ended after {len(self._paths)} files")
        if not self._given_in_round:
            raise EndpointError(f"none of the {len(self._paths)} files of {self.url!r} can be read")
        self._place = self._given_in_round = 0

    def _let_go(self) -> None:
        self._pages = iter(())


def natural_key(path: str) -> list[tuple[int, int | str]]:
    """Sorts as people do: numbers by their value."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"([0-9]+)", path) if part]


def _find(pattern: str) -> list[str]:
    from PIL import Image

    for module in ("tifffile", "imagecodecs"):
        importlib.import_module(module)  # to say now that it is missing
    if os.path.isdir(pattern):
        known = {*Image.registered_extensions(), *_EXTENSIONS}
        inside = (os.path.join(pattern, name) for name in os.listdir(pattern) if not name.startswith("."))
        paths = [path for path in inside if os.path.splitext(path)[1].lower() in known]
    elif os.path.exists(pattern):  # also where its name has an asterisk or a bracket in it
        paths = [pattern]
    else:
        paths = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    return sorted(paths, key=lambda path: (natural_key(path), path))


def open_source(
    pattern: str,
    *,
    fps: Annotated[float | None, "frames per second; as fast as they are asked for unless said"] = None,
    loop: Annotated[bool, "after the last comes the first again"] = False,
    skip_broken: Annotated[bool, "leave out files that can't be read"] = False,
) -> ImagesSource:
    """Looks for the files. Raises EndpointError if there is none."""
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InvalidUrl(f"images:{pattern}: fps must be above 0, got {fps!r}")
    paths = _find(pattern)
    if not paths:
        raise EndpointError(
            f"no image is there for {pattern!r}, seen from {os.getcwd()!r}; it can be a file, a folder or a pattern "
            "such as shots/*.png, and a question mark is written %3F"
        )
    return ImagesSource(pattern, paths, fps, loop, skip_broken)
