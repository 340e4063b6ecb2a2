# SPDX-License-Identifier: Apache-2.0
"""pipe: an anonymous pipe to the program before or after this one, to a child, or to a descriptor that was left open.

    pipe:stdin, pipe:stdout    this program's standard input, output; pipe: alone is the one that fits
    pipe:fd/N                  descriptor N, which the program was started with
    pipe: with argv=[...]      a child that is started: a sink writes to its standard input, a source reads its output

`argv` is a keyword argument only and no shell looks at it: framebus.sink("pipe:", argv=["ffmpeg", "-i", "-", ...]). An
end owns its descriptor from then on, and the standard stream leads elsewhere (descriptors.py).

mode=message carries whole frames between two framebus programs. Its stream says when it ends, so a reader can tell an
orderly end (ChannelClosed) from a writer's death (PublisherDied); half a frame is never delivered. mode=byte is for all
other programs: format=raw is pixels without anything else, format=y4m is YUV4MPEG2. There, the end of the pipe is the
end of the stream, except in the middle of a frame, and after a child that failed: both are PublisherDied.

send() with a timeout that passes before the first byte could be written raises Timeout and leaves nothing behind. Where
it passes in the middle of the frame, the frame counts as sent: the rest is kept and goes out with the next send(), or
with close(), which waits for the reader at most `linger` seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from framebus.endpoint import Capabilities, Endpoint, wire
from framebus.endpoint.kinds.pipe import descriptors, y4m
from framebus.endpoint.kinds.pipe.child import Child
from framebus.endpoint.kinds.pipe.descriptors import Role
from framebus.endpoint.kinds.pipe.message import MessageSink, MessageSource
from framebus.endpoint.kinds.pipe.raw import Layout, RawSink, RawSource, layout_of
from framebus.endpoint.kinds.pipe.source_sink import Pipe, PipeSink, PipeSource
from framebus.errors import InvalidUrl
from framebus.frames import pixel_format as formats

Mode = Literal["message", "byte"]
Format = Literal["raw", "y4m"]

_STANDARD = {"source": ("stdin", 0), "sink": ("stdout", 1)}
_DESCRIPTOR = re.compile(r"fd/(\d{1,9})")
_BUFFER = 1 << 20


def open_source(
    rest: str,
    *,
    mode: Annotated[Mode, "whole frames, or bytes as other programs write them"] = "message",
    format: Annotated[Format, "of mode=byte: bare pixels, or YUV4MPEG2"] = "raw",  # noqa: A002 - the option's name
    width: Annotated[int | None, "pixels of a row, for format=raw"] = None,
    height: Annotated[int | None, "rows, for format=raw"] = None,
    pixel_format: Annotated[
        str | None, "PFNC name (or I420, YV12, NV12, NV21) of what comes (raw), or of what to make of it (y4m)"
    ] = None,
    argv: Annotated[Sequence[str] | None, "a child to start, as a list of arguments"] = None,
    max_bytes: Annotated[int, "bytes of the largest frame to accept"] = wire.DEFAULT_MAX_BYTES,
    buffer: Annotated[int, "bytes that the pipe should have room for"] = _BUFFER,
    linger: Annotated[float, "seconds close() waits for a child to end"] = 10.0,
) -> PipeSource:
    """Opens the reading end."""
    url = f"pipe:{rest}"
    pixel_format = _check_options(url, mode, format, width, height, pixel_format)
    layout = None
    if mode == "byte" and format == "raw":
        if width is None or height is None or pixel_format is None:
            raise InvalidUrl(f"{url!r}: raw pixels don't say what they are; pass width=, height= and pixel_format=")
        layout = _layout(url, width, height, pixel_format)
        if layout.nbytes > max_bytes:
            raise InvalidUrl(f"{url!r}: an image of {layout.nbytes} bytes, but max_bytes is {max_bytes}")
    pipe = _open("source", rest, url, argv, buffer, linger)
    if layout is not None:
        return RawSource(pipe, layout)
    if mode == "byte":
        return y4m.Y4mSource(pipe, pixel_format, max_bytes)
    return MessageSource(pipe, max_bytes)


def open_sink(
    rest: str,
    *,
    mode: Annotated[Mode, "whole frames, or bytes as other programs read them"] = "message",
    format: Annotated[Format, "of mode=byte: bare pixels, or YUV4MPEG2"] = "raw",  # noqa: A002 - the option's name
    width: Annotated[int | None, "pixels of a row, for format=raw; the first frame's if not said"] = None,
    height: Annotated[int | None, "rows, for format=raw; the first frame's if not said"] = None,
    pixel_format: Annotated[str | None, "PFNC name (or I420 ...) of the frames, for those that don't say it"] = None,
    fps: Annotated[float, "frames per second that the stream claims, for format=y4m"] = 25.0,
    lossy: Annotated[bool, "leave out what mode=byte can't carry"] = False,
    argv: Annotated[Sequence[str] | None, "a child to start, as a list of arguments"] = None,
    buffer: Annotated[int, "bytes that the pipe should have room for"] = _BUFFER,
    linger: Annotated[float, "seconds close() waits for the reader, and for a child to end"] = 10.0,
) -> PipeSink:
    """Opens the writing end."""
    url = f"pipe:{rest}"
    pixel_format = _check_options(url, mode, format, width, height, pixel_format)
    if not 0 < fps <= 1e6:
        raise InvalidUrl(f"{url!r}: fps must be above 0 and at most 1000000, got {fps!r}")
    layout = None
    if width is not None or height is not None:
        if width is None or height is None or pixel_format is None:
            raise InvalidUrl(
                f"{url!r}: width=, height= and pixel_format= belong together; leave width and height out "
                "to take them from the first frame"
            )
        layout = _layout(url, width, height, pixel_format)
    pipe = _open("sink", rest, url, argv, buffer, linger)
    if mode == "message":
        return MessageSink(pipe)
    if format == "y4m":
        return y4m.Y4mSink(pipe, pixel_format, fps, lossy)
    return RawSink(pipe, layout, pixel_format, lossy)


def _check_options(
    url: str,
    mode: Mode,
    format: Format,  # noqa: A002 - the option's name
    width: int | None,
    height: int | None,
    pixel_format: str | None,
) -> str | None:
    """Refuses options that would do nothing, and returns the PFNC name of the pixel format."""
    given = {"width": width, "height": height, "pixel_format": pixel_format}
    said = [name for name, value in given.items() if value is not None]
    if mode == "message" and (said or format != "raw"):
        raise InvalidUrl(
            f"{url!r}: {(said or ['format'])[0]}= is for mode=byte; mode=message carries frames as they are"
        )
    if format == "y4m" and (width is not None or height is not None):
        raise InvalidUrl(f"{url!r}: a YUV4MPEG2 stream says its size itself; leave width and height out")
    if pixel_format is not None:
        try:
            pixel_format = formats.named(pixel_format)
        except ValueError as error:
            raise InvalidUrl(f"{url!r}: {error}") from None
    if format == "y4m" and pixel_format not in (None, *y4m.CONVERTED):
        raise InvalidUrl(f"{url!r}: format=y4m knows pixel_format {', '.join(y4m.CONVERTED)}, not {pixel_format}")
    return pixel_format


def _layout(url: str, width: int, height: int, pixel_format: str) -> Layout:
    try:
        return layout_of(width, height, pixel_format)
    except ValueError as error:
        raise InvalidUrl(f"{url!r}: {error}") from None


def _open(role: Role, rest: str, url: str, argv: Sequence[str] | None, buffer: int, linger: float) -> Pipe:
    """Finds the descriptor, or starts the child."""
    name, standard = _STANDARD[role]
    if not linger >= 0:
        raise InvalidUrl(f"{url!r}: linger must be 0 or more seconds, got {linger!r}")
    if argv is not None:
        if rest:
            raise InvalidUrl(f"{url!r} and argv= name two pipes; for a child say 'pipe:' alone")
        child = Child(argv, role, buffer)
        return Pipe(url, child.descriptor, child, linger)
    found = _DESCRIPTOR.fullmatch(rest)
    if found is None and rest not in ("", name):
        raise InvalidUrl(f"{url!r} is not a pipe for a {role}; there are {descriptors.forms(role)}")
    descriptor = descriptors.take(int(found[1]) if found else standard, role, url, buffer)
    return Pipe(url, descriptor, None, linger)


ENDPOINTS = {
    "pipe": Endpoint(
        "pipe",
        "the next program of a pipeline, or a child, such as ffmpeg",
        "pipe:stdin, pipe:stdout, pipe:fd/N, or pipe: with argv=",
        open_source,
        open_sink,
        Capabilities(),
    ),
}
