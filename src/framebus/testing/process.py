# SPDX-License-Identifier: Apache-2.0
"""Programs in interpreters of their own, driven over pipes.

A program runs in an interpreter of its own, or in a fork of one that has imported what most programs import and has
done nothing else (framebus.testing.forkserver). So nothing but the channel joins it to the test. It writes one JSON
object per line, told apart by its `kind`; commands go the other way (framebus.testing.talk is the program's half).
Every wait here has a watchdog; a program that runs into it is made to say where its threads are.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from framebus._util import fds
from framebus.testing import forked

# Against hangs only: no test is about how fast something is.
WATCHDOG_S = 60.0

Message = dict[str, Any]
Self = TypeVar("Self", bound="Program")


class Refused(Exception):
    """What the program's own code raised.

    Attributes:
        error: the name of the exception's type.
        message: its text.
        kinds: the names of that type and of all it derives from.
    """

    def __init__(self, error: str, message: str, kinds: Sequence[str] = ()) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message
        self.kinds = tuple(kinds)


class Program:
    """One running program, of Python unless it is native.

    with Program(["program.py"], {"name": "camera0"}) as program:
        program.expect("ready")
        program.ask("send", number=1)
        program.kill()
    """

    def __init__(
        self,
        command: Sequence[str],
        options: Mapping[str, object] | None = None,
        *,
        under: Sequence[str] = (),
        python: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        native: bool = False,
        fork: bool = True,
    ) -> None:
        """Starts it.

        Args:
            command: arguments for the interpreter: a file, or "-m" and a module.
            options: JSON values for its talk.options().
            under: a command that starts another, as `nsenter` does.
            python: options for the interpreter, such as "-W", "error".
            pass_fds: descriptors that it inherits, by the same numbers.
            env: environment variables beside those of this process.
            native: it is not a Python program: `command` is all of it, and it speaks as talk does.
            fork: a Python program may be a fork, which has another command line. False starts an interpreter.
        """
        self.title = command[0] if native else command[-1]
        self._unread = b""
        self._inbox: dict[str, deque[Message]] = defaultdict(deque)
        fds.fill_standard()
        self._errors = tempfile.TemporaryFile()  # a file never fills up, so nobody has to read along
        words = command if native else [*command, json.dumps(options or {})]
        self._process: forked.Forked | subprocess.Popen[bytes]
        if fork and not native and not under and hasattr(os, "pidfd_open"):
            self._process = forked.Forked(python, words, stderr=self._errors, pass_fds=pass_fds, env=env)
            return
        interpreter = () if native else (sys.executable, "-X", "faulthandler", *python)
        self._process = subprocess.Popen(
            [*under, *interpreter, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            pass_fds=pass_fds,
            env=None if env is None else {**os.environ, **env},
        )

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id; that of `under` where there is one."""
        return self._process.pid

    def tell(self, command: str, **arguments: object) -> None:
        """Sends a command without waiting for what comes of it."""
        assert self._process.stdin is not None
        line = json.dumps({"do": command, **arguments}) + "\n"
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Waits for the answer to the oldest unanswered command; an exception over there becomes Refused here."""
        message = self.expect("answer")
        if "error" in message:
            raise Refused(message["error"], message["message"], message.get("kinds", ()))
        return message["value"]

    def ask(self, command: str, **arguments: object) -> Any:
        """Sends a command and waits for its answer."""
        self.tell(command, **arguments)
        return self.answer()

    def expect(self, kind: str) -> Message:
        """Waits for the next message of this kind; others are kept until they are asked for."""
        deadline = time.monotonic() + WATCHDOG_S
        while not self._inbox[kind]:
            message = json.loads(self._line(deadline, kind))
            self._inbox[message["kind"]].append(message)
        return self._inbox[kind].popleft()

    def heard(self, kind: str) -> bool:
        """Says whether a message of this kind has come in already; also of a program that has ended since."""
        while not self._inbox[kind] and self._readable(0.0):
            if b"\n" in self._unread:
                message = json.loads(self._line(time.monotonic() + WATCHDOG_S, kind))
                self._inbox[message["kind"]].append(message)
            elif not self._read_more():
                break
        return bool(self._inbox[kind])

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; SIGSTOP returns when the program does stand still."""
        os.kill(self.pid, number)
        if number == signal.SIGSTOP:
            self._wait_for_state("T")

    def kill(self) -> None:
        """Ends the program as `kill -9` does, and waits until it is gone."""
        self._process.kill()
        self._process.wait(WATCHDOG_S)

    def wait(self) -> int:
        """Waits for the program to end by itself; returns its exit status."""
        self.hang_up()
        try:
            return self._process.wait(WATCHDOG_S)
        except subprocess.TimeoutExpired:
            self._fail("did not end")

    def hang_up(self) -> None:
        """Closes the program's standard input, which is how a program that serves is asked to end."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def stop(self) -> None:
        """Ends the program in any case: asked first, then killed."""
        self.hang_up()
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()

    def errors(self) -> str:
        """Returns what the program has written to its standard error so far."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")

    def _line(self, deadline: float, kind: str) -> bytes:
        while b"\n" not in self._unread:
            if not self._readable(max(0.0, deadline - time.monotonic())):
                self._fail(f"did not say {kind!r} within {WATCHDOG_S:.0f} s")
            if not self._read_more():
                self._process.wait(WATCHDOG_S)
                self._fail(f"ended before it said {kind!r}")
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _read_more(self) -> bool:
        """Reads what has come in; False if nothing can come any more."""
        assert self._process.stdout is not None
        chunk = os.read(self._process.stdout.fileno(), 1 << 16)
        self._unread += chunk
        return bool(chunk)

    def _readable(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        return b"\n" in self._unread or bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _wait_for_state(self, letter: str) -> None:
        deadline = time.monotonic() + WATCHDOG_S
        while self._state() != letter:
            if time.monotonic() > deadline:
                self._fail(f"did not reach state {letter}")
            os.sched_yield()

    def _state(self) -> str:
        with open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def _fail(self, what: str) -> NoReturn:
        status = self._process.poll()
        if status is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.send_signal(signal.SIGABRT)  # faulthandler writes where every thread stands
                self._process.wait(5)
        raise AssertionError(f"{self.title} (pid {self.pid}, status {status}) {what}; its errors:\n{self.errors()}")
