# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on video: and images:, whose readers come when the writer has closed.

Both are asked for what loses nothing: FFV1 in Matroska, and TIFF. The video is written with fps, so that timestamps of
any order are taken. Colour images: give red first whatever was sent, so they are in tests/unit/test_endpoint_images.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import framebus
from framebus.testing import conformance, specimen

needs = 'run: pip install "framebus[video]"'
pytest.importorskip("av", reason=f"needs PyAV; {needs}")
pytest.importorskip("PIL", reason=f"needs Pillow; {needs}")


class Files(conformance.Suite):
    @pytest.fixture(autouse=True)
    def _whole_file(self, tmp_path: Path) -> None:
        (tmp_path / "whole").mkdir()
        link = self.link(tmp_path / "whole")
        with framebus.sink(link.sink) as sink:
            for number in range(3):
                sink.send(specimen.make(number, "|u1", (48, 64)))
        self.whole = next((tmp_path / "whole").iterdir()).read_bytes()

    def messages(self) -> list[bytes]:
        return [self.whole]


class TestVideo(Files):
    pixel_format = "BGR8"

    def link(self, tmp_path: Path) -> conformance.Link:
        file = tmp_path / "clip.mkv"
        return conformance.Link(source=f"video:{file}?pace=fast", sink=f"video:{file}?fps=100")

    def garbage(self, link: conformance.Link) -> Callable[[bytes], object]:
        return Path(link.source.partition(":")[2].partition("?")[0]).write_bytes


class TestImages(Files):
    pixel_format = "Mono8"

    def link(self, tmp_path: Path) -> conformance.Link:
        return conformance.Link(source=f"images:{tmp_path}/*.tif", sink=f"images:{tmp_path}/{{seq:06d}}.tif")

    def carries(self, dtype: str, shape: Sequence[int]) -> bool:
        # Native numbers of up to 16 bytes: a TIFF knows no longdouble, and bool would come back as black and white.
        stored = np.dtype(dtype).isnative and dtype[1:] not in ("b1", "f16", "c32")
        return stored and len(shape) == 2 and 0 not in shape

    def garbage(self, link: conformance.Link) -> Callable[[bytes], object]:
        return Path(link.source.partition(":")[2]).with_name("000001.tif").write_bytes
