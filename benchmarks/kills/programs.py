# SPDX-License-Identifier: Apache-2.0
"""The programs that are killed and those that survive, and the driver's handle on them.

Each is a fresh interpreter that does what it is told over a pipe. A program that does not answer within the watchdog
hangs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.kills import rival

WATCHDOG_S = 5.0
_context = get_context("spawn")


class Hang(Exception):
    """A program did not answer."""


class Failed(Exception):
    """A program's rival raised; the text says what."""


def run_sender(module: str, shared: Any, pipe: Connection, count: Any) -> None:
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


def run_receiver(module: str, shared: Any, pipe: Connection, count: Any) -> None:
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


def guarded(role: str, module: str, shared: Any, pipe: Connection, count: Any) -> None:
    os.environ["PYTHONFAULTHANDLER"] = "1"
    try:
        {"sender": run_sender, "receiver": run_receiver}[role](module, shared, pipe, count)
    except Exception as failure:
        pipe.send(Failed(f"{type(failure).__name__}: {failure}".splitlines()[0]))


class Program:
    def __init__(self, role: str, module: str, shared: Any) -> None:
        self.role = role
        self.busy = False  # until it is told to stop
        self.torn = 0
        self._pipe, theirs = _context.Pipe()
        self._count = _context.Value(ctypes.c_int64, lock=False)
        arguments = (role, module, shared, theirs, self._count)
        self._process = _context.Process(target=guarded, args=arguments)
        self._process.start()
        theirs.close()
        self.answer(30.0)  # an interpreter starts slowly on a busy machine

    @property
    def count(self) -> int:
        """Frames sent or looked at so far."""
        return int(self._count.value)

    def tell(self, command: str, number: int = 0) -> None:
        self._pipe.send((command, number))
        self.busy = command in ("run", "stream")

    def answer(self, seconds: float = WATCHDOG_S) -> Any:
        if not self._pipe.poll(seconds):
            raise Hang
        try:
            answer = self._pipe.recv()
        except EOFError:
            raise Failed(f"{self.role} ended by itself") from None
        if isinstance(answer, Failed):
            raise answer
        return answer

    def ask(self, command: str, number: int = 0) -> Any:
        self.tell(command, number)
        return self.answer()

    def stop(self) -> None:
        """Ends `run` or `stream`."""
        if self.busy:
            answer = self.ask("stop")
            self.torn += answer if isinstance(answer, int) else 0

    def goes_on(self, frames: int = 3) -> bool:
        """Whether it sends or sees so many more frames before the watchdog."""
        goal, end = self.count + frames, time.monotonic() + WATCHDOG_S
        while self.count < goal and time.monotonic() < end:
            time.sleep(0.005)
        return self.count >= goal

    def kill(self) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        self._pipe.close()

    def end(self) -> bool:
        """Closes it. False: it had to be killed."""
        if not self._process.is_alive():
            return True
        try:
            self.stop()
            self.ask("close")
        except (Failed, BrokenPipeError):
            pass
        except Hang:
            self.kill()
            return False
        self._process.join(WATCHDOG_S)
        if self._process.is_alive():
            self.kill()
            return False
        return True
