# SPDX-License-Identifier: Apache-2.0
"""The sink of video:FILE.

The extension says how it is encoded, unless `codec` does: .mkv holds every picture exactly (FFV1), also with 16 bits;
.mp4, .mov and .m4v H.264 where PyAV has it, else MPEG-4, .webm VP9, all three with some loss. All frames of a file have
one size and pixel format; another one is refused.

Times: without `fps` each picture is shown when its timestamp says, counted from the first frame's, to 20 microseconds
in .mkv, a 60,000th of a second in .mp4, .mov and .m4v, a millisecond in .webm. Frames that are closer together than the
file can say are moved apart by that much; where this would move them by more than 50 ms, which is a rate that the file
does not hold, they are refused. A frame older than the one before it is refused. With `fps` timestamps don't matter.
What gets lost are metadata and sequence numbers, and when the first frame was. A picture whose source says "rotation"
(Frame.origin) is turned before it is written, with `lossy` also one whose metadata say so.

The file is written beside its place as NAME.part.EXT and gets its name when the sink is closed, whatever ended the
`with` block, so FILE is always a whole video or the one that was there before. A writer that is killed, or ends without
close(), leaves the partial file: of .mkv and .webm all but the last second or so can be played, of an .mp4, .mov or
.m4v nothing. The next writer keeps it, logs a warning, and uses NAME.part-2.EXT. A second writer of the same FILE is
refused as long as the first one is open. A sink that never got a frame leaves no file. A forked child may not use the
sink of its parent, and its close() does nothing.
"""

from __future__ import annotations

import math
import os
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from framebus._util import lifetime
from framebus._util.partial_file import Claim, check_target, partial_name, tell_of_kept
from framebus.endpoint import BaseSink, Deadline, OutgoingFrame
from framebus.endpoint.kinds.video.encoder import KINDS, Encoder, Encoding, codec_for, refuse_what_is_lost
from framebus.endpoint.kinds.video.forms import CAPABILITIES, form_of
from framebus.errors import EndpointError, ForkedChild, InvalidUrl

_MOST_MOVED_S = Fraction(1, 20)


class VideoSink(BaseSink):
    """Writes one file."""

    capabilities = CAPABILITIES

    def __init__(self, path: Path, encoding: Encoding, lossy: bool) -> None:
        """Makes the file, so that a place where none can be is noticed now."""
        super().__init__(f"video:{path}")
        self.lossy = lossy
        self._encoding, self._kind = encoding, KINDS[path.suffix.lower()]
        self._codec = codec_for(self.url, self._kind, encoding.codec)
        self._encoder: Encoder | None = None
        self._begun: tuple[tuple[int, ...], str] | None = None
        self._first_ns = self._last_ns = 0
        self._last_tick = -1
        claim: Claim | None = None
        try:
            check_target(path)
            claim = Claim(path)
            self._part = claim.begin(partial_name(path, hidden=False))
        except OSError as error:
            if claim is not None:
                claim.release()
            raise EndpointError(
                f"{self.url!r} can't be written: {error}; name a file in a folder that is there"
            ) from error
        self._claim = claim
        self._pid = os.getpid()
        lifetime.keep_in_children(self)  # the encoder has threads
        tell_of_kept(self._part)

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - a file never waits
        import av

        if os.getpid() != self._pid:
            raise ForkedChild(
                f"{self.url!r} was opened by the parent process {self._pid}; open another one in the child"
            )
        form = form_of(frame, self.url)
        array = frame.upright(by_user=self.lossy)
        shape = array.shape[:2]
        if self._begun is not None and self._begun != (shape, form):
            has = f"{self._begun[0][1]}x{self._begun[0][0]} {self._begun[1]}"
            raise EndpointError(
                f"{self.url!r} has pictures of {has}, and frame {frame.seq} is {shape[1]}x{shape[0]} {form}; a video "
                "has one size and pixel format: write the others to another file"
            )
        if self._encoder is None:
            if not self.lossy:
                refuse_what_is_lost(self.url, self._codec, form)
            self._encoder = Encoder(self.url, self._part, self._kind, self._codec, self._encoding, form, shape)
            self._begun = shape, form
            self._first_ns = self._last_ns = frame.timestamp_ns
        tick = self._tick(frame)
        try:
            self._encoder.encode(array, tick)
        except (av.FFmpegError, OSError) as error:
            raise EndpointError(f"{self.url!r}: frame {frame.seq} can't be written: {error}") from error
        self._last_tick, self._last_ns = tick, frame.timestamp_ns

    def _tick(self, frame: OutgoingFrame) -> int:
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
        tick = max(self._last_tick + 1, since)
        if tick - since > self._kind.ticks * _MOST_MOVED_S:
            raise EndpointError(
                f"{self.url!r} holds {self._kind.ticks} frames per second at most, and frames come faster than that: "
                f"frame {frame.seq} would be shown {(tick - since) / self._kind.ticks:g} s late; write a .mkv file, or "
                "open it with fps= where timestamps don't matter"
            )
        return tick

    def _close(self) -> None:
        import av

        if os.getpid() != self._pid:
            return
        try:
            if self._encoder is not None:
                self._encoder.finish()
            if self._last_tick >= 0:
                self._part.publish(self._claim.target, durable=True)
            else:
                self._part.discard()
        except (av.FFmpegError, OSError) as error:
            raise EndpointError(
                f"{self.url!r} could not be finished: {error}; what there is of it is in {self._part.path!r}"
            ) from error
        finally:
            self._part.close()
            self._claim.release()


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
    if file.suffix.lower() not in KINDS:
        raise InvalidUrl(f"{where}: a file to be written ends in one of {', '.join(KINDS)}")
    limits: dict[str, tuple[Any, float]] = {"crf": (crf, 0), "bitrate": (bitrate, 1), "threads": (threads, 0)}
    for name, (value, least) in limits.items():
        if value is not None and not least <= value < math.inf:
            raise InvalidUrl(f"{where}: {name} must be {least:g} or more, got {value!r}")
    if fps is not None and not 0 < fps <= 10000:
        raise InvalidUrl(f"{where}: fps must be above 0 and at most 10000, got {fps!r}")
    if fps is not None and fps > KINDS[file.suffix.lower()].ticks:
        raise InvalidUrl(
            f"{where}: a {file.suffix} file holds {KINDS[file.suffix.lower()].ticks} fps at most; write a .mkv file"
        )
    if crf is not None and bitrate is not None:
        raise InvalidUrl(f"{where}: crf and bitrate contradict each other; say one of them")
    if (codec or KINDS[file.suffix.lower()].codecs[0]) == "ffv1" and (crf is not None or bitrate is not None):
        raise InvalidUrl(f"{where}: FFV1 keeps every bit and knows neither crf nor bitrate; leave it out")
    return VideoSink(file, Encoding(codec, crf, bitrate, fps, threads), lossy)
