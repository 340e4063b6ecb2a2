# SPDX-License-Identifier: Apache-2.0
"""The pixel formats framebus knows, by their names in EMVA's Pixel Format Naming Convention (PFNC).

A name says what the numbers of an array mean, nothing else: no array is converted or refused because of it. Names are
ASCII and at most 32 bytes, the room a frame's description has for them.

guess() is the one place that says what an array without a name is taken for, by everything that has to know:
(height, width, 3) is blue, green, red, as OpenCV has it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from framebus._core import MAX_NAME_BYTES


class PixelFormat(NamedTuple):
    """What a PFNC name means for an array.

    `bits_per_pixel` is what a pixel takes in memory, `channels` how many samples it has (the last axis of an array, the
    first of a planar one; no axis for 1), and `dtype` the numpy type of one sample, or None where samples share bytes
    or pixels share samples: such an image is sent as the bytes of its rows.
    """

    name: str
    bits_per_pixel: int
    channels: int
    dtype: str | None


# Names with {} for the depth, how many samples a pixel has, and the depths there are.
_PLAIN = "8 10 10p 12 12p"
_COLOUR = "8 10 10p 12 12p 14 16"
_COORDINATE = "8 10p 12p 16 32f"
_FAMILIES: tuple[tuple[str, int, str], ...] = (
    ("Mono{}", 1, "1p 2p 4p 8 8s 10 10p 10Packed 12 12p 12Packed 14 14p 16 32"),
    *((f"Bayer{order}{{}}", 1, "4p 8 10 10p 10Packed 12 12p 12Packed 14 14p 16") for order in ("BG", "GB", "GR", "RG")),
    *((f"{order}{{}}", 3, _COLOUR) for order in ("RGB", "BGR")),
    *((f"{order}{{}}", 4, _COLOUR) for order in ("RGBa", "BGRa")),
    ("RGB{}_Planar", 3, "8 10 12 16"),
    *((f"{colour}{{}}", 1, "8 10 12 16") for colour in "RGB"),
    *((f"BiColor{order}{{}}", 2, _PLAIN) for order in ("BGRG", "RGBG")),
    *((f"SCF1{order}{{}}", 1, _COLOUR) for order in ("WBWG", "WGWB", "WGWR", "WRWG")),
    *((f"Coord3D_{axis}{{}}", 1, _COORDINATE) for axis in "ABC"),
    *((f"Coord3D_{axes}{{}}{layout}", len(axes), _COORDINATE) for axes in ("AC", "ABC") for layout in ("", "_Planar")),
    ("Confidence{}", 1, "1p 8 16 32f"),
    ("Data{}", 1, "8 8s 16 16s 32 32s 32f 64 64s 64f"),
    ("YCbCr{}", 3, "8"),
    *((f"YCbCr{standard}{{}}_CbYCr", 3, _PLAIN) for standard in ("", "601_", "709_", "2020_")),
    *(
        (f"YCbCr{standard}422_{{}}{order}", 2, _PLAIN)
        for standard in ("", "601_", "709_", "2020_")
        for order in ("", "_CbYCrY")
    ),
    ("YUV{}_UYV", 3, "8"),
    ("YUV422_{}", 2, "8"),
    ("YUV422_{}_UYVY", 2, "8"),
)

# What follows no rule.
_SINGLES: tuple[PixelFormat, ...] = (
    PixelFormat("Confidence1", 8, 1, "uint8"),
    PixelFormat("RGB565p", 16, 3, None),
    PixelFormat("BGR565p", 16, 3, None),
    PixelFormat("RGB10p32", 32, 3, None),
    PixelFormat("RGB10V1Packed", 32, 3, None),
    PixelFormat("RGB12V1Packed", 36, 3, None),
    PixelFormat("YUV411_8_UYYVYY", 12, 3, None),
    PixelFormat("YCbCr411_8", 12, 3, None),
    *(PixelFormat(f"YCbCr{standard}411_8_CbYYCrYY", 12, 3, None) for standard in ("", "601_", "709_", "2020_")),
    *(
        PixelFormat(f"YCbCr420_8_YY_{order}_{layout}", 12, 3, None)
        for order in ("CbCr", "CrCb")
        for layout in ("Planar", "Semiplanar")
    ),
    *(PixelFormat(f"YCbCr422_8_YY_{order}_Semiplanar", 16, 3, None) for order in ("CbCr", "CrCb")),
)

# What other programs call the commonest formats, in lower case.
_ALIASES: Final = {
    "bgr24": "BGR8", "bgr": "BGR8", "rgb24": "RGB8", "rgb": "RGB8", "bgra": "BGRa8", "rgba": "RGBa8",
    "gray": "Mono8", "grey": "Mono8", "gray8": "Mono8", "l": "Mono8", "y8": "Mono8",
    "gray16": "Mono16", "gray16le": "Mono16", "y16": "Mono16",
    "yuyv": "YUV422_8", "yuyv422": "YUV422_8", "uyvy": "YUV422_8_UYVY", "uyvy422": "YUV422_8_UYVY",
    "z16": "Coord3D_C16", "depth16": "Coord3D_C16",
}  # fmt: skip

# What cameras and FFmpeg call 4:2:0, in lower case. All mean the same by these, so they are taken for the name.
_SYNONYMS: Final = {
    **dict.fromkeys(("i420", "iyuv", "yu12", "yuv420p", "yuv420"), "YCbCr420_8_YY_CbCr_Planar"),
    "yv12": "YCbCr420_8_YY_CrCb_Planar",
    "nv12": "YCbCr420_8_YY_CbCr_Semiplanar",
    "nv21": "YCbCr420_8_YY_CrCb_Semiplanar",
}

_SUFFIX_LETTER: Final = {"": "uint", "s": "int", "f": "float"}


def _of_depth(pattern: str, channels: int, depth: str) -> PixelFormat:
    digits = depth.rstrip("psfPacked")
    bits, suffix = int(digits), depth[len(digits) :]
    name = pattern.format(depth)
    if suffix == "p":
        return PixelFormat(name, bits * channels, channels, None)
    if suffix == "Packed":  # GigE Vision's own: two samples in three bytes
        return PixelFormat(name, 12, channels, None)
    width = next(width for width in (8, 16, 32, 64) if width >= bits)
    return PixelFormat(name, width * channels, channels, f"{_SUFFIX_LETTER[suffix]}{width}")


FORMATS: Final[dict[str, PixelFormat]] = {
    known.name: known
    for known in (
        *(_of_depth(pattern, channels, depth) for pattern, channels, depths in _FAMILIES for depth in depths.split()),
        *_SINGLES,
    )
}


# What an array is taken for that comes without a name, by dtype and channels.
_UNNAMED: Final = {
    ("uint8", 1): "Mono8", ("uint8", 3): "BGR8", ("uint8", 4): "BGRa8",
    ("uint16", 1): "Mono16", ("uint16", 3): "BGR16", ("uint16", 4): "BGRa16",
    ("int8", 1): "Data8s", ("int16", 1): "Data16s", ("int32", 1): "Data32s", ("int64", 1): "Data64s",
    ("uint32", 1): "Data32", ("uint64", 1): "Data64", ("float32", 1): "Data32f", ("float64", 1): "Data64f",
}  # fmt: skip


def guess(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    """Returns the PFNC name that an array of this shape and dtype is taken for where it comes without one.

    An image has the shape (height, width) or (height, width, channels), in any byte order. Returns None for what is not
    an image, or not one that a name describes.
    """
    if len(shape) not in (2, 3):
        return None
    return _UNNAMED.get((dtype.name, shape[2] if len(shape) == 3 else 1))


def fits(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an array of this shape and dtype can be an image of the pixel format `name`, which must be known.

    One channel has no axis, or one of length 1; a planar image has its channels first. False for all formats whose
    samples share bytes: the shape does not tell.
    """
    known = FORMATS[name]
    if known.dtype is None or dtype.name != known.dtype or len(shape) not in (2, 3):
        return False
    if known.channels > 1 and len(shape) == 2:
        return False
    if name.endswith("_Planar"):
        return shape[0] == known.channels
    return (shape[2] if len(shape) == 3 else 1) == known.channels


def check(name: str) -> str:
    """Returns `name` if it is the name of a pixel format framebus knows.

    Raises ValueError, with the names that come closest, if it is not, and TypeError if it is not a str.
    """
    if not isinstance(name, str):
        raise TypeError(f"pixel_format must be a str such as 'BGR8', not {type(name).__name__}")
    if name in FORMATS:
        return name
    raise ValueError(
        f"pixel_format {name[: 2 * MAX_NAME_BYTES]!r} is not known{_did_you_mean(name)} Names are those of EMVA's "
        f"Pixel Format Naming Convention, at most {MAX_NAME_BYTES} ASCII characters: 'Mono8', 'BGR8', 'BayerRG12p', "
        "'Coord3D_C16' ...; leave pixel_format out if none fits"
    )


def named(name: str) -> str:
    """Returns the PFNC name for what an option of a URL says: a PFNC name, or I420, yuv420p, YV12, NV12 or NV21.

    Raises as check() does.
    """
    return _SYNONYMS.get(str(name).lower()) or check(name)


def _did_you_mean(name: str) -> str:
    import difflib  # only for the message

    lower = name[: 2 * MAX_NAME_BYTES].lower()
    by_lower = {known.lower(): known for known in FORMATS}
    found = _ALIASES.get(lower) or _SYNONYMS.get(lower) or by_lower.get(lower)
    close = [found] if found else [by_lower[near] for near in difflib.get_close_matches(lower, by_lower, 3, 0.7)]
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
