# SPDX-License-Identifier: Apache-2.0
"""Makes a small video file whose pictures can be told apart."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

RATE_HZ = 20
PICTURES = 12
HEIGHT, WIDTH = 120, 160


def make_clip(path: Path) -> Path:
    """Writes PICTURES gray pictures, each brighter than the one before, at RATE_HZ."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(PICTURES):
            gray = np.full((HEIGHT, WIDTH, 3), 20 + 18 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="bgr24")))
        container.mux(stream.encode())
    return path
