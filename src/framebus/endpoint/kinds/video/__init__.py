# SPDX-License-Identifier: Apache-2.0
"""video:FILE: the pictures of a video file, and a video file of pictures, by PyAV.

    reader   decodes a file, once or repeatedly; the demo plays its clip with it
    source   returns the pictures in time
    forms    FFmpeg's names of pixel formats, and which of them a codec keeps
    sink     encodes a file

FILE is the path of a file, never the address of anything else. A question mark in it is written %3F.
"""

from __future__ import annotations

from framebus.endpoint import Endpoint
from framebus.endpoint.kinds.video.forms import CAPABILITIES
from framebus.endpoint.kinds.video.sink import open_sink
from framebus.endpoint.kinds.video.source import open_source

ENDPOINTS = {
    "video": Endpoint(
        "video",
        "video files, at their own pace or as fast as asked",
        "video:FILE",
        open_source,
        open_sink,
        CAPABILITIES,
        needs=("av",),
        extra="video",
    ),
}
