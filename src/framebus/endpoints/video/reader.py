# SPDX-License-Identifier: Apache-2.0
"""The pictures of a video file, once or over and over, each with the moment at which it is to be shown.

Decoding and conversion are PyAV's. It has no way of being given the memory for its result, so the finished picture is
copied once, into the memory that the caller wants it in, without the padding at the end of its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from framebus.endpoints.video.forms import TO_AV, form_for
from framebus.errors import EndpointError
from framebus.pixel_format import FORMATS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

NO_RATE_HZ = 25.0  # for files that say neither when a picture is due nor how many there are a second


@dataclass(frozen=True)
class Picture:
    """One decoded picture.

    Attributes:
        number: counted from 0, on and on.
        index: counted from 0 in each round.
        round: how often the file had been played before.
        time_s: when it is to be shown, counted from the first picture of the first round.
        pts_s: the same by the file's own clock; None where it does not say.
        form: PFNC name of its pixel format.
        frame: what PyAV has made.
    """

    number: int
    index: int
    round: int
    time_s: float
    pts_s: float | None
    form: str
    frame: VideoFrame

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, and channels where there are several."""
        channels = FORMATS[self.form].channels
        return (self.frame.height, self.frame.width) + ((channels,) if channels > 1 else ())

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a sample."""
        return np.dtype(FORMATS[self.form].dtype)

    def draw_into(self, target: NDArray[Any]) -> None:
        """Fills `target`, which has this picture's shape and dtype."""
        plane = self.frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
        width = math.prod(target.shape[1:]) * target.itemsize
        np.copyto(target, rows[: target.shape[0], :width].view(target.dtype).reshape(target.shape))


class Reader:
    """Reads the first video stream of a file.

    Attributes:
        refused: pieces of the file so far that could not be decoded, and were left out.
        time_base: what the file counts time in, known from the first picture on.
    """

    def __init__(
        self, path: str, *, form: str = "auto", loop: bool = False, start_s: float = 0.0, threads: int = 0
    ) -> None:
        """Does not look at the file yet.

        Args:
            path: of the file.
            form: PFNC name to convert to; "auto" for what loses least, "native" to refuse what has to be converted.
            loop: after the last picture comes the first again, at the same pace.
            start_s: leave out what comes before that time.
            threads: to decode with, 0 for as many as there are processors.
        """
        self.path, self.refused = path, 0
        self.time_base: Fraction | None = None
        self._form, self._loop, self._start_s, self._threads = form, loop, start_s, threads

    def pictures(self) -> Iterator[Picture]:
        """Yields the pictures, in the order of showing.

        Raises EndpointError for what is no file, or not one that can be decoded.
        """
        number = round_ = 0
        begin_s = 0.0
        while round_ == 0 or self._loop:
            index, end_s = 0, begin_s
            for time_s, duration_s, frame in self._one_round():
                form, converted = self._convert(frame)
                yield Picture(number, index, round_, begin_s + time_s, frame.time, form, converted)
                number, index = number + 1, index + 1
                end_s = max(end_s, begin_s + time_s + duration_s)
            if index == 0:
                raise EndpointError(self._says("has no picture that can be decoded" + self._after_start()))
            begin_s, round_ = end_s, round_ + 1

    def _one_round(self) -> Iterator[tuple[float, float, VideoFrame]]:
        """Yields the moment from the beginning, the duration and the picture."""
        import av

        decoded = 0
        try:
            # As a "file:", so that a colon in a name does not make it the address of something else.
            with av.open(f"file:{self.path}") as container:
                if not container.streams.video:
                    raise EndpointError(self._says("has no video in it"))
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                stream.codec_context.thread_count = self._threads
                self.time_base = stream.time_base
                for picture in self._timed(stream, self._decoded(container, stream)):
                    yield picture
                    decoded += 1
        except (av.FFmpegError, OSError) as error:
            where = f" after {decoded} pictures" if decoded else ""
            raise EndpointError(self._says(f"can't be played{where}: {error}")) from error

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yields what can be decoded, from the start that is wanted; counts what can't."""
        import av

        if self._start_s and stream.time_base is not None:
            first = stream.start_time or 0
            container.seek(first + int(self._start_s / stream.time_base), stream=stream)
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self.refused += 1
                continue
            yield from frames

    def _timed(self, stream: VideoStream, frames: Iterator[VideoFrame]) -> Iterator[tuple[float, float, VideoFrame]]:
        """Yields each with its moment and how long it is shown, were it the last: as long as the one before it.

        What has no time of its own follows at the usual distance.
        """
        duration_s = 1 / float(stream.average_rate or NO_RATE_HZ)
        begin_s: float | None = None
        if self._start_s and stream.start_time is not None and stream.time_base is not None:
            begin_s = float(stream.start_time * stream.time_base)
        first_s: float | None = None
        shown_s = -duration_s
        for frame in frames:
            due_s = shown_s + duration_s
            if frame.time is not None:
                begin_s = frame.time if begin_s is None else begin_s
                if frame.time - begin_s < self._start_s - 1e-6:
                    continue
                first_s = frame.time if first_s is None else first_s
                due_s = max(0.0, shown_s, frame.time - first_s)
            yield due_s, due_s - shown_s if shown_s >= 0 and due_s > shown_s else duration_s, frame
            shown_s = due_s

    def _convert(self, frame: VideoFrame) -> tuple[str, VideoFrame]:
        import av

        has = frame.format
        form = self._form
        if form in ("auto", "native"):
            bits = max(component.bits for component in has.components)
            is_gray = has.name.startswith(("gray", "ya8", "ya16", "mono"))
            form = form_for(has.name, bits, is_gray, any(component.is_alpha for component in has.components))
            if self._form == "native" and TO_AV[form] != has.name:
                raise EndpointError(
                    self._says(f"is stored as {has.name}, which has no PFNC name here; ask for pixel_format={form}")
                )
        try:
            return form, frame.reformat(format=TO_AV[form])
        except (av.FFmpegError, ValueError) as error:
            raise EndpointError(self._says(f"is stored as {has.name}, which can't be made {form}: {error}")) from error

    def _after_start(self) -> str:
        return f" at or after start={self._start_s:g}" if self._start_s else ""

    def _says(self, what: str) -> str:
        return f"{self.path!r} {what}; play another file"
