# SPDX-License-Identifier: Apache-2.0
"""mode=byte, format=y4m: YUV4MPEG2, what `ffmpeg -f yuv4mpegpipe` reads and writes.

A line says what all frames are; each frame is the line FRAME and its planes. A source returns them as they are, arrays
"y", "u" and "v" (and "a" where there is alpha), or, of a mono stream, one image; asked for a pixel format it converts,
but a format of 4:2:0 only puts the planes of such a stream into one array. Frames of full range carry {"color_range":
"full"} in their metadata. A sink takes what a source returns, sample for sample, and converts RGB8 and BGR8 images to
4:4:4 of limited range; three channels without a pixel format are BGR8. Samples of more than 8 bits are read, and
neither converted nor written.

The first line is checked before anything is allocated: its length, every field, and the size of a frame.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint import OutgoingFrame, spec
from framebus.endpoint.kinds.pipe import ycbcr, ycbcr420
from framebus.endpoint.kinds.pipe.source_sink import Pipe, PipeSink, PipeSource, aligned
from framebus.endpoint.kinds.pipe.y4m_header import MAX_LINE, Header, parse
from framebus.endpoint.spec import ONE_IMAGE
from framebus.endpoint.wire import Malformed
from framebus.errors import EndpointError
from framebus.frames import metadata
from framebus.frames.frame import Frame
from framebus.frames.pixel_format import guess

RANGE_KEY = "color_range"
CONVERTED = ("RGB8", "BGR8", "Mono8", *ycbcr420.FORMS)

_WRITTEN = ("444", "422", "420jpeg", "411")
_MONO = {8: "Mono8", 10: "Mono10", 12: "Mono12", 14: "Mono14", 16: "Mono16"}


class Y4mSource(PipeSource):
    """Frames out of a YUV4MPEG2 stream; `header` is its first line, None before the first frame."""

    header: Header | None = None

    def __init__(self, pipe: Pipe, pixel_format: str | None, max_bytes: int) -> None:
        self._pixel_format = pixel_format
        self._max_bytes = max_bytes
        super().__init__(pipe)

    def _steps(self) -> Iterator[memoryview | Frame]:
        line = bytearray()
        yield from self._line(line)
        header = self.header = parse(bytes(line))
        if header.nbytes > self._max_bytes:
            raise Malformed(f"frames of {header.nbytes} bytes, this source takes at most {self._max_bytes}")
        if self._pixel_format is not None and (header.depth != 8 or "alpha" in header.chroma):
            raise EndpointError(
                f"{self.url!r}: {header.chroma} of {header.depth} bits can't become {self._pixel_format}; leave "
                "pixel_format out to have its planes"
            )
        if self._pixel_format in ycbcr420.FORMS and not _is_one_array(header):
            raise EndpointError(
                f"{self.url!r}: {header.chroma} of {header.width}x{header.height} can't become {self._pixel_format}, "
                "which is 4:2:0 of an even width and height; leave pixel_format out to have its planes"
            )
        seq = 0
        while True:
            self.at_boundary = True
            line = bytearray()
            yield from self._line(line)
            if line != b"FRAME" and not line.startswith(b"FRAME "):
                raise Malformed(f"a frame begins with {bytes(line[:16])!r}, expected b'FRAME'")
            body = aligned(header.nbytes)
            yield body.data
            seq += 1
            yield self._frame(header, body, seq)

    def _line(self, line: bytearray) -> Iterator[memoryview]:
        """Reads a line, without its end, byte by byte: nothing behind it may be taken out of the pipe."""
        byte = bytearray(1)
        while True:
            yield memoryview(byte)
            self.at_boundary = False
            if byte == b"\n":
                return
            line += byte
            if len(line) > MAX_LINE:
                raise Malformed(f"a line of over {MAX_LINE} bytes, beginning with {bytes(line[:16])!r}")

    def _frame(self, header: Header, body: NDArray[np.uint8], seq: int) -> Frame:
        planes: dict[str, NDArray[Any]] = {}
        samples = body.view(header.dtype)
        for name, shape in header.shapes.items():
            planes[name], samples = samples[: shape[0] * shape[1]].reshape(shape), samples[shape[0] * shape[1] :]
        form = self._pixel_format
        meta: dict[str, Any] = {}
        if header.full_range and (form in ycbcr420.FORMS or (form is None and len(planes) > 1)):
            meta = {RANGE_KEY: "full"}
        if form in ycbcr420.FORMS:
            planes = {"image": ycbcr420.join(list(planes.values()), form)}
        elif form is not None:
            planes = {"image": _converted(list(planes.values()), header.full_range, form)}
        elif len(planes) == 1:
            form = _MONO.get(header.depth)
        return Frame(
            planes,
            seq=seq,
            timestamp_ns=time.monotonic_ns(),
            wall_time_ns=time.time_ns(),
            meta=meta,
            pixel_format=form,
        )


def _is_one_array(header: Header) -> bool:
    return header.chroma.startswith("420") and header.width % 2 == header.height % 2 == 0


def _converted(planes: list[NDArray[Any]], full_range: bool, form: str) -> NDArray[Any]:
    if len(planes) == 1:
        return planes[0] if form == "Mono8" else np.repeat(planes[0][:, :, None], 3, axis=2)
    if form == "Mono8":  # luma of full range, as mono images are
        none = np.full((1, 1), 128, np.uint8)
        return np.ascontiguousarray(ycbcr.to_rgb((planes[0], none, none), full_range)[:, :, 0])
    rgb = ycbcr.to_rgb((planes[0], planes[1], planes[2]), full_range)
    return rgb if form == "RGB8" else np.ascontiguousarray(rgb[:, :, ::-1])


class Y4mSink(PipeSink):
    """Frames into a YUV4MPEG2 stream; the first one decides what all of them are."""

    capabilities = replace(
        ONE_IMAGE, arrays="many", dtypes="uint8", accepts=spec.images(uint8=[(), (3,)]), notices_death=False
    )

    def __init__(self, pipe: Pipe, pixel_format: str | None, fps: float, lossy: bool) -> None:
        super().__init__(pipe)
        self.lossy = lossy
        self._pixel_format = pixel_format
        self._fps = Fraction(fps).limit_denominator(1001)
        self._header: Header | None = None

    def _check_able(self, frame: OutgoingFrame) -> None:
        """Refuses metadata, but for the range, which the stream does carry."""
        others = {key: value for key, value in metadata.of_the_user(frame.meta).items() if key != RANGE_KEY}
        super()._check_able(replace(frame, meta=others))

    def _pieces(self, frame: OutgoingFrame) -> list[memoryview]:
        header, planes = self._planes(frame)
        begin = b"FRAME\n" if self._writer.written else header.line() + b"FRAME\n"
        if self._header is not None and header != self._header:
            raise EndpointError(
                f"{self.url!r} carries {self._header.line().decode().strip()!r}, got a frame for "
                f"{header.line().decode().strip()!r}; all frames of a stream must be alike"
            )
        self._header = header
        return [memoryview(begin), *(np.ascontiguousarray(plane).reshape(-1).data for plane in planes)]

    def _planes(self, frame: OutgoingFrame) -> tuple[Header, list[NDArray[Any]]]:
        arrays = frame.arrays if set(frame.arrays) == set("yuv") else {"image": frame.array}
        if any(array.dtype != np.uint8 or not array.size for array in arrays.values()):
            raise self._refusal(frame)
        image, form = frame.array, frame.pixel_format or self._pixel_format
        one_array = len(arrays) == 1 and ycbcr420.is_image(image, form)
        if len(arrays) == 3 or one_array:
            luma, *small = ycbcr420.split(image, str(form)) if one_array else (arrays[name] for name in "yuv")
            full = frame.meta.get(RANGE_KEY) == "full"
            for name in _WRITTEN:
                header = Header(luma.shape[-1], luma.shape[0], name, 8, self._fps, full)
                if luma.ndim == 2 and all(plane.shape == header.shapes["u"] for plane in small):
                    return header, [luma, *small]
            raise self._refusal(frame)
        if len(frame.arrays) > 1 and not self.lossy:
            raise self._refusal(frame)
        form = form or guess(image.shape, image.dtype)
        if image.ndim == 2 and form == "Mono8":
            return Header(image.shape[1], image.shape[0], "mono", 8, self._fps, True), [image]
        if image.ndim == 3 and image.shape[2] == 3 and form in ("RGB8", "BGR8"):
            planes = ycbcr.from_rgb(image if form == "RGB8" else image[:, :, ::-1])
            return Header(image.shape[1], image.shape[0], "444", 8, self._fps, False), list(planes)
        raise self._refusal(frame)

    def _refusal(self, frame: OutgoingFrame) -> EndpointError:
        found = ", ".join(f"{name} {array.shape} {array.dtype}" for name, array in frame.arrays.items())
        return EndpointError(
            f"{self.url!r} takes uint8 images of {', '.join(CONVERTED)}, or planes y, u and v, got {found} of pixel "
            f"format {frame.pixel_format}; send it with pixel_format=, or open the sink with pixel_format="
        )
