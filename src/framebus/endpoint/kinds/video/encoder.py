# SPDX-License-Identifier: Apache-2.0
"""Encodes one video file: codec and pixel format, the clock of the file, and its colour tags.

The extension decides on container, codec and clock. The bytes go into an open partial file, never to a path. A packet
says how long its picture is shown, as long as the one before it, so the last picture of a slow recording has its time.
"""

from __future__ import annotations

import math
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint.kinds.video import matroska
from framebus.endpoint.kinds.video.colour import tag, tags_for, to_stored
from framebus.endpoint.kinds.video.forms import KEEPS, TO_AV
from framebus.errors import EndpointError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from framebus._util.partial_file import PartialFile

_MPEG4, _H264 = "mpeg4", ("libx264", "libopenh264", "mpeg4")
_EIGHT_BITS = ("Mono8", "BGR8", "RGB8")  # which every codec takes, with its usual loss
_FLUSHED = {"flush_packets": "1"}  # with the limit of a cluster, half a second is what a killed writer loses at most


class Kind(NamedTuple):
    """What an extension means: FFmpeg's name, codecs, the first that PyAV has; ticks of a second; options."""

    muxer: str
    codecs: tuple[str, ...]
    ticks: int
    options: dict[str, str]


KINDS: Final = {
    ".mkv": Kind(
        "matroska",
        ("ffv1",),
        matroska.TICKS,
        {"cluster_time_limit": str(matroska.TICKS // 2), **_FLUSHED, **matroska.OPTIONS},
    ),
    ".webm": Kind("webm", ("libvpx-vp9",), 1000, {"cluster_time_limit": "500", **_FLUSHED}),
    ".mp4": Kind("mp4", _H264, 60000, {}),
    ".m4v": Kind("ipod", _H264, 60000, {}),
    ".mov": Kind("mov", _H264, 60000, {}),
}


class Encoding(NamedTuple):
    """How to encode: as the options of the URL say."""

    codec: str | None
    crf: float | None
    bitrate: int | None
    fps: float | None
    threads: int


class Encoder:
    """Encodes pictures of one size and pixel format into a partial file."""

    def __init__(
        self, url: str, file: PartialFile, kind: Kind, codec: str, how: Encoding, form: str, shape: tuple[int, ...]
    ) -> None:
        """Writes the header. `form` may have been lossy; see _stored_as(). Raises EndpointError."""
        import av
        from av.video.reformatter import VideoReformatter

        self._url, self._form = url, form
        self._stored = stored = _stored_as(codec, form, shape)
        self._tags = tags_for(stored, codec, shape[0])
        self._reformatter = VideoReformatter()
        self._fine = matroska.FineClock(file) if kind.muxer == "matroska" else None
        self._durations: dict[int, int] = {}
        self._last_tick: int | None = None
        try:
            self._file = av.open(self._fine or file, "w", format=kind.muxer, options=kind.options)
            self._stream = self._add_stream(codec, how, shape, kind.ticks)
            self._file.start_encoding()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise EndpointError(
                f"{url!r} can't be begun with {shape[1]}x{shape[0]} {form} as {stored} by {codec}: {error}; "
                "try another codec= or a .mkv file, which takes every size"
            ) from error
        if how.crf is not None and "crf" in self._stream.codec_context.options:
            raise EndpointError(f"{url!r}: the codec {codec} knows no crf; say bitrate= instead, or neither")
        if self._fine is not None and self._fine.replaced != 1:
            raise EndpointError(f"{url!r}: this FFmpeg writes another header of Matroska than expected; write .mp4")

    def _add_stream(self, codec: str, how: Encoding, shape: tuple[int, ...], ticks: int) -> VideoStream:
        rate = Fraction(how.fps).limit_denominator(1001) if how.fps is not None else Fraction(30)
        options = {} if how.crf is None else {"crf": f"{how.crf:g}"}
        stream = cast("VideoStream", self._file.add_stream(codec, rate=rate, options=options))
        stream.height, stream.width = shape
        stream.pix_fmt = self._stored
        context = stream.codec_context
        context.time_base = 1 / rate if how.fps is not None else Fraction(1, ticks)
        context.thread_count = how.threads
        tag(context, self._tags)
        if how.bitrate is not None:
            context.bit_rate = how.bitrate
        elif how.crf is not None:
            context.bit_rate = 0
        elif codec == _MPEG4:  # whose own idea of a bit rate is one for small pictures
            context.bit_rate = max(1_000_000, math.prod(shape) * 6)
        context.open()
        return stream

    def encode(self, array: NDArray[Any], tick: int) -> None:
        """Adds a picture to be shown at `tick`. Raises av.FFmpegError and OSError."""
        import av

        array = array[..., 0] if self._form.startswith("Mono") and array.ndim == 3 else array
        form = self._form
        if form == "BGRa16":  # which FFmpeg does not turn into what is stored without changing it
            array, form = array[..., [2, 1, 0, 3]], "RGBa16"
        given = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=TO_AV[form])
        picture = to_stored(self._reformatter, given, self._stored, self._tags)
        picture.pts, picture.time_base = tick, self._stream.codec_context.time_base
        if self._last_tick is not None:
            self._durations[tick] = tick - self._last_tick
        self._last_tick = tick
        self._mux(self._stream.encode(picture))

    def finish(self) -> None:
        """Writes what the encoder still has, and the end of the file. Raises av.FFmpegError and OSError."""
        try:
            self._mux(self._stream.encode(None))
        finally:
            self._file.close()

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        for packet in packets:
            duration = self._durations.pop(packet.pts, None) if packet.pts is not None else None
            if duration is not None:
                packet.duration = duration
            if self._fine is not None:
                _count_in_ticks(packet)
            self._file.mux(packet)


def _count_in_ticks(packet: Packet[VideoStream]) -> None:
    """Sets the times of a packet to those of a FineClock."""
    unit = packet.time_base * matroska.TICKS
    for name in ("pts", "dts", "duration"):
        value = getattr(packet, name)
        if value is not None:
            setattr(packet, name, round(value * unit))
    packet.time_base = matroska.NAMED_TIME_BASE


def refuse_what_is_lost(url: str, codec: str, form: str) -> None:
    """Raises EndpointError for a pixel format that the codec can't store as it is."""
    if form not in _EIGHT_BITS and not set(KEEPS[form]) & set(_known(codec)):
        raise EndpointError(
            f"{url!r}: {codec} can't store {form} as it is; write a .mkv file with FFV1, which can, or "
            "open it with ?lossy to leave out what it can't"
        )


def _known(codec: str) -> list[str]:
    import av

    return [known.name for known in av.codec.Codec(codec, "w").video_formats or ()]


def _stored_as(codec: str, form: str, shape: tuple[int, ...]) -> str:
    """Returns the input of the encoder."""
    known = _known(codec)
    for name in KEEPS[form]:
        if name in known and (codec == "ffv1" or form not in _EIGHT_BITS):
            return name
    # Halved colours need even sizes; without them it plays everywhere.
    odd = any(length % 2 for length in shape)
    for name in ("yuv444p", "yuv420p") if odd else ("yuv420p", "yuv444p"):
        if name in known or not known:
            return name
    return known[0]


def codec_for(url: str, kind: Kind, wanted: str | None) -> str:
    """Returns FFmpeg's name of the encoder. Raises EndpointError where PyAV has none."""
    import av

    names = (wanted,) if wanted is not None else kind.codecs
    for name in names:
        with suppress(av.codec.codec.UnknownCodecError):
            return av.codec.Codec(name, "w").name
    raise EndpointError(
        f"{url}: PyAV has no encoder {' or '.join(names)} here; say another codec=, such as mpeg4 or ffv1"
    )
