# SPDX-License-Identifier: Apache-2.0
"""The pictures of a video file, over and over, each with the moment at which it is to be shown.

Decoding and conversion to BGR are PyAV's. It has no way of being given the memory for its result, so the finished
picture is copied once, into the memory that the caller wants it in, without the padding at the end of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framebus.errors import EndpointError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

NO_RATE_HZ = 25.0  # for files that say neither when a picture is due nor how many there are a second


@dataclass(frozen=True)
class ClipPicture:
    """One decoded picture."""

    number: int
    time_s: float  # when it is to be shown, counted from the first picture of the first round
    frame: VideoFrame

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, and blue, green, red."""
        return self.frame.height, self.frame.width, 3

    def draw_into(self, target: NDArray[np.uint8]) -> None:
        """Fills `target`, which has this picture's shape."""
        height, width, colours = self.shape
        plane = self.frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)  # type: ignore[call-overload]
        np.copyto(target, rows[:, : width * colours].reshape(target.shape))


def pictures(path: str) -> Iterator[ClipPicture]:
    """Yields the pictures of the first video stream; after the last comes the first again, at the same pace.

    Raises EndpointError for what is no file, or not one that can be decoded.
    """
    number = 0
    begin_s = 0.0
    while True:
        end_s = begin_s
        for time_s, duration_s, frame in _one_round(path):
            yield ClipPicture(number, begin_s + time_s, frame)
            number += 1
            end_s = max(end_s, begin_s + time_s + duration_s)
        if end_s == begin_s:
            raise EndpointError(f"{path!r} has no picture that can be decoded; play another file, or --source pattern")
        begin_s = end_s


def _one_round(path: str) -> Iterator[tuple[float, float, VideoFrame]]:
    """Yields the moment from the beginning, the duration and the picture, in the order of showing."""
    try:
        import av
        from av.video.reformatter import VideoReformatter
    except ModuleNotFoundError as error:
        raise EndpointError(
            f'playing a file needs PyAV ({error}); install it: pip install "framebus[video]", or play --source pattern'
        ) from error
    to_bgr = VideoReformatter()
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise EndpointError(f"{path!r} has no video in it; play another file, or --source pattern")
            stream = container.streams.video[0]
            duration_s = 1 / float(stream.average_rate or NO_RATE_HZ)
            first_s: float | None = None
            shown_s = -duration_s
            for frame in container.decode(stream):
                due_s = shown_s + duration_s
                if frame.time is not None:
                    first_s = frame.time if first_s is None else first_s
                    due_s = max(0.0, shown_s, frame.time - first_s)
                yield due_s, duration_s, to_bgr.reformat(frame, format="bgr24")
                shown_s = due_s
    except (av.FFmpegError, OSError) as error:
        raise EndpointError(f"{path!r} can't be played: {error}; play another file, or --source pattern") from error
