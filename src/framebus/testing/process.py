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
import signal
import sys
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, TypeVar

from framebus._util.child import Child, Process, wait
from framebus._util.deadline import Deadline
from framebus.testing.forked import Forked

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


class Program(Child):
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
        self._inbox: dict[str, deque[Message]] = defaultdict(deque)
        self._python = tuple(python)
        self._forks = fork and not native and not under and hasattr(os, "pidfd_open")
        words = [*under, *command] if native else [*command, json.dumps(options or {})]
        interpreter = () if native or self._forks else (*under, sys.executable, "-X", "faulthandler", *python)
        super().__init__(
            [*interpreter, *words],
            pass_fds=pass_fds,
            env=env,
        )

    def _start(
        self,
        command: Sequence[str],
        stderr: BinaryIO | int,
        env: Mapping[str, str] | None,
        pass_fds: Sequence[int],
        new_session: bool,
    ) -> Process:
        if not self._forks or isinstance(stderr, int):
            return super()._start(command, stderr, env, pass_fds, new_session)
        return Forked(self._python, command, stderr=stderr, pass_fds=pass_fds, env=env)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def tell(self, command: str, **arguments: object) -> None:
        """Sends a command without waiting for what comes of it."""
        self._write(json.dumps({"do": command, **arguments}).encode())

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
        deadline = Deadline(WATCHDOG_S)
        while not self._inbox[kind]:
            try:
                if not self._hear(deadline.left()):
                    self._process.wait(WATCHDOG_S)
                    self._fail(f"ended before it said {kind!r}")
            except TimeoutError:
                self._fail(f"did not say {kind!r} within {WATCHDOG_S:.0f} s")
        return self._inbox[kind].popleft()

    def heard(self, kind: str) -> bool:
        """Says whether a message of this kind has come in already; also of a program that has ended since."""
        with contextlib.suppress(TimeoutError):
            while not self._inbox[kind] and self._hear(0.0):
                pass
        return bool(self._inbox[kind])

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal; SIGSTOP returns when the program is stopped, all its threads."""
        os.kill(self.pid, number)
        if number == signal.SIGSTOP and isinstance(self._process, Forked):
            self._process.wait_until_stopped()
        elif number == signal.SIGSTOP:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def wait(self) -> int:
        """Closes the program's standard input and waits for its end; returns its exit status."""
        self.hang_up()
        status = wait(self._process, WATCHDOG_S)
        return self._fail("did not end") if status is None else status

    def stop(self) -> None:
        """Ends the program in any case: asked first, also where it is stopped, then killed."""
        self._stop(10, signal.SIGCONT)

    def _hear(self, seconds: float | None) -> bool:
        """Takes in one message; False if nothing can come any more. Raises TimeoutError."""
        message = self._read(seconds)
        if message is not None:
            self._inbox[message["kind"]].append(message)
        return message is not None

    def _fail(self, what: str) -> NoReturn:
        status = self.status
        if status is None:
            self._process.send_signal(signal.SIGABRT)  # faulthandler writes where every thread stands
            wait(self._process, 5)
        raise AssertionError(f"{self.title} (pid {self.pid}, status {status}) {what}; its errors:\n{self.errors()}")
