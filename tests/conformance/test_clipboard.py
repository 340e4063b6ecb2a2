# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on clipboard:, on a desktop of its own. The foreign sender is xclip, which copies anything."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support.desktop import display, needs_display

from framebus.testing import conformance
from framebus.testing.conformance.carrying import DTYPES
from framebus.testing.conformance.foreign import Throw
from framebus.testing.conformance.pair import Pair

pytestmark = needs_display


@pytest.fixture(scope="module", autouse=True)
def desktop() -> Iterator[None]:
    """The display of this program and of those it starts."""
    with display() as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", name)
        yield


class TestClipboard(conformance.Suite):
    pixel_format = "BGR8"

    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - there is one clipboard
        url = "clipboard:?interval=0.01&pixel_format=BGR8"
        return conformance.Link(source=url, sink="clipboard:")

    def carries(self, dtype: str, shape: Sequence[int]) -> bool:
        # Grey ones and those of four samples are taken too, but come out as BGR8; 4K may be too much for X11.
        return dtype == "|u1" and len(shape) == 3 and shape[2] == 3 and 0 < shape[0] * shape[1] <= 2048 * 2048

    def test_every_dtype_in_both_byte_orders_arrives_or_is_refused(self, pair: Pair) -> None:
        # Not the grey one, which arrives as three equal channels: tests/multiprocess/test_endpoint_clipboard.py.
        self.check_images(pair, [(dtype, (6, 4), "C") for dtype in DTYPES if dtype != "|u1"])

    def garbage(self, link: conformance.Link) -> Throw:  # noqa: ARG002
        return Copier()

    def messages(self) -> list[bytes]:
        file = io.BytesIO()
        Image.fromarray(np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)).save(file, "PNG")
        return [file.getvalue()]


class Copier:
    """Copies bytes that claim to be an image."""

    def __call__(self, piece: bytes) -> None:
        subprocess.run(
            ["xclip", "-selection", "clipboard", "-t", "image/png"],
            input=piece,
            env=dict(os.environ),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )

    def close(self) -> None:
        """It keeps nothing."""
