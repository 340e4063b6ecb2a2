# SPDX-License-Identifier: Apache-2.0
"""Starts Python programs as forks of an interpreter that has imported numpy and framebus already.

A program in an interpreter of its own spends ten times as long on these imports as most tests take. The fork server is
such an interpreter that has imported them, and the modules that it was told, and has done nothing else: no thread, no
channel, no open file. Each program is a fork of it. Nothing joins the program to the test but its standard streams and
the descriptors it was given.

Promise: a program cannot tell that it was forked, but for its parent and its command line. It has the arguments,
environment, current folder, descriptors and `__main__` module that an interpreter of its own would give it. When it
ends, threads are waited for, exit handlers run and files are flushed, as in any program; only the modules are not taken
apart, object by object, unless it ends with an exception. Programs with other interpreter options, or with other values
of the variables that an interpreter reads when it starts, come from another fork server.

The test and its fork server talk over a socket: one request, one answer; framebus.testing.forked is the test's half.
The fork server ends when the test closes the socket or dies.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from importlib.machinery import SourceFileLoader
from io import open_code
from typing import Any

import framebus.endpoint
import framebus.testing.specimen
import framebus.testing.talk  # noqa: F401 - what most programs import
from framebus.testing.forked import LARGEST

_MOST_FDS = 250


def _serve(connection: socket.socket) -> dict[str, Any] | None:
    """Answers requests. Returns None in the fork server when the test has gone, and in a program what it is to be."""
    while True:
        given, request = _next_request(connection)
        if request is None:
            return None
        if request["do"] == "reap":
            answer = os.waitstatus_to_exitcode(os.waitpid(request["pid"], 0)[1])
        elif request["do"] == "stopped":
            os.waitid(os.P_PID, request["pid"], os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            answer = 0
        else:
            answer = os.fork()
            if answer == 0:
                connection.close()
                _place(given, request["fds"])
                return request
            for fd in given:
                os.close(fd)
        connection.send(json.dumps([request["number"], answer]).encode())


def _next_request(connection: socket.socket) -> tuple[list[int], dict[str, Any] | None]:
    data, given, _, _ = socket.recv_fds(connection, LARGEST, _MOST_FDS)
    return given, json.loads(data) if data else None


def _place(given: Sequence[int], numbers: Sequence[int]) -> None:
    """Gives each descriptor its number, and closes all others."""
    first_free = max(*numbers, *given) + 1
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD, first_free) for fd in given]
    for fd, number in zip(moved, numbers, strict=True):
        os.dup2(fd, number, inheritable=True)
    last = 2
    for number in sorted(numbers[3:]):
        os.closerange(last + 1, number)
        last = number
    os.closerange(last + 1, max(moved) + 1)


def _become(program: Mapping[str, Any]) -> None:
    """Runs the program as the module `__main__`, as `python FILE` and `python -m MODULE` do."""
    os.chdir(program["cwd"])
    os.environ.clear()
    os.environ.update(program["env"])
    first, *others = program["argv"]
    main = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    if first == "-m":
        module, *others = others
        sys.path[0] = os.getcwd()
        main.__spec__ = importlib.util.find_spec(module)
        loader = None if main.__spec__ is None else main.__spec__.loader
        assert isinstance(loader, SourceFileLoader), f"no module {module}"
        main.__package__, path, code = module.rpartition(".")[0], loader.path, loader.get_code(module)
    else:
        path, sys.path[0] = first, os.path.dirname(os.path.abspath(first))
        with open_code(path) as file:
            code = compile(file.read(), path, "exec")
    main.__file__, sys.argv[:], sys.modules["__main__"] = path, [path, *others], main
    assert code is not None
    exec(code, main.__dict__)
    _end()


def _end() -> None:
    """Ends a program whose main thread has returned. Taking numpy's modules apart would copy all of their memory."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, runs what threading's users registered
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.PyDLL(None).exit(0)  # with the interpreter locked, so that no daemon thread goes on beside native handlers


def _main() -> None:
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the test, which then ends
    for name in sys.argv[2:]:
        importlib.import_module(name)
    assert len(os.listdir("/proc/self/task")) == 1, "a fork copies one thread only"
    gc.collect()
    gc.freeze()
    with contextlib.closing(socket.socket(fileno=int(sys.argv[1]))) as connection:
        program = _serve(connection)
    if program is not None:
        signal.signal(signal.SIGINT, on_interrupt)
        _become(program)


if __name__ == "__main__":
    _main()
