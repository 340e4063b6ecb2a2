# SPDX-License-Identifier: Apache-2.0
"""pyzmq on ipc://: send(copy=False) and recv(copy=False), an array over the received frame's buffer.

Followed: pyzmq's guide to sending without a copy. Messages below zmq.COPY_THRESHOLD are copied anyway, which is faster;
larger ones belong to ZeroMQ until their tracker says so, and send() waits for that. PUSH and PULL where nothing may be
lost and for a single receiver, PUB and SUB for several.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

from benchmarks.peers.peer import PATIENCE_S, Channel, Image, Look

DISTRIBUTION = "pyzmq"
FRAMES = 4  # the high-water mark of both ends


def path_of(channel: Channel) -> str:
    return f"{channel.folder}/zmq"


class Sender:
    def __init__(self, channel: Channel) -> None:
        import zmq

        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH if channel.receivers == 1 else zmq.PUB)
        self._socket.sndhwm = FRAMES
        self._socket.sndtimeo = int(PATIENCE_S * 1000)
        self._socket.linger = 0
        self._socket.bind(f"ipc://{path_of(channel)}")
        self._tracked = channel.nbytes >= zmq.COPY_THRESHOLD

    def send(self, image: Image) -> None:
        if self._tracked:
            self._socket.send(image, copy=False, track=True).wait(PATIENCE_S)
        else:
            self._socket.send(image)

    def close(self) -> None:
        self._socket.close()
        self._context.term()


class Receiver:
    def __init__(self, channel: Channel) -> None:
        import zmq

        self._zmq = zmq
        self._shape = channel.shape
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PULL if channel.receivers == 1 else zmq.SUB)
        self._socket.rcvhwm = FRAMES
        if channel.receivers > 1:
            self._socket.subscribe(b"")
        self._socket.connect(f"ipc://{path_of(channel)}")

    def each(self, look: Look, timeout: float) -> None:
        self._socket.rcvtimeo = int(timeout * 1000)
        receive, shape = self._socket.recv, self._shape
        with contextlib.suppress(self._zmq.Again):
            while True:
                frame = receive(copy=False)
                if look(np.frombuffer(frame.buffer, np.uint8).reshape(shape)):
                    return

    def close(self) -> None:
        self._socket.close()
        self._context.term()


def prepare(channel: Channel) -> None:
    """Nothing."""


def open_sender(channel: Channel, shared: Any) -> Sender:
    return Sender(channel)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:
    return Receiver(channel)


def remove(channel: Channel, shared: Any) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path_of(channel))
