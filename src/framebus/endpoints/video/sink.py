# SPDX-License-Identifier: Apache-2.0
"""The sink of video:FILE.

The extension says how it is encoded, unless `codec` does: .mkv holds every picture exactly (FFV1), also with 16 bits;
.mp4, .mov and .m4v H.264 where PyAV has it, else MPEG-4, .webm VP9, all three with some loss. All frames of a file have
one size and pixel format; another one is refused.

Times: without `fps` each picture is shown when its timestamp says, counted from the first frame's, to a millisecond in
.mkv and .webm; frames that are closer together than the file can say are moved apart by that much. A frame older than
the one before it is refused. With `fps` timestamps don't matter. What gets lost are metadata and sequence numbers, and
when the first frame was.

The file is written beside its place as NAME.part.EXT and gets its name when the sink is closed, whatever ended the
`with` block, so FILE is always a whole video or the one that was there before. A writer that is killed, or ends without
close(), leaves the .part: of .mkv and .webm all but the last second or so can be played, of an .mp4, .mov or .m4v
nothing. A sink that never got a frame leaves no file.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import numpy as np

from framebus.endpoint import BaseSink, Deadline, Outgoing
from framebus.endpoints.video.forms import ABILITIES, KEEPS, TO_AV, form_of
from framebus.errors import EndpointError, InvalidUrl

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

_MPEG4, _H264 = "mpeg4", ("libx264", "libopenh264", "mpeg4")
_MATROSKA: dict[str, str] = {"cluster_time_limit": "500", "flush_packets": "1"}  # what a killed writer loses at most


class _Kind(NamedTuple):
    """What an extension means: codecs, the first that PyAV has; ticks of a second; options for the container."""

    codecs: tuple[str, ...]
    ticks: int
    options: dict[str, str]


_KINDS = {
    ".mkv": _Kind(("ffv1",), 1000, _MATROSKA),
    ".webm": _Kind(("libvpx-vp9",), 1000, _MATROSKA),
    ".mp4": _Kind(_H264, 60000, {}),
    ".m4v": _Kind(_H264, 60000, {}),
    ".mov": _Kind(_H264, 60000, {}),
}


class Encoding(NamedTuple):
    """How to encode: as the options of the URL say."""

    codec: str | None
    crf: float | None
    bitrate: int | None
    fps: float | None
    threads: int


class VideoSink(BaseSink):
    """Writes one file."""

    abilities = ABILITIES

    def __init__(self, path: Path, encoding: Encoding, lossy: bool) -> None:
        """Makes the file, so that a place where none can be is noticed now."""
        super().__init__(f"video:{path}")
        self.lossy = lossy
        self._path, self._encoding = path, encoding
        self._part = path.with_name(f"{path.stem}.part{path.suffix}")
        self._kind = _KINDS[path.suffix.lower()]
        self._codec = _codec_for(path, self._kind, encoding)
        self._file: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._begun: tuple[tuple[int, ...], str] | None = None
        self._first_ns = self._last_ns = 0
        self._last_tick = -1
        try:
            if path.is_dir():
                raise IsADirectoryError(f"{path} is a folder")
            self._part.touch()
        except OSError as error:
            raise EndpointError(
                f"{self.url!r} can't be written: {error}; name a file in a folder that is there"
            ) from error

    def _send(self, frame: Outgoing, deadline: Deadline) -> None:  # noqa: ARG002 - a file has nobody to wait for
        form = form_of(frame, self.url)
        shape = frame.array.shape[:2]
        if self._begun is None:
            self._begin(shape, form)
            self._begun = shape, form
            self._first_ns = self._last_ns = frame.timestamp_ns
        elif self._begun != (shape, form):
            has = f"{self._begun[0][1]}x{self._begun[0][0]} {self._begun[1]}"
            raise EndpointError(
                f"{self.url!r} has pictures of {has}, and frame {frame.seq} is {shape[1]}x{shape[0]} {form}; a video "
                "has one size and pixel format: write the others to another file"
            )
        tick = self._tick(frame)
        self._encode(frame, form, tick)
        self._last_tick, self._last_ns = tick, frame.timestamp_ns

    def _tick(self, frame: Outgoing) -> int:
        """Returns when it is shown, in ticks of the file."""
        if self._encoding.fps is not None:
            return self._last_tick + 1
        if frame.timestamp_ns < self._last_ns:
            early_s = (self._last_ns - frame.timestamp_ns) / 1e9
            raise EndpointError(
                f"{self.url!r}: frame {frame.seq} is {early_s:g} s older than the one before it; a video goes forward: "
                "open it with fps= where timestamps don't matter"
            )
        since = round(Fraction(frame.timestamp_ns - self._first_ns, 10**9) * self._kind.ticks)
        return max(self._last_tick + 1, since)

    def _begin(self, shape: tuple[int, ...], form: str) -> None:
        """Opens encoder and file for pictures of this kind."""
        import av

        how = self._encoding
        stored = self._stored_as(form, shape)
        options = {} if how.crf is None else {"crf": f"{how.crf:g}"}
        try:
            self._file = av.open(f"file:{self._part}", "w", options=self._kind.options)
            rate = Fraction(how.fps).limit_denominator(1001) if how.fps is not None else Fraction(30)
            stream = cast("VideoStream", self._file.add_stream(self._codec, rate=rate, options=options))
            stream.height, stream.width = shape
            stream.pix_fmt = stored
            context = stream.codec_context
            context.time_base = 1 / rate if how.fps is not None else Fraction(1, self._kind.ticks)
            context.thread_count = how.threads
            if how.bitrate is not None:
                context.bit_rate = how.bitrate
            elif how.crf is not None:
                context.bit_rate = 0
            elif self._codec == _MPEG4:  # whose own idea of a bit rate is one for small pictures
                context.bit_rate = max(1_000_000, math.prod(shape) * 6)
            context.open()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise EndpointError(
                f"{self.url!r} can't be begun with {shape[1]}x{shape[0]} {form} as {stored} by {self._codec}: {error}; "
                "try another codec= or a .mkv file, which takes every size"
            ) from error
        if how.crf is not None and "crf" in context.options:
            raise EndpointError(f"{self.url!r}: the codec {self._codec} knows no crf; say bitrate= instead, or neither")
        self._stream = stream

    def _stored_as(self, form: str, shape: tuple[int, ...]) -> str:
        """Returns what to give to the encoder."""
        import av

        known = [known.name for known in av.codec.Codec(self._codec, "w").video_formats or ()]
        for name in KEEPS[form]:
            if name in known and (self._codec == "ffv1" or form not in _EIGHT_BITS):
                return name
        if form not in _EIGHT_BITS and not self.lossy:
            raise EndpointError(
                f"{self.url!r}: {self._codec} can't store {form} as it is; write a .mkv file with FFV1, which can, or "
                "open it with ?lossy to leave out what it can't"
            )
        # Halved colours need even sizes; without them it plays everywhere.
        odd = any(length % 2 for length in shape)
        for name in ("yuv444p", "yuv420p") if odd else ("yuv420p", "yuv444p"):
            if name in known or not known:
                return name
        return known[0]

    def _encode(self, frame: Outgoing, form: str, tick: int) -> None:
        import av

        assert self._file is not None
        assert self._stream is not None
        array = frame.array[..., 0] if form.startswith("Mono") and frame.array.ndim == 3 else frame.array
        if form == "BGRa16":  # which FFmpeg does not turn into what is stored without changing it
            array, form = array[..., [2, 1, 0, 3]], "RGBa16"
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=TO_AV[form])
        picture.pts, picture.time_base = tick, self._stream.codec_context.time_base
        try:
            self._file.mux(self._stream.encode(picture))
        except (av.FFmpegError, OSError) as error:
            raise EndpointError(f"{self.url!r}: frame {frame.seq} can't be written: {error}") from error

    def _close(self) -> None:
        import av

        if self._file is None:
            self._part.unlink(missing_ok=True)
            return
        try:
            try:
                if self._stream is not None:
                    self._file.mux(self._stream.encode(None))
            finally:
                self._file.close()
            if self._last_tick >= 0:
                os.replace(self._part, self._path)
            else:
                self._part.unlink(missing_ok=True)
        except (av.FFmpegError, OSError) as error:
            raise EndpointError(
                f"{self.url!r} could not be finished: {error}; what there is of it is in {str(self._part)!r}"
            ) from error


_EIGHT_BITS = ("Mono8", "BGR8", "RGB8")  # which every codec takes, with its usual loss


def _codec_for(path: Path, kind: _Kind, encoding: Encoding) -> str:
    import av

    wanted = (encoding.codec,) if encoding.codec is not None else kind.codecs
    for name in wanted:
        with suppress(av.codec.codec.UnknownCodecError):
            return av.codec.Codec(name, "w").name
    raise EndpointError(
        f"video:{path}: PyAV has no encoder {' or '.join(wanted)} here; say another codec=, such as mpeg4 or ffv1"
    )


def open_sink(
    path: str,
    *,
    codec: Annotated[str | None, "FFmpeg's name of the encoder; the extension decides unless said"] = None,
    crf: Annotated[float | None, "quality, 0 is best; for libx264, libx265 and libvpx-vp9"] = None,
    bitrate: Annotated[int | None, "bits per second"] = None,
    fps: Annotated[float | None, "frames per second; by the timestamps unless said"] = None,
    threads: Annotated[int, "to encode with, 0 for as many as the encoder likes"] = 0,
    lossy: Annotated[bool, "leave out metadata, other arrays, alpha, and bits that the codec does not store"] = False,
) -> VideoSink:
    """Begins a file; it gets its name when the sink is closed."""
    where = f"video:{path}"
    file = Path(path)
    if file.suffix.lower() not in _KINDS:
        raise InvalidUrl(f"{where}: a file to be written ends in one of {', '.join(_KINDS)}")
    limits: dict[str, tuple[Any, float]] = {"crf": (crf, 0), "bitrate": (bitrate, 1), "threads": (threads, 0)}
    for name, (value, least) in limits.items():
        if value is not None and not least <= value < math.inf:
            raise InvalidUrl(f"{where}: {name} must be {least:g} or more, got {value!r}")
    if fps is not None and not 0 < fps <= 10000:
        raise InvalidUrl(f"{where}: fps must be above 0 and at most 10000, got {fps!r}")
    if crf is not None and bitrate is not None:
        raise InvalidUrl(f"{where}: crf and bitrate contradict each other; say one of them")
    if (codec or _KINDS[file.suffix.lower()].codecs[0]) == "ffv1" and (crf is not None or bitrate is not None):
        raise InvalidUrl(f"{where}: FFV1 keeps every bit and knows neither crf nor bitrate; leave it out")
    return VideoSink(file, Encoding(codec, crf, bitrate, fps, threads), lossy)
