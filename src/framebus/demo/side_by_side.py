# SPDX-License-Identifier: Apache-2.0
"""A PNG with a frame and its result next to each other, as proof that they belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from framebus import Frame

WIDTH = 960  # of each picture in the file
MARGIN = 16
CAPTION_HEIGHT = 44
BACKGROUND = (18, 20, 24)
INK = (230, 232, 236)


def write_png(path: Path, source: Frame, result: Frame) -> None:
    """Writes both pictures (BGR, h x w x 3, uint8) with captions. Raises OSError if the file can't be written."""
    left, right = _picture(source), _picture(result)
    size = (2 * WIDTH + 3 * MARGIN, CAPTION_HEIGHT + max(left.height, right.height) + MARGIN)
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    meta = result.meta
    captions = (
        f"player: frame {source.seq}",
        f"worker: made from frame {meta['source']['seq']}; edges {meta['edges']:.1%}, motion {meta['motion']:.1%}",
    )
    for place, (picture, caption) in enumerate(zip((left, right), captions, strict=True)):
        x = MARGIN + place * (WIDTH + MARGIN)
        draw.text((x, 12), caption, fill=INK, font=ImageFont.load_default(22))
        sheet.paste(picture, (x, CAPTION_HEIGHT))
    sheet.save(path, format="PNG", compress_level=4)


def _picture(frame: Frame) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(frame.array[..., ::-1]))
    return picture.resize((WIDTH, max(1, round(picture.height * WIDTH / picture.width))), Image.Resampling.BICUBIC)
