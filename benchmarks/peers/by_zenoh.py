# SPDX-License-Identifier: Apache-2.0
"""Zenoh between two peers: a Unix socket for small frames, its shared memory for large ones.

Followed: its examples for shared memory (z_pub_shm: a provider, memory that is freed by garbage collection) and for
throughput (z_pub_thr: a declared publisher that blocks where the network is congested, a callback that receives).
`express` sends at once instead of gathering a batch, and the callback runs in Zenoh's own thread (`indirect=False`).
Its Python API writes shared memory from bytes and reads it as bytes: at either end a copy more than in Rust.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.callback import CalledBack
from benchmarks.peers.peer import Channel, Image

DISTRIBUTION = "eclipse-zenoh"
SHARED_FROM = 65536  # bytes
FRAMES = 4
KEY = "frames"


def path_of(channel: Channel) -> str:
    return f"{channel.folder}/zenoh"


def session(channel: Channel, verb: str) -> Any:
    """A session that knows only the other end: verb "listen" or "connect"."""
    import zenoh

    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("scouting/multicast/enabled", "false")
    config.insert_json5("transport/shared_memory/enabled", "true")
    config.insert_json5("listen/endpoints", "[]")
    config.insert_json5(f"{verb}/endpoints", json.dumps([f"unixsock-stream/{path_of(channel)}"]))
    return zenoh.open(config)


class Sender:
    def __init__(self, channel: Channel) -> None:
        import zenoh

        self._session = session(channel, "listen")
        congestion = zenoh.CongestionControl.BLOCK if channel.lossless else zenoh.CongestionControl.DROP
        self._publisher = self._session.declare_publisher(KEY, congestion_control=congestion, express=True)
        self._provider: Any = None
        if channel.nbytes >= SHARED_FROM:
            self._provider = zenoh.shm.ShmProvider.default_backend((channel.nbytes + 4096) * FRAMES)
            self._policy = zenoh.shm.BlockOn(zenoh.shm.GarbageCollect())

    def send(self, image: Image) -> None:
        data = image.tobytes()
        if self._provider is not None:
            memory = self._provider.alloc(len(data), policy=self._policy)
            memory[:] = data
            self._publisher.put(memory)
        else:
            self._publisher.put(data)

    def close(self) -> None:
        self._session.close()


class Receiver(CalledBack):
    def __init__(self, channel: Channel) -> None:
        super().__init__()
        import zenoh

        self._shape = channel.shape
        self._session = session(channel, "connect")
        self._subscriber = self._session.declare_subscriber(KEY, zenoh.handlers.Callback(self._receive, indirect=False))

    def _receive(self, sample: Any) -> None:
        self.show(np.frombuffer(sample.payload.to_bytes(), np.uint8).reshape(self._shape))

    def close(self) -> None:
        self._session.close()


def segments() -> set[Path]:
    return set(Path("/dev/shm").glob("*.zenoh"))


def prepare(channel: Channel) -> set[Path]:
    """What is there already."""
    return segments()


def open_sender(channel: Channel, shared: Any) -> Sender:
    return Sender(channel)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:
    return Receiver(channel)


def remove(channel: Channel, shared: set[Path]) -> None:
    """Its segments stay until the next session removes them; their names are random numbers."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path_of(channel))
    for path in segments() - shared:
        if not in_use(path):
            path.unlink(missing_ok=True)


def in_use(path: Path) -> bool:
    """Whether a program holds the lock that Zenoh keeps on a segment."""
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
