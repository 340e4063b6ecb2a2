# SPDX-License-Identifier: Apache-2.0
"""mode=message: whole frames with all they carry (framebus.endpoint.wire), and a message that ends the stream.

A frame is read straight into the memory its arrays are made of, which is allocated after head and description have been
checked, and written straight from the arrays that were sent.
"""

from __future__ import annotations

from collections.abc import Iterator

from framebus.endpoint import OutgoingFrame, wire
from framebus.endpoint.kinds.pipe.source_sink import Pipe, PipeSink, PipeSource, aligned
from framebus.frames.frame import Frame


class MessageSource(PipeSource):
    """Whole frames out of a pipe. A pipe that breaks off without the end of the stream is a publisher that died."""

    has_end_message = True

    def __init__(self, pipe: Pipe, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        super().__init__(pipe)

    def _steps(self) -> Iterator[memoryview | Frame]:
        while True:
            self.at_boundary = True
            head = memoryview(bytearray(wire.HEAD.size))
            yield head
            found = wire.decode_head(head, self._max_bytes)
            if found.kind == wire.END:
                return
            self.at_boundary = False
            text = memoryview(bytearray(found.description_bytes))
            yield text
            description = wire.describe(text, found)
            body = aligned(description.body_bytes)
            yield body.data
            yield description.frame(body)


class MessageSink(PipeSink):
    """Whole frames into a pipe."""

    def _pieces(self, frame: OutgoingFrame) -> list[memoryview]:
        head, arrays = wire.encode(frame)
        return [memoryview(head), *wire.pieces(arrays)]

    def _end_message(self) -> list[memoryview]:
        return [memoryview(wire.end())]
