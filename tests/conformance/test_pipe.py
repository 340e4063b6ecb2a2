# SPDX-License-Identifier: Apache-2.0
"""pipe: keeps what every source and sink promises, with whole frames and with raw pixels.

YUV4MPEG2 is not here: its first frame decides what the others are, which is not a capability that can be declared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from framebus.testing import conformance, specimen
from framebus.testing.conformance.pair import Pair


def link(options: str = "", **changes: object) -> conformance.Link:
    """A fresh pipe, one end for each program."""
    reading, writing = os.pipe()
    return conformance.Link(
        source=f"pipe:fd/{reading}{options}",
        sink=f"pipe:fd/{writing}{options}",
        source_fds=(reading,),
        sink_fds=(writing,),
        changes=changes,
    )


class TestMessages(conformance.Suite):
    resynchronises = False

    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a pipe needs no folder
        return link()

    def garbage(self, link: conformance.Link) -> Callable[[bytes], None]:
        (writing,) = link.sink_fds

        def throw(data: bytes) -> None:
            assert os.write(writing, data) == len(data)

        return throw


class TestRawPixels(conformance.Suite):
    pixel_format = "Mono8"

    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a pipe needs no folder
        return link(
            "?mode=byte&width=64&height=48&pixel_format=Mono8",
            arrays="one",
            dtypes="uint8",
            meta=False,
            pixel_format="some",
            timestamps=False,
            seq=False,
            notices_death=False,
        )

    def carries(self, dtype: str, shape: Sequence[int]) -> bool:
        return dtype == "|u1" and tuple(shape) == (48, 64)

    def test_a_sender_killed_while_sending_leaves_whole_frames_and_is_noticed(self, pair: Pair) -> None:
        # Where pixels are all there is, a death between two images looks like an orderly end.
        pair.start().source.begin_collect(timeout=30.0, report_every=10)
        pair.sink.begin_flood(specimen.FIRST, 100_000, shapes=[(48, 64)], timeout=None)
        for _ in range(3):
            pair.source.expect("progress")
        pair.sink.kill()
        report = pair.source.answer()
        assert report["not_whole"] == []
        assert report["numbers"] == list(range(specimen.FIRST, specimen.FIRST + len(report["numbers"])))
        assert report["ended"]["error"] in {"ChannelClosed", "PublisherDied"}, report["ended"]
