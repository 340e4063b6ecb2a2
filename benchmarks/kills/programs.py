# SPDX-License-Identifier: Apache-2.0
"""The programs that are killed and those that survive, and the driver's handle on them.

Each is a fresh interpreter that does what it is told over a pipe. A program that does not answer within the watchdog
hangs.
"""

from __future__ import annotations

import ctypes
import os
import time
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.kills import rival
from benchmarks.program import START_S, Failed as Failed, Handle, Hang as Hang, context, failure_of

WATCHDOG_S = Handle.watchdog_s


def run_sender(module: str, shared: Any, count: Any, pipe: Connection) -> None:
    sender = rival.load(module).open_sender(shared)
    pipe.send("open")
    while True:
        command, number = pipe.recv()
        if command == "close":
            sender.close()
            pipe.send("closed")
            return
        if command == "half":
            sender.fill_half(rival.picture(number))
        elif command == "send":
            sender.send(rival.picture(number))
            count.value += 1
        elif command == "stream":
            pipe.send("streaming")
            pictures = [rival.picture(n) for n in range(number, number + 8)]
            while not pipe.poll():
                sender.send(pictures[count.value % 8])
                count.value += 1
            pipe.recv()
        pipe.send("done")


def run_receiver(module: str, shared: Any, count: Any, pipe: Connection) -> None:
    receiver = rival.load(module).open_receiver(shared)
    pipe.send("open")
    while True:
        command, _ = pipe.recv()
        if command == "close":
            receiver.close()
            pipe.send("closed")
            return
        if command == "hold":
            pipe.send(receiver.hold(WATCHDOG_S))
        elif command == "wait":  # for a frame that never comes; the driver kills us here
            receiver.recv(0.2)
            pipe.send("waiting")
            while receiver.recv(60.0) is None:
                pass
        elif command == "run":
            pipe.send("running")
            pipe.send(watch(receiver, pipe, count))


def watch(receiver: rival.Receiver, pipe: Connection, count: Any) -> int:
    """Looks at every byte of every frame until told to stop. Returns how many were torn."""
    torn = 0
    while not pipe.poll():
        image = receiver.recv(0.1)
        if image is not None:
            torn += not rival.is_whole(image)
            count.value += 1
        del image
    pipe.recv()
    return torn


def guarded(role: str, module: str, shared: Any, count: Any, pipe: Connection) -> None:
    os.environ["PYTHONFAULTHANDLER"] = "1"
    try:
        {"sender": run_sender, "receiver": run_receiver}[role](module, shared, count, pipe)
    except Exception as failure:
        pipe.send(failure_of(failure))


class Program(Handle):
    def __init__(self, role: str, module: str, shared: Any) -> None:
        self.role = role
        self.busy = False  # until it is told to stop
        self.torn = 0
        self._count = context.Value(ctypes.c_int64, lock=False)
        super().__init__(guarded, role, module, shared, self._count)
        self.answer(START_S)

    @property
    def count(self) -> int:
        """Frames sent or looked at so far."""
        return int(self._count.value)

    def tell(self, command: str, argument: Any = 0) -> None:
        super().tell(command, argument)
        self.busy = command in ("run", "stream")

    def stop(self) -> None:
        """Ends `run` or `stream`."""
        if self.busy:
            answer = self.ask("stop")
            self.torn += answer if isinstance(answer, int) else 0

    def goes_on(self, frames: int = 3) -> bool:
        """Whether it sends or sees so many more frames before the watchdog."""
        goal, end = self.count + frames, time.monotonic() + self.watchdog_s
        while self.count < goal and time.monotonic() < end:
            time.sleep(0.005)
        return self.count >= goal

    def end(self) -> bool:
        """Closes it. False: it had to be killed."""
        if not self.alive:
            return True
        try:
            self.stop()
            self.ask("close")
        except Failed:
            pass
        except Hang:
            self.kill()
            return False
        return super().end()
