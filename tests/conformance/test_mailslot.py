# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on mailslot:. Its foreign sender greets as it should, then sends sealed memfds of anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
from tests.support.names import fresh_name

import framebus
from framebus.endpoint.kinds.mailslot import datagram, directory
from framebus.testing import conformance
from framebus.testing.conformance.foreign import Throw


class TestMailslot(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a name of its own will do
        name = fresh_name()

        def nothing_is_left() -> None:
            framebus.sink(f"mailslot:{name}").close()  # removes the boxes of killed programs
            assert not os.path.exists(directory.folder_of(name)), "a box was left behind"

        return conformance.Link(source=f"mailslot:{name}", sink=f"mailslot:{name}", cleanup=nothing_is_left)

    def garbage(self, link: conformance.Link) -> Throw:
        return Foreigner(link.source.partition(":")[2])


class Foreigner:
    """Throws each piece twice: as a datagram, and on a memfd."""

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (box_id,) = directory.box_ids(name)
        assert directory.connect(name, box_id, self.socket)
        # Room for a large datagram that nobody has read yet, and for the memfd after it.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        self.socket.settimeout(30)
        self.number = 0
        pipe, self.kept_end = os.pipe()
        self.send(datagram.write(datagram.GREETING, 7, 0), pipe)

    def __call__(self, piece: bytes) -> None:
        self.socket.send(piece)
        self.number += 1
        memory, size = datagram.make_memfd(piece, [np.empty(0)])
        self.send(datagram.write(datagram.FRAME, 7, self.number, size), memory)

    def send(self, data: bytes, descriptor: int) -> None:
        socket.send_fds(self.socket, [data], [descriptor])
        os.close(descriptor)

    def close(self) -> None:
        self.socket.close()
        os.close(self.kept_end)
