# SPDX-License-Identifier: Apache-2.0
"""The channel in shared memory keeps what every source and sink promises, in each of its ways of delivery."""

from __future__ import annotations

from pathlib import Path

from tests.support.names import fresh_name

from framebus.testing import conformance

SHARED_MEMORY = Path("/dev/shm")


def link(source_options: str, sink_options: str, **changes: object) -> conformance.Link:
    """A channel of a new name, whose files must be gone at the end."""
    name = fresh_name()

    def nothing_is_left() -> None:
        left = sorted(SHARED_MEMORY.glob(f"framebus.{name}*"))
        for path in left:
            path.unlink(missing_ok=True)
        assert not left, f"files of the channel are left: {', '.join(map(str, left))}"

    return conformance.Link(
        source=f"{name}?{source_options}",
        sink=f"shm:{name}?{sink_options}",
        cleanup=nothing_is_left,
        sink_first=True,
        changes=changes,
    )


class TestLatest(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a channel needs no folder
        return link("reconnect=true", "", delivery="latest")


class TestEvery(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002
        return link("every", "on_full=block", delivery="every")


class TestEveryFromOnePublisher(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002
        return link("every&reconnect=false", "on_full=block", delivery="every", reconnects=False)
