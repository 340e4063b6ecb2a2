# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on baseimage:, with a writer that waits and a reader that takes the event after its copy.

Without that, frames are lost and may be torn, which tests/multiprocess/test_baseimage_article.py shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support.names import fresh_name

from framebus.testing import conformance, specimen
from framebus.testing.conformance.pair import Pair


class TestBaseImage(conformance.Suite):
    pixel_format = "BGR8"

    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a name of its own will do
        name = fresh_name()

        def cleanup() -> None:
            for file in (name, f"sem.{name}Mutex"):
                (Path("/dev/shm") / file).unlink(missing_ok=True)

        return conformance.Link(
            source=f"baseimage:{name}?connect_timeout=30&acknowledge=after",
            sink=f"baseimage:{name}?wait_for_reader",
            sink_first=True,
            changes={"delivery": "every"},  # neither writes or reads before the other is done
            cleanup=cleanup,
        )

    def carries(self, dtype: str, shape: Sequence[int]) -> bool:
        return 16 + int(_size(dtype, shape)) <= 2048 * 4096 * 4

    def test_two_receivers(self, pair: Pair) -> None:
        # acknowledge=after is for one reader, see docs/baseimage.md. Two may copy the same frame, and one may copy a
        # frame twice: where the other has reset the event, a frame is read before it is announced, and then again.
        first = pair.start().source
        second = pair.start_source()
        for receiver in (first, second):
            receiver.begin_collect(timeout=3.0)
        pair.sink.flood(specimen.FIRST, 300)
        reports = [first.answer(), second.answer()]
        assert [report["not_whole"] for report in reports] == [[], []]
        for report in reports:
            assert report["numbers"]
            assert report["numbers"] == sorted(report["numbers"]), "whole frames, in order"


def _size(dtype: str, shape: Sequence[int]) -> int:
    size = int(dtype[2:])
    for length in shape:
        size *= length
    return size
