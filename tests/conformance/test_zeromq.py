# SPDX-License-Identifier: Apache-2.0
"""ZeroMQ keeps what every source and sink promises: by TCP and by path, the newest frame and every frame.

The foreign sender is a plain ZeroMQ socket. It sends each piece of garbage twice: as one part, and cut into three.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.ports import free_port

from framebus.endpoint import url as urls
from framebus.testing import conformance

zmq = pytest.importorskip("zmq", reason='needs pyzmq: pip install "framebus[zmq]"')


class Foreign:
    """A program that speaks ZeroMQ and knows nothing of frames; in the place of the sink."""

    def __init__(self, url: str) -> None:
        parsed = urls.parse(url)
        self._context = zmq.Context()
        is_every = parsed.options["mode"] == "every"
        self._socket = self._context.socket(zmq.PUSH if is_every else zmq.XPUB)
        self._socket.linger = 0
        self._socket.sndtimeo = self._socket.rcvtimeo = 30_000
        self._socket.bind(f"{parsed.scheme}:{parsed.rest}")
        self._has_receiver = is_every

    def __call__(self, piece: bytes) -> None:
        if not self._has_receiver:
            assert self._socket.recv() == b"\1"
            self._has_receiver = True
        third = len(piece) // 3
        self._socket.send(piece)
        self._socket.send_multipart([piece[:third], piece[third : 2 * third], piece[2 * third :]])

    def close(self) -> None:
        self._context.destroy()


class Suite(conformance.Suite):
    def garbage(self, link: conformance.Link) -> Foreign:
        return Foreign(link.sink)


class TestTcpEvery(Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002
        url = f"tcp://127.0.0.1:{free_port()}?mode=every"
        return conformance.Link(source=url, sink=url, changes={"delivery": "every", "receivers": "one"})


class TestIpcLatest(Suite):
    def link(self, tmp_path: Path) -> conformance.Link:
        url = f"ipc://{tmp_path}/socket?mode=latest"
        return conformance.Link(source=url, sink=url, changes={"delivery": "latest"})


class TestIpcEvery(Suite):
    def link(self, tmp_path: Path) -> conformance.Link:
        url = f"ipc://{tmp_path}/socket?mode=every"
        return conformance.Link(source=url, sink=url, changes={"delivery": "every", "receivers": "one"})


class TestIpcWhereTheSourceBinds(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:
        url = f"ipc://{tmp_path}/socket?mode=every"
        changes = {"delivery": "every", "receivers": "one"}
        return conformance.Link(source=f"{url}&bind=true", sink=f"{url}&bind=false", changes=changes)
