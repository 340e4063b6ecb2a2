# SPDX-License-Identifier: Apache-2.0
"""Which colours the numbers of a video file mean: what is written and tagged, and what is read, with tags or without.

A file is converted to and tagged with: matrix, primaries, transfer and range.

    red, green, blue   as they are: matrix RGB, primaries of BT.709, transfer of sRGB, full range
    grey               as it is: full range, the other tags as for a colour video of its size
    everything else    BT.709 from 720 lines up, BT.601 (SMPTE 170M) below, limited range
    Motion JPEG        BT.601 with full range whatever the size, as JFIF has it
    VP8                BT.601 whatever the size, as its streams know nothing else

A player takes untagged video from 720 lines up for BT.709, and so does the reader. Tags that are there are honoured.
Primaries and transfer are tags only: no picture is converted from one display to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from av import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

HD_LINES: Final = 720

# FFmpeg's AVColorSpace, AVColorPrimaries, AVColorTransferCharacteristic and AVColorRange, numbered by ITU-T H.273.
_RGB, _BT709, _UNSPECIFIED, _BT470BG, _SMPTE170M, _SRGB = 0, 1, 2, 5, 6, 13
_LIMITED, _FULL = 1, 2


class Tags(NamedTuple):
    """What a file says about its colours, in the numbers of ITU-T H.273, and AVColorRange."""

    matrix: int
    primaries: int
    transfer: int
    range: int


def tags_for(stored: str, codec: str, lines: int) -> Tags:
    """Returns what to write for pictures that are stored as FFmpeg's format `stored`."""
    if stored.startswith(("rgb", "bgr", "gbr")):
        return Tags(_RGB, _BT709, _SRGB, _FULL)
    if codec == "mjpeg":
        return Tags(_BT470BG, _SMPTE170M, _SMPTE170M, _FULL)
    standard = _BT709 if lines >= HD_LINES and codec != "libvpx" else _SMPTE170M
    is_full = stored.startswith(("gray", "ya", "yuvj"))
    return Tags(standard, standard, standard, _FULL if is_full else _LIMITED)


def tag(context: VideoCodecContext, tags: Tags) -> None:
    """Has an encoder say these in its stream, and the container in its header."""
    context.colorspace, context.color_primaries = tags.matrix, tags.primaries
    context.color_trc, context.color_range = tags.transfer, tags.range


def to_stored(reformatter: VideoReformatter, frame: VideoFrame, stored: str, tags: Tags) -> VideoFrame:
    """Converts a picture of full-range red, green and blue, or grey, to what is stored, and tags it."""
    frame.colorspace, frame.color_range = _RGB, _FULL
    from av.video.reformatter import Colorspace

    matrix = Colorspace.ITU709 if tags.matrix == _BT709 else Colorspace.ITU601
    made = reformatter.reformat(frame, format=stored, dst_colorspace=matrix, dst_color_range=tags.range)
    made.colorspace, made.color_range = tags.matrix, tags.range
    made.color_primaries, made.color_trc = tags.primaries, tags.transfer
    return made


def from_stored(reformatter: VideoReformatter, frame: VideoFrame, wanted: str) -> VideoFrame:
    """Converts a decoded picture to FFmpeg's format `wanted`, by its tags, or by its size where it has none."""
    from av.video.reformatter import Colorspace

    source = None
    if not frame.format.is_rgb and frame.colorspace in (_RGB, _UNSPECIFIED):
        source = Colorspace.ITU709 if frame.height >= HD_LINES else Colorspace.ITU601
    return reformatter.reformat(frame, format=wanted, src_colorspace=source, dst_color_range=_FULL)


def is_limited_grey(frame: VideoFrame) -> bool:
    """Says whether a grey picture has black and white at 16 and 235 (of 8 bits), which FFmpeg does not expand."""
    return frame.color_range == _LIMITED and frame.format.name.startswith(("gray", "ya"))
