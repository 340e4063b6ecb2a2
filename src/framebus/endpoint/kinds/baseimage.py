# SPDX-License-Identifier: Apache-2.0
"""baseimage:NAME: programs that use the original layout, in which a writer leaves one image for a reader.

Carries one image of 8, 16, 24 or 32 bits; other arrays are refused. Metadata are refused unless `lossy`; numbers and
timestamps are those of the receiver. The end of the stream and the death of the other program can't be told; with a
foreign writer that does not wait, frames are lost and may be torn, see docs/baseimage.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from framebus._util.deadline import Deadline
from framebus.baseimage import CAPACITY, Reader, Writer
from framebus.endpoint import BaseSink, BaseSource, Endpoint, OutgoingFrame, spec
from framebus.endpoint.spec import ONE_IMAGE
from framebus.errors import EndpointError, FrameTooLarge
from framebus.frames.frame import Frame

CAPABILITIES = replace(
    ONE_IMAGE,
    dtypes="uint8 height x width, x 3 or x 4; uint16 height x width",
    accepts=spec.images(uint8=[(), (3,), (4,)], uint16=[()]),
    delivery="latest",
    notices_close=False,
    notices_death=False,
    reconnects=True,
)


class BaseImageSource(BaseSource):
    """Receives from a base image."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(f"baseimage:{reader.name}")
        self._reader = reader

    def _receive(self, deadline: Deadline) -> Frame:
        return self._reader.recv(deadline.left())

    def _cancel(self) -> None:
        self._reader.close()


class BaseImageSink(BaseSink):
    """Writes a base image."""

    capabilities = CAPABILITIES

    def __init__(self, writer: Writer, lossy: bool) -> None:
        super().__init__(f"baseimage:{writer.name}")
        self._writer = writer
        self.lossy = lossy

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        if frame.array.dtype.str[0] == ">":
            raise EndpointError(f"{self.url}: the layout is little-endian; use array.astype('<u2')")
        try:
            self._writer.send(frame.array, pixel_format=frame.pixel_format, timeout=deadline.left())
        except (FrameTooLarge, TypeError, ValueError) as error:
            raise EndpointError(f"{self.url}: {error}") from None

    def _cancel(self) -> None:
        self._writer.close()


def open_source(
    name: str,
    *,
    connect_timeout: Annotated[float, "seconds to wait for the publisher's program"] = 0.0,
    fresh: Annotated[bool | None, "pass over a frame written before; none: unless acknowledge=after"] = None,
    bottom_up: Annotated[bool, "the last row comes first in the memory"] = False,
    retries: Annotated[int, "how often in a row a frame that changed meanwhile is given up"] = 3,
    settle: Annotated[float, "seconds before the second look at a frame"] = 0.0,
    on_torn: Annotated[Literal["mark", "raise"], "what to do after that"] = "mark",
    acknowledge: Annotated[Literal["before", "after"], "reset the event before or after the copy"] = "before",
    pixel_format: Annotated[str | None, "what the pixels mean"] = None,
    public: Annotated[bool, "use what another user has made, too"] = False,
) -> BaseImageSource:
    """Opens memory and event, as Reader does."""
    return BaseImageSource(
        Reader(
            name,
            connect_timeout=connect_timeout,
            fresh=fresh,
            bottom_up=bottom_up,
            retries=retries,
            settle=settle,
            on_torn=on_torn,
            acknowledge=acknowledge,
            pixel_format=pixel_format,
            public=public,
        )
    )


def open_sink(
    name: str,
    *,
    capacity: Annotated[int, "bytes of the memory, header included, if it has to be made"] = CAPACITY,
    stride: Annotated[int, "4 to pad rows as Windows bitmaps do"] = 1,
    bottom_up: Annotated[bool, "write the last row first"] = False,
    wait_for_reader: Annotated[bool, "wait until the last frame was taken"] = False,
    keep: Annotated[bool, "leave the memory there at the end"] = False,
    public: Annotated[bool, "use what another user has made, too"] = False,
    lossy: Annotated[bool, "leave out metadata and further arrays instead of refusing them"] = False,
) -> BaseImageSink:
    """Makes the memory and the event, or uses what is there, as Writer does."""
    writer = Writer(
        name,
        capacity=capacity,
        stride=stride,
        bottom_up=bottom_up,
        wait_for_reader=wait_for_reader,
        keep=keep,
        public=public,
    )
    return BaseImageSink(writer, lossy)


ENDPOINTS = {
    "baseimage": Endpoint(
        "baseimage",
        "programs that use the original BaseImage layout",
        "baseimage:NAME",
        open_source,
        open_sink,
        CAPABILITIES,
    ),
}
