# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on msg:. Its foreign sender is one that has a place at the queue and puts anything into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.names import fresh_name

from framebus.endpoint.kinds.msg import parts
from framebus.endpoint.kinds.msg.queue import Queue
from framebus.testing import conformance
from framebus.testing.conformance.foreign import Throw, wire_messages

pytest.importorskip("posix_ipc", reason='needs posix_ipc; run: pip install "framebus[msg]"')


class TestMsg(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a name of its own will do
        name = fresh_name()

        def cleanup() -> None:
            # The next one who comes removes what killed programs left, and it counts against this user's limit.
            Queue(name, receives=True, depth=None, part_bytes=None).leave()

        return conformance.Link(source=f"msg:{name}", sink=f"msg:{name}", cleanup=cleanup)

    def garbage(self, link: conformance.Link) -> Throw:
        return Foreigner(link.source.partition(":")[2])

    def messages(self) -> list[bytes]:
        *frames, _ = wire_messages()
        return [
            part
            for message in frames
            for part in parts.split([message], len(message), place=1, stream=7, number=1, part_bytes=8192)
        ]


class Foreigner:
    """Throws garbage as a sender that is here."""

    def __init__(self, name: str) -> None:
        self.queue = Queue(name, receives=False, depth=None, part_bytes=None)

    def __call__(self, piece: bytes) -> None:
        for start in range(0, len(piece), self.queue.part_bytes):
            while not self.queue.put(piece[start : start + self.queue.part_bytes], 0):
                self.queue.wait(1000)

    def close(self) -> None:
        self.queue.leave()
