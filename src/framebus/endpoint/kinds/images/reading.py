# SPDX-License-Identifier: Apache-2.0
"""The pictures of one image file. Its first bytes, not its name, decide which reader is used:

    TIFF        tiff, by tifffile
    Netpbm, PFM netpbm, by numpy
    PNG, JPEG, JPEG 2000, AVIF with more than 8 bits
                coded, by imagecodecs
    the formats of 8 bits in _EXACT
                Pillow, with every picture of a moving one

Anything else is refused, since Pillow may return fewer bits, or another sign, than the file has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framebus.endpoint.kinds.images import coded, netpbm, tiff
from framebus.endpoint.kinds.images.page import Page, check_size
from framebus.errors import EndpointError

if TYPE_CHECKING:
    from PIL.Image import Image

_TIFF: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_2000: Final = (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")
_HEAD: Final = 64  # bytes that tell the format

# Formats of at most 8 bits a sample, and SPIDER's floats, that Pillow returns as they are stored.
_EXACT: Final = frozenset(
    {"PNG", "JPEG", "MPO", "GIF", "WEBP", "AVIF", "BMP", "DIB", "ICO", "CUR", "ICNS", "TGA", "PCX", "DCX", "SGI"}
    | {"MSP", "XBM", "XPM", "QOI", "PSD", "SPIDER"}
)
_WITH_ALPHA: Final = ("LA", "PA", "RGBA", "La", "RGBa")
_ORIENTATION: Final = 0x0112  # the tag of EXIF


def pages(path: str) -> Iterator[Page]:
    """Yields the pictures of a file. Raises EndpointError if one can't be read exactly."""
    from PIL import Image

    try:
        file = os.fsencode(path).decode(errors="backslashreplace")
        for page in _pages(path):
            yield page._replace(origin={"file": file, **page.origin})
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EndpointError(
            f"{path!r} would take more memory than Pillow thinks harmless: {error}; if you know where it comes from, "
            "raise PIL.Image.MAX_IMAGE_PIXELS"
        ) from error
    except ModuleNotFoundError as error:
        raise EndpointError(
            f'{path!r} can\'t be read: {error.name} is missing; install it: pip install "framebus[video]"'
        ) from error
    except Exception as error:  # a decoder may fail in any way at what is not an image
        raise EndpointError(
            f"{path!r} can't be read as an image: {type(error).__name__}: {error}; remove it, or leave such files out "
            "with ?skip_broken"
        ) from error


def _pages(path: str) -> Iterator[Page]:
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if head[:4] in _TIFF:
        yield from tiff.pages(path)
    elif head[:2] in netpbm.MAGICS and (head[:2] != b"P7" or b"\n" in head[2:4]):
        yield from netpbm.pages(path)
    elif head.startswith(_JPEG_2000):
        yield coded.jpeg2000(coded.read(path))
    elif head.startswith(_PNG) and coded.png_depth(head) > 8:
        yield _oriented(path, coded.png(coded.read(path)))
    elif head[4:8] == b"ftyp" and (b"avif" in head[8:] or b"avis" in head[8:]):
        data = coded.read(path)
        yield from [coded.avif(data)] if coded.avif_depth(data) > 8 else _by_pillow(path)
    elif head.startswith(b"\xff\xd8"):
        data = coded.read(path)
        yield from [coded.jpeg(data)] if coded.jpeg_depth(data) > 8 else _by_pillow(path)
    else:
        yield from _by_pillow(path)


def _oriented(path: str, page: Page) -> Page:
    from PIL import Image

    with Image.open(path) as image:
        return page._replace(origin={**page.origin, **_orientation(image)})


def _orientation(image: Image) -> dict[str, Any]:
    found = image.getexif().get(_ORIENTATION, 1)
    return {"orientation": int(found)} if isinstance(found, int) and 2 <= found <= 8 else {}


def _by_pillow(path: str) -> Iterator[Page]:
    from PIL import Image

    with Image.open(path) as image:
        if image.format not in _EXACT:
            raise ValueError(f"nothing here reads {image.format} exactly; store it as TIFF or PNG")
        count = 1 if image.format == "PSD" else getattr(image, "n_frames", 1)  # a PSD counts its layers
        for number in range(count):
            if number:
                image.seek(number)
            check_size(*image.size)
            _check_not_cut(image)
            array, form, origin = _read(path, image)
            yield Page(array, form, {**origin, **_orientation(image)}).at(number if count > 1 else None)


def _check_not_cut(image: Image) -> None:
    """Raises ValueError where Pillow is about to decode more bits than it keeps."""
    for tile in getattr(image, "tile", ()):
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        raw = [text for text in arguments if isinstance(text, str) and (";16" in text or ";12" in text)]
        if raw and not image.mode.startswith("I") and not raw[0].startswith(("BGR;1", "BGRA;1", "RGB;1", "BGRX;1")):
            raise ValueError(f"its samples are {raw[0]}, of which Pillow keeps 8 bits; store it as TIFF or PNG")
        if tile[0].lower() == "sgi16" or (tile[0].lower() == "sgi_rle" and arguments[-1] == 2):
            raise ValueError("its samples have 16 bits, of which Pillow keeps 8; store it as TIFF or PNG")


def _read(path: str, image: Image) -> Page:
    """Returns the picture that `image` is at."""
    origin: dict[str, Any] = {}
    grey = coded.png_transparent_grey(coded.read(path)) if image.format == "PNG" and image.mode in "1L" else None
    has_alpha = image.mode in _WITH_ALPHA or "transparency" in image.info
    image.load()
    if image.mode in ("P", "PA") and image.palette is not None and image.palette.mode == "RGBA":
        has_alpha = True
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        if image.mode in ("LAB", "HSV"):
            raise ValueError(
                f"its colours are {image.mode}, which have no exact red, green and blue; store it as those"
            )
        origin["converted_from"] = image.mode
    if image.mode in ("RGBa", "La"):
        raise ValueError("its colours are multiplied by their alpha, which can't be undone exactly")
    if image.mode == "F":
        return Page(np.array(image), "Data32f", origin)
    if image.mode.startswith("I"):
        raise ValueError(f"nothing here reads {image.format} of mode {image.mode} exactly; store it as TIFF or PNG")
    if grey is not None:
        levels = np.array(image.convert("L"))
        alpha = np.where(levels == grey, np.uint8(0), np.uint8(255))
        return Page(np.stack([levels, levels, levels, alpha], axis=-1), "RGBa8", origin)
    if image.mode in ("1", "L") and not has_alpha:
        return Page(np.array(image.convert("L")), "Mono8", origin)
    return Page(np.array(image.convert("RGBA" if has_alpha else "RGB")), "RGBa8" if has_alpha else "RGB8", origin)
