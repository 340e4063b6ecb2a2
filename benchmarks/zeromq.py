# SPDX-License-Identifier: Apache-2.0
"""ipc:// and tcp:// with mode=every beside bare pyzmq that does the same: header and pixels, into another program.

Bare pyzmq sends both with send_multipart(copy=False), as its documentation recommends for large messages; the array
must not be changed until it has left, which nothing tells. framebus sends without a copy too, and returns when it has
left. Where both copy, the array may be changed while it is on its way. Over TCP framebus limits the send buffer, which
bare pyzmq leaves to the system; bare pyzmq is measured with the same limit too, to tell the two effects apart.

Frames per second are counted by the receiving program, from its first frame to its last; it makes an array of each and
reads one pixel. All queues hold four frames.
"""

from __future__ import annotations

import functools
import json
import socket
import sys
import tempfile
import uuid

import numpy as np
import zmq
from numpy.typing import NDArray
from tests.support.started import Started

import framebus
from benchmarks.rounds import in_turn
from framebus.endpoint.kinds.zeromq.zmq_socket import LOOPBACK_BUFFER

SHAPES = {"640x480": (480, 640, 3), "1080p": (1080, 1920, 3), "4K": (2160, 3840, 3)}
BYTES_A_ROUND = 2_000_000_000
ROUNDS = 15
HWM = 4
LONG_S = 60.0
SAME_BUFFER = "bare, same buffer"
WAYS = ("framebus", "bare, copy=False", "framebus, copy=true", "bare, copy=True", SAME_BUFFER)
PROGRAM = """
import json, sys, time
kind, address, count, shape = sys.argv[1], sys.argv[2], int(sys.argv[3]), tuple(json.loads(sys.argv[4]))
if kind == "bare":
    import numpy, zmq
    socket = zmq.Context.instance().socket(zmq.PULL)
    socket.rcvhwm = 4
    socket.connect(address)
    def receive():
        header, body = socket.recv_multipart(copy=False)
        assert json.loads(header.bytes)["shape"] == list(shape)
        return numpy.frombuffer(body.buffer, numpy.uint8).reshape(shape)
else:
    import framebus
    source = framebus.source(address, mode="every", hwm=4)
    def receive():
        return source.recv().array
print("ready", flush=True)
total = int(receive()[0, 0, 0])
start = time.perf_counter()
for _ in range(count - 1):
    total += int(receive()[0, 0, 0])
print((count - 1) / (time.perf_counter() - start), flush=True)
assert total == count
"""


def send_bare(
    address: str,
    image: NDArray[np.uint8],
    count: int,
    receiver: Started,
    copy: bool,
    buffer: int | None = None,
) -> float:
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.sndhwm = HWM
        if buffer is not None:
            push.sndbuf = buffer
        push.bind(address)
        for seq in range(count):
            header = {"seq": seq, "shape": image.shape, "dtype": image.dtype.str}
            push.send_multipart([json.dumps(header).encode(), image], copy=copy)
        return float(receiver.line())


def send_framebus(address: str, image: NDArray[np.uint8], count: int, receiver: Started, copy: bool) -> float:
    with framebus.sink(address, mode="every", hwm=HWM, copy=copy) as sink:
        for _ in range(count):
            sink.send(image)
        return float(receiver.line())


def address_of(scheme: str, folder: str) -> str:
    """A fresh one: the system may still hold that of the round before."""
    if scheme == "ipc":
        return f"ipc://{folder}/{uuid.uuid4().hex}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


def frames_per_second(way: str, scheme: str, folder: str, image: NDArray[np.uint8]) -> float:
    kind, address = way.partition(",")[0], address_of(scheme, folder)
    count = min(2000, max(20, BYTES_A_ROUND // image.nbytes))
    with Started(sys.executable, "-c", PROGRAM, kind, address, count, json.dumps(image.shape), stderr=None) as receiver:
        assert receiver.line() == "ready"
        send = send_bare if kind == "bare" else send_framebus
        if way == SAME_BUFFER:
            send = functools.partial(send_bare, buffer=LOOPBACK_BUFFER)
        rate = send(address, image, count, receiver, way.lower().endswith("copy=true"))
        assert receiver.wait(LONG_S) == 0
    return rate


def main() -> None:
    print(f"\nZeroMQ {zmq.zmq_version()}, every frame into another program, frames/s, median (least to most)")
    with tempfile.TemporaryDirectory() as folder:
        for label, shape in SHAPES.items():
            for scheme in ("ipc", "tcp"):
                measure = functools.partial(
                    frames_per_second, scheme=scheme, folder=folder, image=np.ones(shape, np.uint8)
                )
                ways = [way for way in WAYS if scheme == "tcp" or way != SAME_BUFFER]
                spreads = in_turn({way: functools.partial(measure, way) for way in ways}, ROUNDS)
                ours, bare, ours_copied, bare_copied, *same = (spreads[way].median for way in ways)
                print(
                    f"{label}, {scheme}: {bare / ours:.2f} times as long as bare, "
                    f"{bare_copied / ours_copied:.2f} times where both copy"
                    + "".join(f", {rate / ours:.2f} times where bare has the same buffer" for rate in same)
                )
                for way, spread in spreads.items():
                    print(f"  {way:19s} {spread}")
