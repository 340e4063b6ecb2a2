# SPDX-License-Identifier: Apache-2.0
"""The sink of images:FOLDER/NAME-{seq:06d}.png: a file for each frame.

The name has a place for {seq}, {timestamp_ns} or {wall_time_ns}, with Python's format after a colon; of a folder alone
the name is frame-{seq:06d}.png. A folder that is missing is made, not the one it is in. The extension says what is
written:

    .png          Mono8, Mono16, RGB8, BGR8, RGBa8, BGRa8, RGB16, BGR16, RGBa16, BGRa16
    .tif, .tiff   the same, Data32s and Data32f (int32 and float32 with one channel)
    .jpg, .jpeg   Mono8, RGB8, BGR8, with some loss

Anything else is refused, but for Mono10, Mono12 and Mono14 with `lossy`: their numbers are stored as they are, and read
as Mono16. Without a pixel format, three channels are taken for blue, green and red as everywhere in
framebus. Metadata and timestamps are lost, except those in the name.

Each file is written under another name beside its place, which begins with a dot, and then renamed: whoever looks for
files finds whole ones only. A file of the same name is replaced. A writer that is killed leaves at most one such .part.
"""

from __future__ import annotations

import io
import os
import string
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint import Abilities, BaseSink, Deadline, Outgoing
from framebus.endpoints.images import deep
from framebus.errors import EndpointError, InvalidUrl
from framebus.pixel_format import FORMATS

ABILITIES = Abilities(
    arrays="one",
    dtypes="uint8 or uint16 with 1, 3 or 4 channels; int32 or float32 with one",
    meta=False,
    pixel_format="some",
    timestamps=False,
    seq=False,
    receivers="many",
    notices_death=False,
    stored=True,
)
_NAME = "frame-{seq:06d}.png"
_FIELDS = ("seq", "timestamp_ns", "wall_time_ns")

_GREY_AND_COLOUR = ("Mono8", "RGB8", "BGR8")
_EXACT = (*_GREY_AND_COLOUR, "Mono16", "RGBa8", "BGRa8", "RGB16", "BGR16", "RGBa16", "BGRa16")
_TAKES = {"PNG": _EXACT, "TIFF": (*_EXACT, "Data32s", "Data32f"), "JPEG": _GREY_AND_COLOUR}
_EXTENSIONS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}
_UNNAMED = {
    ("uint8", 1): "Mono8", ("uint8", 3): "BGR8", ("uint8", 4): "BGRa8", ("int32", 1): "Data32s",
    ("uint16", 1): "Mono16", ("uint16", 3): "BGR16", ("uint16", 4): "BGRa16", ("float32", 1): "Data32f",
}  # fmt: skip


class ImagesSink(BaseSink):
    """Writes a file for each frame."""

    # The number stands in the name, so a relay hands it on; but the source of the files counts for itself.
    abilities = replace(ABILITIES, seq=True)

    def __init__(self, name: str, kind: str, options: dict[str, Any], lossy: bool) -> None:
        """`name` is the path with its fields, `kind` and `options` are Pillow's."""
        super().__init__(f"images:{name}")
        self.lossy = lossy
        self._name, self._kind, self._options = name, kind, options

    def _send(self, frame: Outgoing, deadline: Deadline) -> None:  # noqa: ARG002 - a file has nobody to wait for
        from PIL import Image

        array, form = self._pixels(frame)
        path = Path(self._name.format(**{field: getattr(frame, field) for field in _FIELDS}))
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            if form.endswith("16") and array.ndim == 3:
                part.write_bytes(deep.encode(array, self._kind.lower()))
            else:
                data = io.BytesIO()
                Image.fromarray(array).save(data, self._kind, **self._options)
                part.write_bytes(data.getbuffer())
            os.replace(part, path)
        except (OSError, ValueError) as error:
            part.unlink(missing_ok=True)
            raise EndpointError(f"frame {frame.seq} can't be written to {str(path)!r}: {error}") from error

    def _pixels(self, frame: Outgoing) -> tuple[NDArray[Any], str]:
        """Returns the array as it is stored, red first, and its pixel format."""
        array = frame.array
        channels = array.shape[2] if array.ndim == 3 else 1
        form = frame.pixel_format or _UNNAMED.get((str(array.dtype), channels)) or ""
        if self._kind == "JPEG" and self.lossy and form in ("RGBa8", "BGRa8") and channels == 4:
            array, channels, form = array[..., :3], 3, form.replace("a", "")
        elif self.lossy and form in ("Mono10", "Mono12", "Mono14"):
            form = "Mono16"  # the same numbers; how many bits they have is lost
        named = FORMATS[form] if form in _TAKES[self._kind] else None
        fits = named is not None and (str(array.dtype), channels) == (named.dtype, named.channels)
        if not fits or array.ndim not in (2, 3) or 0 in array.shape:
            raise EndpointError(
                f"{self.url!r} takes {', '.join(_TAKES[self._kind])}; frame {frame.seq} is "
                f"{'x'.join(map(str, array.shape)) or 'a scalar'} {array.dtype} {frame.pixel_format or ''}".rstrip()
            )
        if channels == 1:
            return np.ascontiguousarray(array.reshape(array.shape[:2])), form
        if form.startswith("BGR"):
            array = array[..., [2, 1, 0, 3][:channels]]
        return np.ascontiguousarray(array), form


def open_sink(
    name: str,
    *,
    quality: Annotated[int, "of JPEG, 1 to 100"] = 90,
    compression: Annotated[int, "of PNG, 0 (fast) to 9 (small)"] = 1,
    lossy: Annotated[
        bool, "leave out metadata, other arrays, alpha for JPEG, and how many bits Mono10 to 14 have"
    ] = False,
) -> ImagesSink:
    """Makes the folder if it is missing. Raises EndpointError if it can't be written to."""
    import PIL  # noqa: F401 - to say now that it is missing

    where = f"images:{name}"
    if any(ord(character) < 32 for character in name):
        raise InvalidUrl(f"{where!r}: there is no such character in a name; write {{seq:06d}} where others write %06d")
    path = Path(name)
    if name.endswith(("/", os.sep)) or path.is_dir() or not name:
        path = path / _NAME
    _check_fields(where, str(path))
    kind = _EXTENSIONS.get(path.suffix.lower())
    if kind is None:
        raise InvalidUrl(f"{where}: an image file to be written ends in one of {', '.join(_EXTENSIONS)}")
    for option, value, least, most in (("quality", quality, 1, 100), ("compression", compression, 0, 9)):
        if not least <= value <= most:
            raise InvalidUrl(f"{where}: {option} must be {least} to {most}, got {value}")
    if not _fields(str(path.parent)):
        _make_folder(where, path.parent)
    options = {"PNG": {"compress_level": compression}, "JPEG": {"quality": quality}, "TIFF": {}}[kind]
    return ImagesSink(str(path), kind, options, lossy)


def _fields(name: str) -> list[str]:
    return [field for _, field, _, _ in string.Formatter().parse(name) if field is not None]


def _check_fields(where: str, name: str) -> None:
    """Raises InvalidUrl unless every frame gets a name of its own."""
    try:
        found = _fields(name)
        name.format(**dict.fromkeys(_FIELDS, 1))
    except (ValueError, LookupError, AttributeError) as error:
        raise InvalidUrl(f"{where}: not a name with fields such as {{seq:06d}}: {error}") from None
    if not set(found) & set(_FIELDS) or set(found) - set(_FIELDS):
        raise InvalidUrl(
            f"{where}: the name needs a place for the number, such as shot-{{seq:06d}}.png, or each frame would "
            f"replace the one before; fields are {', '.join(_FIELDS)}"
        )


def _make_folder(where: str, folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(f"{str(folder)!r} may not be written to")
    except OSError as error:
        raise EndpointError(
            f"{where} can't be written: {error}; name a folder that is there, or in one that is"
        ) from error
