# SPDX-License-Identifier: Apache-2.0
"""Peers that cheat, for test_benchmark_peers.py: a Unix socket whose receiver does what the option `fault` says."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import by_unix_socket
from benchmarks.peers.by_unix_socket import open_sender as open_sender, prepare as prepare, remove as remove
from benchmarks.peers.peer import STAMP, Channel, Image, Look

DISTRIBUTION = None


class Receiver(by_unix_socket.Receiver):
    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._fault = channel.options["fault"]
        self._seen = 0
        self._kept: Image | None = None

    def each(self, look: Look, timeout: float) -> None:
        super().each(lambda image: getattr(self, f"_{self._fault}")(look, image), timeout)

    def _loses(self, look: Look, image: Image) -> bool:
        self._seen += 1
        return self._seen % 4 != 0 and look(image)

    def _swaps(self, look: Look, image: Image) -> bool:
        """Gives every fourth frame one frame too late."""
        self._seen += 1
        if self._seen % 4 == 0:
            self._kept = image.copy()
            return False
        late, self._kept = self._kept, None
        done = look(image)
        return (late is not None and look(late)) or done

    def _tears(self, look: Look, image: Image) -> bool:
        self._seen += 1
        if self._seen % 4 == 0:
            image.reshape(-1)[-1] = 0
        return look(image)

    def _spoils(self, look: Look, image: Image) -> bool:
        """One byte in the middle of every fourth frame."""
        if STAMP.unpack_from(image)[0] % 4 == 1:
            image.reshape(-1)[image.size // 2] = 255
        return look(image)

    def _reshapes(self, look: Look, image: Image) -> bool:
        return look(image.reshape(2, -1))

    def _dies(self, look: Look, image: Image) -> bool:  # noqa: ARG002
        raise SystemExit(3)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:  # noqa: ARG001
    return Receiver(channel)
