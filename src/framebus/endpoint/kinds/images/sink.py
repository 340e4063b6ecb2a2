# SPDX-License-Identifier: Apache-2.0
"""The sink of images:FOLDER/NAME-{seq:06d}.png: a file for each frame.

The name contains {seq}, {timestamp_ns} or {wall_time_ns}, with Python's format after a colon. For a folder alone the
name is frame-{seq:06d}.png. A missing folder is made, but not its parent. The extension decides on the file format:

    .png          Mono8, Mono16, RGB8, BGR8, RGBa8, BGRa8, RGB16, BGR16, RGBa16, BGRa16
    .tif, .tiff   the same, also of 10, 12 and 14 bits; Data8s to Data64f, that is (un)signed and floating numbers with
                  one channel; without a pixel format every dtype of numbers but bool, with any number of channels
    .jpg, .jpeg   Mono8, RGB8, BGR8, with some loss

Except for JPEG, every picture is read back equal, by other programs too. Anything else is refused before a file is
written, and the error names a format that can store it; the exceptions are Mono10, Mono12 and Mono14 as PNG with
`lossy`: their numbers are stored as they are, and read as Mono16. Without a pixel format, three channels of 8 or 16
bits are taken for blue, green and red as everywhere in framebus. Metadata and timestamps are lost, except those in the
name. A picture whose source says "rotation" (Frame.origin) is turned before it is written.

Each file is written under another name beside its place, .NAME.part, and then renamed, so that other programs find
whole files only. A file of the same name is replaced. A writer that is killed leaves at most one such partial file,
which later writers leave alone. A second sink for the same names is refused as long as the first one is open: names are
the same if they differ only in how a field is formatted.
"""

from __future__ import annotations

import importlib
import io
import os
import string
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from framebus._util.partial_file import Claim, PartialFile, check_target, partial_name
from framebus.endpoint import BaseSink, Deadline, OutgoingFrame
from framebus.endpoint.kinds.images import coded, tiff
from framebus.endpoint.spec import ONE_IMAGE
from framebus.errors import EndpointError, InvalidUrl
from framebus.frames.pixel_format import fits, guess

CAPABILITIES = replace(
    ONE_IMAGE,
    dtypes="uint8 or uint16 with 1, 3 or 4 channels; in TIFF numbers of any dtype, with any number of channels",
    receivers="many",
    notices_death=False,
    stored=True,
)
_NAME = "frame-{seq:06d}.png"
_FIELDS = ("seq", "timestamp_ns", "wall_time_ns")

_GREY_AND_COLOUR = ("Mono8", "RGB8", "BGR8")
_EXACT = (*_GREY_AND_COLOUR, "Mono16", "RGBa8", "BGRa8", "RGB16", "BGR16", "RGBa16", "BGRa16")
_DEEP = tuple(f"{order}{depth}" for order in ("Mono", "RGB", "BGR", "RGBa", "BGRa") for depth in (10, 12, 14))
_DATA = ("Data8s", "Data16s", "Data32", "Data32s", "Data32f", "Data64", "Data64s", "Data64f")
_TAKES = {"PNG": _EXACT, "TIFF": (*_EXACT, *_DEEP, *_DATA), "JPEG": _GREY_AND_COLOUR}
_EXTENSIONS = {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}
# What else a TIFF stores, where no pixel format says what it means; read back as it was.
_NUMBERS = frozenset(
    {"uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"}
    | {"float16", "float32", "float64", "complex64", "complex128"}
)


class ImagesSink(BaseSink):
    """Writes a file for each frame."""

    # The number stands in the name, so a relay hands it on; but the source of the files counts for itself.
    capabilities = replace(CAPABILITIES, seq=True)

    def __init__(self, name: str, kind: str, options: dict[str, Any], lossy: bool) -> None:
        """`name` is the path with its fields, `kind` and `options` are Pillow's. Raises OSError."""
        super().__init__(f"images:{name}")
        self.lossy = lossy
        self._claim = Claim(_same_names(name))
        self._name, self._kind, self._options = os.path.join(os.getcwd(), name), kind, options

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - a file never waits
        array, form = self._pixels(frame)
        path = Path(self._name.format(**{field: getattr(frame, field) for field in _FIELDS}))
        try:
            _write(path, self._encoded(array, form))
        except (OSError, ValueError) as error:
            raise EndpointError(f"frame {frame.seq} can't be written to {str(path)!r}: {error}") from error

    def _close(self) -> None:
        self._claim.release()

    def _encoded(self, array: NDArray[Any], form: str | None) -> memoryview:
        """Returns the whole file."""
        from PIL import Image

        if self._kind == "TIFF":
            return tiff.encode(array, form)
        if array.dtype == np.uint16 and array.ndim == 3:
            return memoryview(coded.encode_png(array, self._options["compress_level"]))
        data = io.BytesIO()
        Image.fromarray(array).save(data, self._kind, **self._options)
        return data.getbuffer()

    def _pixels(self, frame: OutgoingFrame) -> tuple[NDArray[Any], str | None]:
        """Returns the array as it is stored, red first, and its pixel format, None for numbers without one."""
        array = frame.upright()
        form = frame.pixel_format or guess(array.shape, array.dtype)
        if self._kind == "JPEG" and self.lossy and form in ("RGBa8", "BGRa8") and array.shape[-1:] == (4,):
            array, form = array[..., :3], form.replace("a", "")
        elif self._kind == "PNG" and self.lossy and form in ("Mono10", "Mono12", "Mono14"):
            form = "Mono16"  # the same numbers; how many bits they have is lost
        if not array.dtype.isnative or 0 in array.shape or not self._stores(self._kind, array, form):
            raise self._refusal(frame)
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[..., 0]
        elif form is not None and form.startswith("BGR"):
            array, form = array[..., [2, 1, 0, 3][: array.shape[2]]], form.replace("BGR", "RGB")
        return np.ascontiguousarray(array), form

    @staticmethod
    def _stores(kind: str, array: NDArray[Any], form: str | None) -> bool:
        """Whether such a file stores an array of this pixel format exactly, or as well as JPEG does."""
        if form is None:
            return kind == "TIFF" and array.ndim in (2, 3) and str(array.dtype) in _NUMBERS
        return form in _TAKES[kind] and fits(form, array.shape, array.dtype)

    def _refusal(self, frame: OutgoingFrame) -> EndpointError:
        array = frame.array
        form = frame.pixel_format or guess(array.shape, array.dtype)
        found = f"{'x'.join(map(str, array.shape)) or 'a scalar'} {array.dtype} {frame.pixel_format or ''}".rstrip()
        advice = "send an image of numbers (height, width) or (height, width, channels)"
        if 0 in array.shape or array.ndim not in (2, 3):
            pass
        elif not array.dtype.isnative:
            advice = "send array.astype(array.dtype.newbyteorder('='))"
        elif self._kind == "JPEG" and self._stores("PNG", array, form):
            advice = "write .png or .tif, which store it exactly"
        elif self._kind != "TIFF" and self._stores("TIFF", array, form):
            advice = "write .tif, which stores it exactly"
        elif array.dtype == bool:
            advice = "send array * numpy.uint8(255) as Mono8"
        elif frame.pixel_format is not None:
            advice = "no image file says so; convert it, or leave pixel_format out where it does not fit"
        return EndpointError(
            f"{self.url!r} takes {', '.join(_TAKES[self._kind])}; frame {frame.seq} is {found}; {advice}"
        )


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
    for module in ("PIL", "tifffile", "imagecodecs"):
        importlib.import_module(module)  # to say now that it is missing

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
    try:
        return ImagesSink(str(path), kind, options, lossy)
    except OSError as error:
        raise EndpointError(
            f"{where} can't be written: {error}; name a folder that is there, or in one that is"
        ) from error


def _write(path: Path, data: bytes | memoryview) -> None:
    """Replaces the content of `path` at once. Raises OSError; then no partial file is left."""
    check_target(path)
    part = PartialFile(os.path.dirname(path), partial_name(path, hidden=True))
    try:
        part.write(data)
        part.publish(path)
    except BaseException:
        with suppress(OSError):  # the one that is raised says more
            part.discard()
        raise


def _same_names(name: str) -> str:
    """Returns the target to claim for all files of a sequence: its name without the formats of its fields.

    Where the folder has fields too it is in the last folder above that has none.
    """
    pieces = [(text.replace("{", "{{").replace("}", "}}"), field) for text, field, _, _ in _pieces(name)]
    plain = "".join(text if field is None else f"{text}{{{field}}}" for text, field in pieces)
    folder = Path(plain)
    while _fields(str(folder.parent)):
        folder = folder.parent
    return os.path.join(folder.parent, plain[len(str(folder.parent)) :].strip(os.sep).replace(os.sep, "|"))


def _fields(name: str) -> list[str]:
    return [field for _, field, _, _ in _pieces(name) if field is not None]


def _pieces(name: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(string.Formatter().parse(name))


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
