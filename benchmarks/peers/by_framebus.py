# SPDX-License-Identifier: Apache-2.0
"""framebus. Options: `wait`, the policy of the subscriber; `loop`, receive in that event loop: asyncio, uvloop, trio;
`warm_up`, the publisher warms up before each frame, as programs do that know when one comes.

Followed: the README, with a release() of each frame as soon as it has been looked at.

Where nothing may be lost, Publisher(on_full="block") and Subscriber(every=True).
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import framebus
from benchmarks.peers.peer import PATIENCE_S, Channel, Image, Look, Unable, write_ends

DISTRIBUTION = "framebus"


class Sender:
    def __init__(self, channel: Channel) -> None:
        self._shape = channel.shape
        self._publisher = framebus.Publisher(channel.name, on_full="block" if channel.lossless else "drop")
        if channel.options.get("warm_up"):
            self.warm_up = self._publisher.warm_up

    def send(self, image: Image) -> None:
        self._publisher.send(image, timeout=PATIENCE_S)

    def send_in_place(self, number: int, time_ns: int) -> None:
        with self._publisher.loan(self._shape, timeout=PATIENCE_S) as loan:
            write_ends(loan.array, number, time_ns)

    def memory_bytes(self) -> int:
        """The pages of the channel that have been used."""
        return self._publisher.statistics().memory_bytes

    def close(self) -> None:
        self._publisher.close()


class Receiver:
    def __init__(self, channel: Channel) -> None:
        wait = channel.options.get("wait", "adaptive")
        self._subscriber = framebus.Subscriber(channel.name, every=channel.lossless, wait=wait)

    def each(self, look: Look, timeout: float) -> None:
        subscriber = self._subscriber
        try:
            while True:
                frame = subscriber.recv(timeout)
                done = look(frame.array)
                frame.release()
                if done:
                    return
        except framebus.Timeout:
            return

    def close(self) -> None:
        self._subscriber.close()


class AsyncReceiver(Receiver):
    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._run = runner(channel.options["loop"])

    def each(self, look: Look, timeout: float) -> None:
        self._run(self._await, look, timeout)

    async def _await(self, look: Look, timeout: float) -> None:
        with contextlib.suppress(framebus.Timeout):
            while True:
                frame = await self._subscriber.recv_async(timeout=timeout)
                done = look(frame.array)
                frame.release()
                if done:
                    return


def runner(loop: str) -> Callable[..., None]:
    """A function that runs an async function with its arguments in that event loop."""
    module = importlib.import_module(loop)
    if loop == "trio":
        run: Callable[..., None] = module.run
        return run

    def run_coroutine(work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        module.run(work(*arguments))

    return run_coroutine


def prepare(channel: Channel) -> None:
    loop = channel.options.get("loop")
    if loop is not None and importlib.util.find_spec(loop) is None:
        raise Unable(f"{loop} is not installed")


def open_sender(channel: Channel, shared: Any) -> Sender:
    return Sender(channel)


def open_receiver(channel: Channel, shared: Any, number: int) -> Receiver:
    return AsyncReceiver(channel) if "loop" in channel.options else Receiver(channel)


def remove(channel: Channel, shared: Any) -> None:
    remove_channel(channel.name)


def remove_channel(name: str) -> None:
    for path in Path("/dev/shm").glob(f"framebus.{name}*"):
        path.unlink(missing_ok=True)
