# SPDX-License-Identifier: Apache-2.0
"""tcp:// and ipc:// inside one process: what no sink of framebus sends is counted, skipped and not kept.

The foreign senders are plain sockets.
"""

from __future__ import annotations

import socket
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import wait_until

import framebus
from framebus.endpoint import OutgoingFrame, wire

zmq = pytest.importorskip("zmq", reason='needs pyzmq: pip install "framebus[zmq]"')

LONG = 30.0  # against hangs only
IMAGE = np.arange(640 * 480, dtype=np.uint32).reshape(480, 640)
MODES = pytest.mark.parametrize("mode", ["latest", "every"])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/socket"


@pytest.fixture
def context() -> Iterator[Any]:
    made = zmq.Context()
    yield made
    made.destroy(linger=0)


def messages() -> dict[str, list[bytes]]:
    head, arrays = wire.encode(OutgoingFrame({"image": np.zeros((4, 16), np.uint8)}, 1, 2, 3, {}, None))
    body = arrays[0].tobytes()
    huge = head.replace(b"[4,16]", b"[0,9223372036854775807]").replace(b" ", b"", 1)
    return {
        "nothing": [b""],
        "noise": [b"\xff" * 100],
        "an end with more": [wire.end(), b"x"],
        "an end that goes on": [wire.end() + b"x"],
        "a head alone": [head],
        "a body that is cut": [head, body[:-1]],
        "a body that is too long": [head, body + b"x"],
        "a body in one part that is cut": [head + body[:-1]],
        "too many parts": [head, body, b"x"],
        "very many parts": [head, *[b"x"] * 20_000],
        "very many parts before a frame in one": [*[b"x"] * 20_000, head + body],
        "a shape that nothing has": [huge[: wire.HEAD.size] + huge[wire.HEAD.size :].ljust(len(head) - wire.HEAD.size)],
    }


@MODES
@pytest.mark.parametrize("what", messages())
def test_what_is_no_frame_is_counted_and_skipped(url: str, context: Any, mode: str, what: str) -> None:
    with (
        context.socket(zmq.PUSH if mode == "every" else zmq.XPUB) as sender,
        sender.bind(url),
        framebus.source(url, mode=mode) as source,
    ):
        if mode == "latest":
            assert sender.poll(LONG * 1000)
        sender.send_multipart(messages()[what])
        head, arrays = wire.encode(OutgoingFrame({"image": IMAGE}, 8, 2, 3, {}, None))
        sender.send_multipart([head, *arrays])
        assert source.recv(LONG).seq == 8
        assert source.statistics().refused == 1
        sender.send(head + b"".join(wire.pieces(arrays)))
        assert np.array_equal(source.recv(LONG).array, IMAGE)
        assert source.statistics().refused == 1


def test_of_a_message_with_very_many_parts_none_is_kept(url: str, context: Any) -> None:
    with context.socket(zmq.PUSH) as sender, sender.bind(url), framebus.source(url, mode="every") as source:
        sender.send_multipart([b"x"] * 50_000)
        tracemalloc.start()
        try:
            wait_until(lambda: source.try_recv() is None and source.statistics().refused == 1)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


@MODES
def test_a_frame_over_max_bytes_is_not_taken_and_the_next_one_is(url: str, mode: str) -> None:
    with (
        framebus.sink(url, mode=mode, wait_for=1) as sink,
        framebus.source(url, mode=mode, max_bytes=100_000) as source,
    ):
        for image in (np.zeros(3_000_000, np.uint8), np.zeros(500_000, np.uint8), np.zeros(3_000_000, np.uint8)):
            refused = source.statistics().refused
            sink.send(image, timeout=LONG)
            wait_until(lambda refused=refused: source.try_recv() is None and source.statistics().refused == refused + 1)
            wait_until(lambda: sink.send(IMAGE[:10], timeout=LONG) and source.try_recv())
        assert source.statistics().refused == 3


def test_bytes_that_are_not_zeromq_at_all_are_counted_where_the_source_binds() -> None:
    with framebus.source("tcp://127.0.0.1:0", bind=True, mode="every") as source:
        port = int(source.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as foreign:
            foreign.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
        wait_until(lambda: source.try_recv() is None and source.statistics().refused == 1)
        with framebus.sink(source.url, bind=False, mode="every") as sink:
            sink.send(IMAGE)
            assert source.recv(LONG).seq == 1
