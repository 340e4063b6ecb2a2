# SPDX-License-Identifier: Apache-2.0
"""The source of images:GLOB.

GLOB is a file, a folder (all images in it) or a pattern such as shots/img*.png or shots/**/*.png. The files are those
that are there at the beginning, in natural order: img2 before img10.

A file becomes Mono8, Mono16, RGB8, RGBa8, RGB16, RGBa16, Data32s or Data32f, whichever it is. Palettes become RGB8 or
RGBa8, black and white Mono8, CMYK and YCbCr RGB8. A file with several pages gives a frame for each. The
metadata say "file", the path, "page" where there are several, and "orientation" where the file wants to be turned or
mirrored (EXIF, 2 to 8): the picture is as it is stored.

A file with more pixels than Pillow takes for harmless (PIL.Image.MAX_IMAGE_PIXELS) is refused before it is decoded.
What can't be read is an EndpointError that names the file, and the next recv() goes on behind it; with `skip_broken`
it is counted in statistics().refused and left out.
"""

from __future__ import annotations

import glob
import math
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framebus.endpoints.images import deep
from framebus.errors import ChannelClosed, EndpointError, InvalidUrl
from framebus.frame import Frame
from framebus.paced import PacedSource

if TYPE_CHECKING:
    from PIL.Image import Image

# Pixel formats by Pillow's modes; all others are converted to RGB or RGBA.
_FORMS = {"L": "Mono8", "I;16": "Mono16", "I": "Data32s", "F": "Data32f", "RGB": "RGB8", "RGBA": "RGBa8"}
_WITH_ALPHA = ("LA", "PA", "La", "RGBa")
_ORIENTATION = 0x0112  # the tag of EXIF


class _Page(NamedTuple):
    array: NDArray[Any]
    form: str
    meta: dict[str, Any]


class ImagesSource(PacedSource):
    """The images of some files, one after the other."""

    def __init__(self, pattern: str, paths: list[str], fps: float | None, loop: bool, skip_broken: bool) -> None:
        """`fps` None gives them as fast as they are asked for."""
        super().__init__(f"images:{pattern}", waits=fps is not None)
        self._paths, self._fps, self._loop, self._skip_broken = paths, fps, loop, skip_broken
        self._place = 0
        self._pages: Iterator[_Page] = iter(())
        self._given_in_round = 0

    def _make(self) -> Frame:
        page = self._next_page()
        moment = self._moment(self._last_seq / self._fps if self._fps is not None else None)
        self._given_in_round += 1
        return self._frame({"image": page.array}, moment, page.meta, page.form)

    def _next_page(self) -> _Page:
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
            self._pages = _pages(self._paths[self._place])
            self._place += 1

    def _begin_again(self) -> None:
        if not self._loop:
            raise ChannelClosed(f"{self.url!r} has ended after {len(self._paths)} files")
        if not self._given_in_round:
            raise EndpointError(f"none of the {len(self._paths)} files of {self.url!r} can be read")
        self._place = self._given_in_round = 0

    def _let_go(self) -> None:
        self._pages = iter(())


def _pages(path: str) -> Iterator[_Page]:
    """Yields the images of a file. Raises EndpointError if one can't be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            most = Image.MAX_IMAGE_PIXELS
            pages = getattr(image, "n_frames", 1)
            for number in range(pages):
                image.seek(number)
                if most is not None and math.prod(image.size) > most:
                    raise Image.DecompressionBombError(f"{image.width}x{image.height} pixels, {most} are allowed")
                array, form = _read(path, image, number)
                meta: dict[str, Any] = {"file": path}
                if pages > 1:
                    meta["page"] = number
                if (orientation := image.getexif().get(_ORIENTATION, 1)) != 1:
                    meta["orientation"] = int(orientation)
                yield _Page(array, form, meta)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EndpointError(
            f"{path!r} would take more memory than Pillow thinks harmless: {error}; if you know where it comes from, "
            "raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except Exception as error:  # a decoder may fail in any way at what is no image
        raise EndpointError(
            f"{path!r} can't be read as an image: {type(error).__name__}: {error}; remove it, or leave such files out "
            "with ?skip_broken"
        ) from error


def _read(path: str, image: Image, page: int) -> tuple[NDArray[Any], str]:
    """Returns the pixels of the page that `image` is at, not yet loaded, and their pixel format."""
    tiles = getattr(image, "tile", ())
    arguments = tiles[0][3] if tiles else ""  # of the decoder; the raw mode comes first
    rawmode = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
    has_alpha = image.mode in (*_WITH_ALPHA, "RGBA") or "transparency" in image.info
    if deep.is_deep(str(rawmode)):
        if page:
            raise ValueError("colours of 16 bits can only be read from the first page")
        return deep.read(path, 4 if has_alpha else 3), "RGBa16" if has_alpha else "RGB16"
    if image.mode == "1":
        image = image.convert("L")
    elif image.mode.startswith("I;16") or rawmode in ("I;16", "I;16B"):  # releases of Pillow differ in the mode
        array = np.asarray(image)
        return array.astype(np.uint16), "Mono16"
    elif image.mode not in _FORMS or (has_alpha and image.mode != "RGBA"):
        image = image.convert("RGBA" if has_alpha else "RGB")
    return np.array(image), _FORMS[image.mode]


def natural_key(path: str) -> list[tuple[int, int | str]]:
    """Sorts as people do: numbers by their value."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"([0-9]+)", path) if part]


def _find(pattern: str) -> list[str]:
    from PIL import Image

    if os.path.isdir(pattern):
        known = Image.registered_extensions()
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
