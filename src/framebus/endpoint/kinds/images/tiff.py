# SPDX-License-Identifier: Apache-2.0
"""TIFF, read and written by tifffile: every depth, sign and layout, with the exact numbers.

Every page is a picture of its own shape and dtype; planes are put behind each other, the layers of a volume come one
after the other. These are converted:

    black and white       0 and 255
    WhiteIsZero           turned over, at every depth, so that a large number is bright as in all other pictures; the
                          stored number is the largest one less ours, and the origin has "white_is_zero"
    palettes              their colours: RGB8, or RGB16 where they have more than 8 bits
    CMYK of 8 bits        RGB8, by Pillow, without a colour profile; the origin has "converted_from"
    YCbCr of 8 bits       RGB8

Refused are WhiteIsZero of signed or floating numbers, for which nothing says what white is, colours that are neither
red, green and blue nor these (CIELab, LogLuv), and files that end before their pictures do.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.images.page import Page, check_size, of_samples

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR = range(7)
_CFA, _LINEAR_RAW = 32803, 34892
_KNOWN: Final = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR, _CFA, _LINEAR_RAW)
_ASSOCIATED, _UNASSOCIATED = 1, 2  # of ExtraSamples
_PHOTOMETRIC, _ORIENTATION, _MAX_SAMPLE_VALUE = 262, 274, 281


def pages(path: str) -> Iterator[Page]:
    """Yields the pictures of a file."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        hidden = _hidden(file)
        if hidden is not None:
            for number, array in enumerate(hidden):
                yield _page(file.pages.first, number, array).at(number)
            return
        count, number = len(file.pages), 0
        for index in range(count):
            page = file.pages.get(index, cache=False, aspage=True)
            assert isinstance(page, tifffile.TiffPage)
            several = count > 1 or page.imagedepth > 1
            for found in _of_page(path, file, page, index):
                yield found.at(number if several else None)
                number += 1


def _hidden(file: TiffFile) -> Iterator[NDArray[Any]] | None:
    """Yields the pictures of a stack of which only the first has a directory, as ImageJ writes them beyond 4 GB."""
    if len(file.pages) != 1 or not (file.is_imagej or file.is_shaped) or len(file.series) != 1:
        return None
    page, series = file.pages.first, file.series[0]
    each = math.prod(page.shape)
    if series.size <= each or not each or series.size % each:
        return None
    if page.dataoffsets[0] + series.size * np.dtype(series.dtype).itemsize > file.filehandle.size:
        raise ValueError(f"the file ends before its {series.size // each} pictures do")
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel)
    return iter(series.asarray().reshape(-1, *page.shape))


def _of_page(path: str, file: TiffFile, page: TiffPage, index: int) -> Iterator[Page]:
    check_size(page.imagewidth, page.imagelength, page.samplesperpixel * page.imagedepth)
    if not page.shape or 0 in page.shape:
        raise ValueError(f"page {index} has the shape {page.shape}")
    photometric = _photometric(page)
    if photometric not in _KNOWN:
        raise ValueError(f"page {index} has colours of {page.photometric!r}; store it as red, green and blue")
    if photometric == _YCBCR and int(page.compression) not in (6, 7):
        yield _by_pillow(path, index)
        return
    size = file.filehandle.size
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if offset + count > size:
            raise ValueError(f"page {index} ends {offset + count - size} bytes behind the end of the file")
    if any(isinstance(told, tuple) for told in (page.bitspersample, page.sampleformat)):
        raise ValueError(f"the channels of page {index} differ in depth or kind; store them alike")
    if page.is_contiguous and sum(page.databytecounts) < page.nbytes:
        raise ValueError(f"page {index} has {sum(page.databytecounts)} bytes of {page.nbytes}")
    array = page.asarray(maxworkers=1)
    if "Z" in page.axes:
        layers = np.moveaxis(array, page.axes.index("Z"), 0)
        axes = page.axes.replace("Z", "")
        for layer in layers:
            yield _page(page, index, layer, axes)
    else:
        yield _page(page, index, array)


def _page(page: TiffPage, index: int, array: NDArray[Any], axes: str | None = None) -> Page:
    """Returns the picture of the stored numbers `array`; `axes` are theirs where they are not the page's."""
    axes = page.axes if axes is None else axes
    if "S" not in axes:
        array = array[..., np.newaxis]
    elif axes.index("S") == 0:
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3:
        raise ValueError(f"page {index} has the axes {axes}; expected rows, columns and samples")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    found = _coloured(page, index, array)
    if 2 <= (orientation := _tag(page, _ORIENTATION)) <= 8:
        found.origin["orientation"] = orientation
    return found


def _coloured(page: TiffPage, index: int, array: NDArray[Any]) -> Page:
    photometric, extra = _photometric(page), [int(sample) for sample in page.extrasamples]
    if photometric == _PALETTE:
        return _by_palette(page, index, array)
    if photometric == _CMYK:
        return _by_cmyk(index, array)
    if photometric == _YCBCR:  # tifffile makes red, green and blue of what is compressed as JPEG
        return of_samples(array, None, colour=True, alpha=False)
    maxval = _maxval(page, array)
    origin: dict[str, Any] = {}
    if photometric == _WHITE_IS_ZERO:
        array = _turned_over(array, maxval, index)
        origin["white_is_zero"] = True
    if array.dtype == bool:
        array, maxval = array.astype(np.uint8) * np.uint8(255), None
    colours = 3 if photometric == _RGB else 1
    alpha = array.shape[2] == colours + 1 and extra[:1] in ([_ASSOCIATED], [_UNASSOCIATED])
    if alpha and extra[0] == _ASSOCIATED:
        origin["alpha"] = "premultiplied"
    found = of_samples(array, maxval, colour=photometric == _RGB, alpha=alpha)
    found.origin.update(origin)
    return found


def _photometric(page: TiffPage) -> int:
    """What the numbers mean; the usual black of 0 where the file does not say, for which tifffile has WhiteIsZero."""
    return int(page.photometric) if _PHOTOMETRIC in page.tags else _BLACK_IS_ZERO


def _maxval(page: TiffPage, array: NDArray[Any]) -> int | None:
    """The largest number that the samples can be, where that is less than their dtype can."""
    if array.dtype.kind != "u":
        return None
    bits = page.bitspersample
    if bits < 8 * array.dtype.itemsize:
        return int((1 << bits) - 1)
    told = _tag(page, _MAX_SAMPLE_VALUE)
    return told if told in (1023, 4095, 16383) and array.dtype == np.uint16 and int(array.max()) <= told else None


def _tag(page: TiffPage, code: int) -> int:
    value = page.tags.valueof(code, 0)
    if isinstance(value, tuple):
        value = value[0] if len(set(value)) == 1 else 0
    return int(value) if isinstance(value, int) else 0


def _turned_over(array: NDArray[Any], maxval: int | None, index: int) -> NDArray[Any]:
    if array.dtype == bool:
        return ~array
    if array.dtype.kind != "u":
        raise ValueError(
            f"page {index} is WhiteIsZero with numbers of {array.dtype}, and nothing says which of them is black; "
            "store it as BlackIsZero"
        )
    top = np.iinfo(array.dtype).max if maxval is None else maxval
    return np.asarray(array.dtype.type(top) - array)


def _by_palette(page: TiffPage, index: int, array: NDArray[Any]) -> Page:
    colours = page.colormap
    if colours is None or array.shape[2] != 1 or array.dtype.kind not in "ub":
        raise ValueError(f"page {index} has a palette, and not one number for each pixel")
    table = np.asarray(colours, np.uint16).T
    if int(array.max()) >= len(table):
        raise ValueError(f"page {index} has the number {array.max()}, and a palette of {len(table)} colours")
    low = table & 0xFF
    if not low.any() or np.array_equal(low, table >> 8):  # both ways of writing 8 bits as 16
        table = (table >> 8).astype(np.uint8)
    return of_samples(table[array[..., 0].astype(np.intp)], None, colour=True, alpha=False)


def _by_cmyk(index: int, array: NDArray[Any]) -> Page:
    from PIL import Image

    if array.dtype != np.uint8 or array.shape[2] != 4:
        raise ValueError(f"page {index} is CMYK of {array.shape[2]} x {array.dtype}, only 4 x uint8 can be converted")
    height, width = array.shape[:2]
    image = Image.frombytes("CMYK", (width, height), np.ascontiguousarray(array).tobytes()).convert("RGB")
    return Page(np.array(image), "RGB8", {"converted_from": "CMYK"})


def _by_pillow(path: str, index: int) -> Page:
    """YCbCr that is not compressed as JPEG, of which Pillow knows how to share colours between pixels."""
    from PIL import Image

    with Image.open(path) as image:
        image.seek(index)
        if image.mode not in ("RGB", "YCbCr"):
            raise ValueError(f"page {index} is YCbCr that Pillow takes for {image.mode}; store RGB")
        return Page(np.array(image.convert("RGB")), "RGB8", {"converted_from": "YCbCr"})


def encode(array: NDArray[Any], form: str | None) -> memoryview:
    """Returns the file of one picture, red first where it has colours; `form` is its pixel format."""
    import tifffile

    form = form or ""
    colour = form.startswith("RGB")
    bits = form.removeprefix("RGBa").removeprefix("RGB").removeprefix("Mono")
    told = [(_MAX_SAMPLE_VALUE, "H", 1, (1 << int(bits)) - 1, True)] if bits in ("10", "12", "14") else []
    given: dict[str, Any] = {}
    if array.ndim == 3:
        given["planarconfig"] = "contig"
        if form.startswith("RGBa"):
            given["extrasamples"] = ["unassalpha"]
        elif not colour:
            given["extrasamples"] = ["unspecified"] * (array.shape[2] - 1)
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="rgb" if colour else "minisblack", metadata=None, extratags=told, **given)
    return file.getbuffer()
