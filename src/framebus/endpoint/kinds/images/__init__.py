# SPDX-License-Identifier: Apache-2.0
"""images:GLOB: the pictures of image files one after the other, and an image file for each picture, with exact numbers.

    source   reads what a glob finds, in natural order
    sink     writes PNG, TIFF or JPEG, so that no program ever finds half a file
    reading  chooses the reader of a file by its first bytes
    page     what all readers return, and what samples are called
    tiff     TIFF, read and written, by tifffile
    netpbm   PBM, PGM, PPM, PAM and PFM, by numpy
    coded    PNG, JPEG, JPEG 2000 and AVIF with more than 8 bits, by imagecodecs

A question mark in a glob or a name is written %3F in a URL.
"""

from __future__ import annotations

from framebus.endpoint import Endpoint
from framebus.endpoint.kinds.images.sink import CAPABILITIES, open_sink
from framebus.endpoint.kinds.images.source import open_source

ENDPOINTS = {
    "images": Endpoint(
        "images",
        "image files, read in natural order or written one for each frame",
        "images:GLOB or images:FOLDER/NAME-{seq:06d}.png",
        open_source,
        open_sink,
        CAPABILITIES,
        needs=("PIL", "tifffile", "imagecodecs"),
        extra="video",
    ),
}
