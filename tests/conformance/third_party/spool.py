# SPDX-License-Identifier: Apache-2.0
"""spool:FOLDER, somebody else's endpoint: one file a frame, taken out by whoever receives it.

It is here to be tested, and to show how little an endpoint is. See docs/endpoints.md.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import numpy as np

from framebus import BaseSink, BaseSource, Capabilities, ChannelClosed, Deadline, Endpoint, Frame, OutgoingFrame
from framebus.endpoint import wire

CAPABILITIES = Capabilities(notices_death=False, reconnects=True)


class Source(BaseSource):
    def __init__(self, folder: str, *, max_bytes: Annotated[int, "of a frame"] = wire.DEFAULT_MAX_BYTES) -> None:
        super().__init__(f"spool:{folder}")
        self._folder, self._max_bytes = Path(folder), max_bytes

    def _receive(self, deadline: Deadline) -> Frame:
        while True:
            for path in sorted(self._folder.glob("*.frame")):
                try:
                    data = np.fromfile(path, np.uint8)
                    path.unlink()
                except FileNotFoundError:  # somebody else has got it
                    continue
                try:
                    return self._frame(data)
                except wire.Malformed:
                    self._count(refused=1)
            if deadline.is_over:
                raise deadline.fail(f"nothing came into {self._folder}")
            time.sleep(0.001)
            self._check_open()  # close() waits for it

    def _frame(self, data: np.ndarray) -> Frame:
        head = wire.decode_head(data.data, self._max_bytes)
        if head.kind == wire.END:
            raise ChannelClosed(f"the sender has closed {self.url}")
        body = wire.HEAD.size + head.description_bytes
        if data.size < body + head.body_bytes:
            raise wire.Malformed(f"it ends after {data.size} bytes")
        return wire.describe(data[wire.HEAD.size : body].data, head).frame(data[body:])


class Sink(BaseSink):
    capabilities = CAPABILITIES

    def __init__(self, folder: str, *, room: Annotated[int, "frames that may lie there"] = 8) -> None:
        super().__init__(f"spool:{folder}")
        self._folder, self._room = Path(folder), room

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:
        while len(list(self._folder.glob("*.frame"))) >= self._room:
            if deadline.is_over:
                raise deadline.fail(f"{self._folder} had no room for a frame")
            time.sleep(0.001)
            self._check_open()
        head, arrays = wire.encode(frame)
        self._put([head, *wire.pieces(arrays)])

    def _put(self, pieces: list[bytes | memoryview]) -> None:
        part = self._folder / f"{os.getpid()}.part"
        with part.open("wb") as file:
            file.writelines(pieces)
        part.rename(self._folder / f"{time.monotonic_ns():020}.frame")

    def _close(self) -> None:
        self._put([wire.end()])


ENDPOINT = Endpoint("spool", "a folder that frames lie in", "spool:FOLDER", Source, Sink, CAPABILITIES)
