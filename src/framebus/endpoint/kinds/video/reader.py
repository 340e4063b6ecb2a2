# SPDX-License-Identifier: Apache-2.0
"""The pictures of a video file, once or repeatedly, each with the time at which it is to be shown.

PyAV decodes and converts. It can't write into memory of the caller, so the finished picture is copied once, into that
memory, without the padding at the end of its rows, and turned if necessary.

    timeline   when a picture is shown
    turning    which way up
    colour     which colours its numbers mean
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.video.colour import from_stored, is_limited_grey
from framebus.endpoint.kinds.video.forms import TO_AV, form_for
from framebus.endpoint.kinds.video.timeline import BestClock, Timeline
from framebus.endpoint.kinds.video.turning import CLOCKWISE, Rotate, Turning, turning_of
from framebus.errors import EndpointError
from framebus.frames.pixel_format import FORMATS

if TYPE_CHECKING:
    from av import VideoCodecContext
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

# Decoders that know of transparency, which FFmpeg's own leave out.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_WRAPS_AT, _MPEG_TICK = 2**33, Fraction(1, 90000)  # the counter of MPEG transport and program streams

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
        turning: what shape and draw_into() do to it.
        rotation: degrees counterclockwise by which the file wants it turned beyond that.
        is_limited: grey with black at 16 and white at 235 (of 8 bits), which draw_into() expands.
    """

    number: int
    index: int
    round: int
    time_s: float
    pts_s: float | None
    form: str
    frame: VideoFrame
    turning: Turning
    rotation: int
    is_limited: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, columns, and channels where there are several."""
        channels = FORMATS[self.form].channels
        return self.turning.shape((self.frame.height, self.frame.width) + ((channels,) if channels > 1 else ()))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a sample."""
        return np.dtype(FORMATS[self.form].dtype)

    def draw_into(self, target: NDArray[Any]) -> None:
        """Fills `target`, which has this picture's shape and dtype."""
        stored = self.turning.as_stored(target)
        plane = self.frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
        width = math.prod(stored.shape[1:]) * stored.itemsize
        np.copyto(stored, rows[: stored.shape[0], :width].view(stored.dtype).reshape(stored.shape))
        if self.is_limited:
            _expand(stored, _BITS[self.form])


_BITS = {"Mono8": 8, "Mono10": 10, "Mono12": 12, "Mono14": 14, "Mono16": 16}


def _expand(grey: NDArray[Any], bits: int) -> None:
    """Has black at 0 and white at the largest number, where they were at 16 and 235 of 8 bits."""
    unit, most = 1 << (bits - 8), (1 << bits) - 1
    levels = (np.arange(most + 1) - 16.0 * unit) * (most / (219.0 * unit))
    grey[...] = np.clip(np.rint(levels), 0, most).astype(grey.dtype)[grey]


class Reader:
    """Reads the first video stream of a file.

    Attributes:
        refused: pieces of the file so far that could not be decoded, and were left out.
        time_base: what the file counts time in, known from the first picture on.
    """

    def __init__(
        self,
        path: str,
        *,
        form: str = "auto",
        loop: bool = False,
        start_s: float = 0.0,
        threads: int = 0,
        rotate: Rotate = "auto",
    ) -> None:
        """Does not look at the file yet.

        Args:
            path: of the file.
            form: PFNC name to convert to; "auto" for what loses least, "native" to refuse what has to be converted.
            loop: after the last picture comes the first again, at the same pace.
            start_s: leave out what comes before that time.
            threads: to decode with, 0 for as many as there are processors.
            rotate: "auto" as the file says, "keep" as stored, or degrees clockwise from how it is stored.
        """
        self.path, self.refused = path, 0
        self.time_base: Fraction | None = None
        self._form, self._loop, self._start_s, self._threads, self._rotate = form, loop, start_s, threads, rotate
        self._reformatter: VideoReformatter | None = None

    def pictures(self) -> Iterator[Picture]:
        """Yields the pictures, in the order of showing.

        Raises EndpointError for what is not a file, or not one that can be decoded.
        """
        number = round_ = 0
        begin_s = 0.0
        while round_ == 0 or self._loop:
            index, end_s = 0, begin_s
            for time_s, duration_s, frame in self._one_round():
                yield self._picture(number, index, round_, begin_s + time_s, frame)
                number, index = number + 1, index + 1
                end_s = max(end_s, begin_s + time_s + duration_s)
            if index == 0:
                raise EndpointError(self._says("has no picture that can be decoded" + self._after_start()))
            begin_s, round_ = end_s, round_ + 1

    def _one_round(self) -> Iterator[tuple[float, float, VideoFrame]]:
        """Yields the moment from the beginning, the duration and the picture."""
        found = False
        for picture in self._played(seeks=self._start_s > 0):
            yield picture
            found = True
        if not found and self._start_s > 0:  # the clock of a file that starts again leads nowhere
            yield from self._played(seeks=False)

    def _played(self, *, seeks: bool) -> Iterator[tuple[float, float, VideoFrame]]:
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
                if seeks and stream.time_base is not None:
                    first = stream.start_time or 0
                    container.seek(first + int(self._start_s / stream.time_base), stream=stream)
                for picture in self._timed(container, stream):
                    yield picture
                    decoded += 1
        except (av.FFmpegError, OSError) as error:
            where = f" after {decoded} pictures" if decoded else ""
            raise EndpointError(self._says(f"can't be played{where}: {error}")) from error

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yields what can be decoded; counts what can't."""
        import av

        decoder = _decoder_with_alpha(stream, self._threads)
        for packet in container.demux(stream):
            try:
                frames = packet.decode() if decoder is None else decoder.decode(packet)
            except av.InvalidDataError:
                self.refused += 1
                continue
            yield from frames

    def _timed(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[float, float, VideoFrame]]:
        """Yields each from the start that is wanted, with its moment and how long it is shown, were it the last."""
        from av.format import Flags

        may_jump = bool(Flags.ts_discont & Flags(container.format.flags))
        wraps_s = float(_WRAPS_AT * _MPEG_TICK) if may_jump and stream.time_base == _MPEG_TICK else None
        usual_s = 1 / float(stream.average_rate or NO_RATE_HZ)
        clock = BestClock()
        line = Timeline(usual_s, clock_may_jump=may_jump, wraps_after_s=wraps_s)
        base_s: float | None = None
        first_s: float | None = None
        for frame in self._decoded(container, stream):
            ticks = clock.choose(frame.pts, frame.dts)
            time_s = None if ticks is None or frame.time_base is None else float(ticks * frame.time_base)
            shown_s = line.next(time_s)
            if base_s is None:
                base_s = 0.0
                if stream.start_time is not None and stream.time_base is not None and time_s is not None:
                    base_s = time_s - float(stream.start_time * stream.time_base)
            if base_s + shown_s < self._start_s - 1e-6:
                continue
            first_s = shown_s if first_s is None else first_s
            yield shown_s - first_s, line.distance_s, frame

    def _picture(self, number: int, index: int, round_: int, time_s: float, frame: VideoFrame) -> Picture:
        form, converted = self._convert(frame)
        turning = turning_of(frame) if self._rotate == "auto" else CLOCKWISE.get(self._rotate, Turning())
        rotation = frame.rotation if self._rotate == "keep" or turning is None else 0
        is_limited = is_limited_grey(frame) and form.startswith("Mono")
        return Picture(
            number, index, round_, time_s, frame.time, form, converted, turning or Turning(), rotation, is_limited
        )

    def _convert(self, frame: VideoFrame) -> tuple[str, VideoFrame]:
        import av
        from av.video.reformatter import VideoReformatter

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
        if self._reformatter is None:
            self._reformatter = VideoReformatter()
        try:
            return form, from_stored(self._reformatter, frame, TO_AV[form])
        except (av.FFmpegError, ValueError) as error:
            raise EndpointError(self._says(f"is stored as {has.name}, which can't be made {form}: {error}")) from error

    def _after_start(self) -> str:
        return f" at or after start={self._start_s:g}" if self._start_s else ""

    def _says(self, what: str) -> str:
        return f"{self.path!r} {what}; play another file"


def _decoder_with_alpha(stream: VideoStream, threads: int) -> VideoCodecContext | None:
    """Returns the decoder for a stream with transparency that FFmpeg's own would leave out; None for all others."""
    import av

    name = _WITH_ALPHA.get(stream.codec_context.name)
    if name is None or {key.lower(): value for key, value in stream.metadata.items()}.get("alpha_mode") != "1":
        return None
    with suppress(av.codec.codec.UnknownCodecError):
        decoder = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
        decoder.thread_count = threads
        has = stream.codec_context
        for what in ("colorspace", "color_range", "color_primaries", "color_trc"):
            setattr(decoder, what, getattr(has, what))
        return decoder
    return None
