# SPDX-License-Identifier: Apache-2.0
"""npy:FOLDER, an endpoint that stores plain images as .npy files and can carry nothing else."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Annotated

import numpy as np

from framebus import (
    BaseSink,
    BaseSource,
    Capabilities,
    ChannelClosed,
    Deadline,
    Endpoint,
    EndpointError,
    Frame,
    OutgoingFrame,
)

CAPABILITIES = Capabilities(arrays="one", meta=False, pixel_format="none", timestamps=False, seq=False, stored=True)


class Source(BaseSource):
    def __init__(self, folder: str) -> None:
        super().__init__(f"npy:{folder}")
        self._left, self._seq = sorted(Path(folder).glob("*.npy"), reverse=True), 0

    def _receive(self, deadline: Deadline) -> Frame:  # noqa: ARG002 - what is stored is there at once
        if not self._left:
            raise ChannelClosed(f"that was all in {self.url}")
        path = self._left.pop()
        try:
            image = np.asarray(np.load(path, allow_pickle=False, max_header_size=1000), order="C")
        except Exception as error:  # what is not an image can make numpy raise anything, TokenError for one
            raise EndpointError(f"{path} is not an image: {error}") from error
        self._seq += 1
        return Frame({"image": image}, seq=self._seq, timestamp_ns=time.monotonic_ns(), wall_time_ns=time.time_ns())


class Sink(BaseSink):
    capabilities = CAPABILITIES

    def __init__(self, folder: str, *, lossy: Annotated[bool, "leave out what an image can't carry"] = False) -> None:
        super().__init__(f"npy:{folder}")
        self._folder, self._number, self.lossy = Path(folder), 0, lossy

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - a file takes what it is given
        self._number += 1
        part = self._folder / "next.part"  # whoever is interrupted leaves whole files only
        data = io.BytesIO()  # np.save() to a real file loses an exception of a signal handler now and then
        np.save(data, frame.array)
        part.write_bytes(data.getbuffer())
        part.rename(self._folder / f"{self._number:08}.npy")


ENDPOINT = Endpoint("npy", "a folder of .npy files", "npy:FOLDER", Source, Sink, CAPABILITIES)
