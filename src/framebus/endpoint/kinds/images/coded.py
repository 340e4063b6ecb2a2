# SPDX-License-Identifier: Apache-2.0
"""Pictures with more than 8 bits that Pillow would cut or scale, decoded by imagecodecs: PNG, JPEG, JPEG 2000, AVIF.

The header of each file says how many bits a sample has. That decides the pixel format (Mono12, RGB10 ...); the numbers
are those of the file. Pictures that these decoders can't return exactly are refused: moving ones with more than 8 bits,
channels of different depths, and colours that are not red, green and blue.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.images.page import Page, check_size, of_samples

_GREY_ALPHA, _RGB_ALPHA = 4, 6  # colour types of PNG, of which bit 1 says colour and bit 2 alpha


def png_depth(data: bytes) -> int:
    """Returns the bits of a sample of a PNG."""
    return data[24] if len(data) > 25 and data[12:16] == b"IHDR" else 8


def png(data: bytes) -> Page:
    """Returns the picture of a PNG with 16 bits; a transparent colour becomes alpha."""
    import imagecodecs

    width, height = struct.unpack(">II", data[16:24])
    check_size(width, height)
    colour_type, chunks = data[25], dict(_png_chunks(data))
    if b"acTL" in chunks:
        raise ValueError("moving PNG with 16 bits can't be read exactly; store its pictures one by one")
    array = imagecodecs.png_decode(data)
    alpha = bool(colour_type & 4) or b"tRNS" in chunks
    colour = bool(colour_type & 2)
    return _of(array, 16, (height, width), (3 if colour else 1) + alpha, colour=colour, alpha=alpha)


def png_transparent_grey(data: bytes) -> int | None:
    """Returns the number, of 8 bits, that a grey PNG of up to 8 bits has for transparent; None where it has none."""
    chunks = dict(_png_chunks(data))
    if data[25] != 0 or len(chunks.get(b"tRNS", b"")) < 2:
        return None
    top = (1 << data[24]) - 1
    number: int = struct.unpack(">H", chunks[b"tRNS"][:2])[0] & top
    return number * (255 // top)


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks before the picture."""
    found, at = [], 8
    while at + 8 <= len(data):
        (size,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"IDAT":
            break
        found.append((kind, data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def jpeg_depth(data: bytes) -> int:
    """Returns the bits of a sample of a JPEG."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return data[at + 4]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 8


def jpeg(data: bytes) -> Page:
    """Returns the picture of a JPEG with more than 8 bits, also a lossless one."""
    import imagecodecs

    array = imagecodecs.jpeg_decode(data)
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    if channels not in (1, 3):
        raise ValueError(f"JPEG with {jpeg_depth(data)} bits and {channels} channels can't be read exactly")
    return _of(array, jpeg_depth(data), (height, width), channels, colour=channels == 3, alpha=False)


def jpeg2000(data: bytes) -> Page:
    """Returns the picture of a JPEG 2000 file or codestream of any depth and sign."""
    import imagecodecs

    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise ValueError("it has no codestream")
    sizes = struct.unpack(">IIII", data[at + 8 : at + 24])
    (count,) = struct.unpack(">H", data[at + 40 : at + 42])
    parts = [data[at + 42 + 3 * index : at + 45 + 3 * index] for index in range(count)]
    if not parts or len(set(parts)) != 1 or parts[0][1:] != b"\1\1":
        raise ValueError("its channels differ in depth or size; store them as a TIFF")
    width, height = sizes[0] - sizes[2], sizes[1] - sizes[3]
    check_size(width, height, count)
    head = data[:at]
    if (colours := head.find(b"colr\1")) >= 0 and struct.unpack(">I", head[colours + 7 : colours + 11])[0] not in (
        16,
        17,
    ):
        raise ValueError("its colours are not red, green and blue; store them so")
    if b"pclr" in head:
        raise ValueError("it has a palette; store the colours themselves")
    array = imagecodecs.jpeg2k_decode(data)
    bits, signed = (parts[0][0] & 0x7F) + 1, bool(parts[0][0] & 0x80)
    colour, alpha = count in (3, 4), count in (2, 4) and (b"cdef" in head or at == 0)
    if signed != (array.dtype.kind == "i"):
        raise ValueError(f"its samples are {'signed' if signed else 'unsigned'}, and were decoded as {array.dtype}")
    return _of(array, bits, (height, width), count, colour=colour, alpha=alpha)


def avif_depth(data: bytes) -> int:
    """Returns the bits of a sample of an AVIF file: 8, 10 or 12."""
    at = data.find(b"av1C")
    flags = data[at + 6] if 0 <= at < len(data) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def avif(data: bytes) -> Page:
    """Returns the picture of an AVIF file with 10 or 12 bits."""
    import imagecodecs

    if data[8:12] == b"avis":
        raise ValueError("moving AVIF with more than 8 bits can't be read exactly; store its pictures one by one")
    array = imagecodecs.avif_decode(data)
    height, width = array.shape[:2]
    check_size(width, height)
    channels = array.shape[2] if array.ndim == 3 else 1
    return _of(array, avif_depth(data), (height, width), channels, colour=channels > 2, alpha=channels in (2, 4))


def _of(array: NDArray[Any], bits: int, size: tuple[int, int], channels: int, *, colour: bool, alpha: bool) -> Page:
    """The page of what was decoded, which must have the shape and the range that the head of the file says."""
    if array.shape[:2] != size or array.size != size[0] * size[1] * channels or array.dtype.kind not in "iu":
        raise ValueError(f"it was decoded to {array.shape} of {array.dtype}, and says {(*size, channels)}")
    maxval = (1 << bits) - 1
    whole = array.dtype.kind == "u"
    if bits > 8 * array.dtype.itemsize or (whole and array.size and int(array.max()) > maxval):
        raise ValueError(f"it has {bits} bits a sample, and was decoded to {array.dtype} up to {array.max()}")
    return of_samples(np.asarray(array).reshape(*size, channels), maxval if whole else None, colour=colour, alpha=alpha)


def encode_png(array: NDArray[Any], level: int) -> bytes:
    """Returns a PNG of uint16, red first, with 3 or 4 channels."""
    import imagecodecs

    return bytes(imagecodecs.png_encode(np.ascontiguousarray(array), level=level))


def read(path: str) -> bytes:
    """Returns the bytes of a file."""
    return Path(path).read_bytes()
