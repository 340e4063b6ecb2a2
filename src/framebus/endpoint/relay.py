# SPDX-License-Identifier: Apache-2.0
"""The one loop that moves frames from a source to a sink. relay, record, replay and view use it.

    framebus.relay("camera0", "tcp://127.0.0.1:7000", fps=10)

A source or sink that relay() has opened is closed when it returns or raises; one that is passed to it open stays open.
The slot of a channel's frame is held only while that frame is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from framebus.channel.publisher import Publisher
from framebus.channel.subscriber import Subscriber
from framebus.endpoint import BaseSource, Sink, Source
from framebus.endpoint.registry import sink as open_sink, source as open_source
from framebus.errors import ChannelClosed, Timeout
from framebus.frames import metadata, pillow
from framebus.frames.arrays import to_array
from framebus.frames.frame import Frame
from framebus.frames.pixel_format import fits

# What a transform may return: another frame, an image or a dict of arrays for it, or None to leave it out. An array
# keeps the pixel format of the frame where its shape and dtype still fit, see kept_format(); a Pillow image has its
# own.
Transform = Callable[[Frame], object]
OnError = Literal["raise", "skip"] | Callable[[Exception, Frame], object]


@dataclass(frozen=True)
class RelayReport:
    """What relay() has done.

    Attributes:
        frames: sent.
        left_out: that the transform wanted left out.
        failed: that could not be transformed or sent, where on_error allowed to go on.
        seconds: from the first frame received to the last one sent.
        reason: why it ended: "limit", "closed" (the source has), or "timeout".
    """

    frames: int
    left_out: int
    failed: int
    seconds: float
    reason: Literal["limit", "closed", "timeout"]


def relay(
    source: str | Source,
    sink: str | Sink,
    *,
    fps: float | None = None,
    limit: int | None = None,
    timeout: float | None = None,
    transform: Transform | None = None,
    on_error: OnError = "raise",
) -> RelayReport:
    """Moves frames until the source is closed, `limit` frames have been sent, or nothing comes for `timeout` seconds.

    Arrays, metadata, timestamps, pixel format and, where the sink can, sequence numbers are handed on as they are.

    Args:
        source: a URL, or an open Source such as a Subscriber.
        sink: a URL, or an open Sink such as a Publisher.
        fps: frames per second at most; a source that keeps frames is slowed down, one that returns the newest skips.
        limit: how many frames to send; None for no end.
        timeout: seconds to wait for a frame, None: no limit.
        transform: called with each frame; returns what to send instead, or None to leave it out. An array, or the first
            of a dict, keeps the frame's pixel format if it has its dtype and channels, else it has none; metadata and
            timestamps are kept. A Pillow image has the pixel format of its mode, a Frame its own of all these.
        on_error: what to do when a frame can't be transformed or sent: "raise", "skip" it, or a function of the error
            and the frame, after which the loop goes on unless it raises. Errors of the source always end the loop.

    Raises:
        InvalidUrl, EndpointError and the errors of Subscriber and Publisher: source or sink could not be opened, or
        failed. ValueError: fps, limit, timeout or on_error out of range.
    """
    if fps is not None and not fps > 0:
        raise ValueError(f"fps must be above 0, got {fps!r}")
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be 0 or more, got {limit!r}")
    if on_error not in ("raise", "skip") and not callable(on_error):
        raise ValueError(f"on_error must be 'raise', 'skip' or a function, got {on_error!r}")
    with ExitStack() as opened:
        from_ = opened.enter_context(closing(open_source(source))) if isinstance(source, str) else source
        to = opened.enter_context(closing(open_sink(sink))) if isinstance(sink, str) else sink
        opened.enter_context(_warmed_up(from_, to))
        return _Loop(from_, to, transform, on_error).run(None if fps is None else 1 / fps, limit, timeout)


@contextmanager
def _warmed_up(source: Source, sink: Sink) -> Iterator[None]:
    """Has a Publisher warm up before each frame, where the source knows when one comes and has no before_frame."""
    if not (isinstance(sink, Publisher) and isinstance(source, BaseSource)) or source.before_frame is not None:
        yield
        return
    source.before_frame = warm_up = sink.warm_up
    try:
        yield
    finally:
        if source.before_frame is warm_up:
            source.before_frame = None


class _Loop:
    def __init__(self, source: Source, sink: Sink, transform: Transform | None, on_error: OnError) -> None:
        self.source, self.sink, self.transform, self.on_error = source, sink, transform, on_error
        self.carries_seq = getattr(getattr(sink, "capabilities", None), "seq", False)
        self.frames = self.left_out = self.failed = 0

    def run(self, period: float | None, limit: int | None, timeout: float | None) -> RelayReport:
        began = ended = due = time.monotonic()
        reason: Literal["limit", "closed", "timeout"] = "limit"
        while limit is None or self.frames < limit:
            if period is not None:
                time.sleep(max(0.0, due - time.monotonic()))
            try:
                frame = self.receive(timeout)
            except ChannelClosed:
                reason = "closed"
                break
            except Timeout:
                if timeout is None:
                    raise
                reason = "timeout"
                break
            now = time.monotonic()
            began = now if self.frames + self.left_out + self.failed == 0 else began
            due = now if period is None else max(due, now - period) + period
            with frame:
                self.move(frame)
            ended = time.monotonic()
        return RelayReport(self.frames, self.left_out, self.failed, max(0.0, ended - began), reason)

    def receive(self, timeout: float | None) -> Frame:
        if not isinstance(self.source, Subscriber):
            return self.source.recv(timeout)
        # recv() of one that reconnects would wait for the next publisher; a relay ends where iteration does.
        frame = self.source._next(timeout)
        if frame is None:
            raise ChannelClosed(f"the publisher of {self.source.name!r} has closed the channel")
        return frame

    def move(self, frame: Frame) -> None:
        try:
            made = frame if self.transform is None else self.transform(frame)
            if made is None:
                self.left_out += 1
                return
            self.send(frame, made)
        except ChannelClosed:
            raise  # the sink takes no more frames
        except Exception as error:
            if self.on_error == "raise":
                raise
            self.failed += 1
            if callable(self.on_error):
                self.on_error(error, frame)
        else:
            self.frames += 1

    def send(self, frame: Frame, made: object) -> None:
        like = made if isinstance(made, Frame) else frame
        extra: dict[str, Any] = {"seq": like.seq} if self.carries_seq else {}
        self.sink.send(
            made.arrays if isinstance(made, Frame) else made,
            meta=_meta_of(like, frame) or None,
            pixel_format=like.pixel_format if isinstance(made, Frame) else kept_format(frame, made),
            timestamp_ns=like.timestamp_ns,
            wall_time_ns=like.wall_time_ns,
            **extra,
        )


def kept_format(frame: Frame, made: object) -> str | None:
    """Returns the pixel format of `frame` if it holds for what was made of it, an image or a dict of arrays, else None.

    It holds for an array of the same shape and dtype, and for another one that has its dtype and channels. Of a dict
    the first array counts. A Pillow image has the pixel format of its mode.
    """
    first = next(iter(made.values()), None) if isinstance(made, Mapping) else made
    if frame.pixel_format is None or first is None or pillow.is_image(first):
        return None
    array, before = to_array(first), frame.array
    same = (array.shape, array.dtype) == (before.shape, before.dtype)
    return frame.pixel_format if same or fits(frame.pixel_format, array.shape, array.dtype) else None


def _meta_of(made: Frame, frame: Frame) -> dict[str, Any]:
    """The metadata of `made`; what it took over from the source of `frame` as it was is still the source's."""
    meta = made.meta
    if made is frame or not frame.origin or isinstance(meta, metadata.Metadata):
        return meta
    return metadata.Metadata(meta, {key: value for key, value in frame.origin.items() if key in meta})
