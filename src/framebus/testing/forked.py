# SPDX-License-Identifier: Apache-2.0
"""A Python program that was started as a fork: what the tests use of subprocess.Popen, on framebus.testing.forkserver.

A program stays a zombie until its exit status is asked for here, so that its process id stays its own.
"""

from __future__ import annotations

import array
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from framebus._util import fds, lifetime

SERVER = "framebus.testing.forkserver"
LARGEST = 1 << 20  # bytes of a request: it carries the environment
_READ_AT_START = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OPENBLAS_", "OMP_")  # variables, by how their names begin
_MOST_SERVERS = 4


class Forked:
    """A program that was forked. It has what the tests use of subprocess.Popen, and does what that does."""

    def __init__(
        self,
        python: Sequence[str],
        command: Sequence[str],
        *,
        stderr: BinaryIO | Any,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        imports: Sequence[str] = (),
    ) -> None:
        """Starts it. Raises OSError.

        Args:
            python: options of the interpreter, which needs a fork server of its own.
            command: a file or "-m" and a module, then arguments.
            stderr: the file for its standard error.
            pass_fds: descriptors that it inherits, by the same numbers.
            env: environment variables beside those of this process.
            imports: modules that its fork server has imported, beside numpy and framebus.
        """
        self.returncode: int | None = None
        self.stderr = None
        environment = {**os.environ, **(env or {})}
        self._server = _server_for(python, environment, imports)
        program_in, ours_in = fds.pipe()
        ours_out, program_out = fds.pipe()
        self.stdin = open(ours_in, "wb")
        self.stdout = open(ours_out, "rb", buffering=0)
        try:
            given = [program_in, program_out, stderr.fileno(), *pass_fds]
            request = {"do": "start", "argv": list(command), "cwd": os.getcwd(), "env": environment}
            self.pid = self._server.ask({**request, "fds": [0, 1, 2, *pass_fds]}, given)
        except BaseException:
            self.stdin.close()
            self.stdout.close()
            raise
        finally:
            os.close(program_in)
            os.close(program_out)
        self._ended = fds.lift(os.pidfd_open(self.pid))

    def poll(self) -> int | None:
        """Returns the exit status, or None if the program runs."""
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit status; minus the signal for a program that a signal ended. Raises TimeoutExpired."""
        status = self._status(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return status

    def kill(self) -> None:
        """Sends SIGKILL if the program runs."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, sig: int, /) -> None:
        """Sends a signal if the program runs."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def wait_until_stopped(self) -> None:
        """Waits until SIGSTOP has stopped all its threads, or until it has ended."""
        self._server.ask({"do": "stopped", "pid": self.pid})

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None and self._has_ended(timeout):
            self.returncode = self._server.ask({"do": "reap", "pid": self.pid})
            os.close(self._ended)
        return self.returncode

    def _has_ended(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000))


class _Server:
    """The test's half of the connection to one fork server.

    Requests are numbered, and so are their answers: an exception may interrupt a wait for an answer, as Ctrl-C and a
    time limit of pytest do, and that answer then comes before the next one.
    """

    def __init__(self, python: Sequence[str], env: Mapping[str, str], imports: Sequence[str]) -> None:
        self._running = 0
        self._number = 0
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._socket, theirs = fds.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._socket, theirs):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, LARGEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", *python, "-m", SERVER, str(theirs.fileno()), *imports],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**env, "OPENBLAS_NUM_THREADS": "1"},  # a fork copies one thread
            )

    def ask(self, request: Mapping[str, Any], given: Sequence[int] = ()) -> int:
        """Returns the answer to a request with these descriptors. Raises OSError."""
        with self._lock:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", given))] if given else []
            self._number += 1
            self._socket.sendmsg([json.dumps({**request, "number": self._number}).encode()], rights)
            number = answer = 0
            while number != self._number:
                data = self._socket.recv(LARGEST)
                if not data:
                    pid = self._process.pid
                    raise ConnectionError(f"the fork server (process {pid}) has ended; its errors are above")
                number, answer = json.loads(data)
            self._running += {"start": 1, "stopped": 0, "reap": -1}[request["do"]]
            return answer

    @property
    def is_idle(self) -> bool:
        """Whether every program that it has started has ended and was asked for its status."""
        return self._running == 0

    def close(self) -> None:
        """Lets the fork server end; its programs go on."""
        self._socket.close()
        if self.owner == os.getpid():
            self._process.wait()


_servers: dict[tuple[object, ...], _Server] = {}
_servers_lock = threading.Lock()


def _server_for(python: Sequence[str], env: Mapping[str, str], imports: Sequence[str]) -> _Server:
    """Returns the fork server for these options and imports, and for the variables that an interpreter reads first."""
    read = {name: value for name, value in env.items() if name.startswith(_READ_AT_START)}
    key = (*python, *sorted(read.items()), *imports)
    with _servers_lock:
        server = _servers.pop(key, None)
        if server is None or server.owner != os.getpid():
            idle = [key for key, server in _servers.items() if server.is_idle]
            if len(_servers) >= _MOST_SERVERS and idle:
                _servers.pop(idle[0]).close()
            server = _Server(python, env, imports)
        _servers[key] = server  # the newest comes last
        return server


@lifetime.at_exit_before_libraries
def _close_all() -> None:
    while _servers:
        _servers.popitem()[1].close()
