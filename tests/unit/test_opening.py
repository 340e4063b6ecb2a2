# SPDX-License-Identifier: Apache-2.0
"""Descriptors are opened in two places alone, which keep them off 0, 1 and 2: os/linux/fds.hpp and _util/fds.py.

A call that opens one anywhere else is a fault, whatever it is for. Builtin open() and what reads or writes a whole file
are allowed: such a file is closed right away, and the numbers were filled when its end was opened.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository

CPP_PLACE = "include/framebus/os/linux/fds.hpp"
PYTHON_PLACE = "src/framebus/_util/fds.py"

# Functions of the C library that return a descriptor, or open one behind a stream; and the system calls that do.
_CPP_CALLS = (
    r"accept4?|creat|dup[23]?|epoll_create1?|eventfd|fanotify_init|fopen|freopen|inotify_init1?|memfd_create|mkostemp|"
    r"mkstemp|mq_open|open|open64|openat2?|opendir|pidfd_getfd|pidfd_open|pipe2?|popen|shm_open|signalfd|socket|"
    r"socketpair|timerfd_create|tmpfile|userfaultfd"
)
_CPP = re.compile(
    rf"(?<![\w.>:])(?:::|std::)?({_CPP_CALLS})\s*\((?!\))"
    r"|\bF_DUPFD\w*|\bsyscall\(\s*(?:\w*Setup|SYS_\w*(?:open|setup|create|eventfd|socket|pipe|dup)\w*)|\bstd::[io]?fstream\b"
)

_PYTHON_CALLS = {
    "os": {"dup", "eventfd", "forkpty", "memfd_create", "open", "openpty", "pidfd_open", "pipe", "pipe2", "popen"},
    "socket": {"create_connection", "create_server", "fromfd", "socket", "socketpair", "recv_fds"},
    "fcntl": {"F_DUPFD", "F_DUPFD_CLOEXEC"},
    "select": {"epoll", "kqueue"},
    "tempfile": {"mkstemp", "TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"},
    "subprocess": {"Popen", "run", "call", "check_call", "check_output"},
}

# Files that may call some of these, and why.
_ALLOWED = {
    "launch/guard.py": "a process of the standard library alone, whose 0, 1 and 2 are those its parent gave it",
    "endpoint/kinds/pipe/reporter.py": "the same",
    "testing/forkserver.py": "gives a forked program the descriptors that were sent, by the numbers it is told",
}


def cpp_calls(text: str) -> Iterator[str]:
    """Yields what opens descriptors in C++ text, comments and the names of declarations aside."""
    code = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    for found in _CPP.finditer(code):
        line = code[code.rfind("\n", 0, found.start()) + 1 : code.find("\n", found.end())]
        if not re.search(rf"\bstatic [\w:<>]+ {found[1]}\(", line):
            yield found[0]


def python_calls(text: str) -> Iterator[str]:
    """Yields what opens descriptors in Python text; socket.socket(fileno=...) only wraps one.

    A module that calls fds.fill_standard(), fds.pipe() or fds.socketpair() may start programs and receive descriptors
    that it lifts.
    """
    tree = ast.parse(text)
    fills = any(name in text for name in ("fill_standard()", "fds.pipe()", "fds.socketpair()", "descriptors.pair()"))
    lifts = "fds.lift(" in text
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    wrapping = {call.func for call in calls if "fileno" in {keyword.arg for keyword in call.keywords}}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in _PYTHON_CALLS:
            yield from (
                f"from {node.module} import {a.name}" for a in node.names if a.name in _PYTHON_CALLS[node.module]
            )
        if not (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)) or node in wrapping:
            continue
        module, name = node.value.id, node.attr
        started = module == "subprocess" or (module, name) == ("tempfile", "TemporaryFile")
        lifted = lifts and name in ("recv_fds", "pidfd_open")
        if name not in _PYTHON_CALLS.get(module, ()) or (started and fills) or lifted:
            continue
        if (module, name) != ("socket", "socket") or node in {call.func for call in calls}:
            yield f"{module}.{name}"


def test_cpp_opens_descriptors_in_one_place() -> None:
    paths = [path for folder in ("include", "bindings") for path in sorted((ROOT / folder).rglob("*.[hc]pp"))]
    found = {str(path.relative_to(ROOT)): list(cpp_calls(path.read_text(encoding="utf-8"))) for path in paths}
    assert found.pop(CPP_PLACE), "the place itself opens nothing: the test looks for the wrong thing"
    assert {path: calls for path, calls in found.items() if calls} == {}


def test_python_opens_descriptors_in_one_place() -> None:
    package = ROOT / "src/framebus"
    found = {
        str(path.relative_to(package)): list(python_calls(path.read_text(encoding="utf-8")))
        for path in sorted(package.rglob("*.py"))
    }
    assert found.pop("_util/fds.py"), "the place itself opens nothing: the test looks for the wrong thing"
    for path, reason in _ALLOWED.items():
        assert found.pop(path, []), f"{path} opens nothing any more ({reason}): take it out of the list"
    assert {path: calls for path, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "text",
    [
        "const int fd = ::open(path, O_RDONLY);",
        "File f(openat(folder, name, 0));",
        "int fd = eventfd(0, 0);",
        "x = ::memfd_create(name, 0)",
        "::fcntl(fd, F_DUPFD_CLOEXEC, 0);",
        "::syscall(kIoUringSetup, 4, &p);",
        "std::ifstream file(path);",
        "::pipe2(ends, 0);",
        "DIR* d = ::opendir(path);",
    ],
)
def test_a_raw_call_in_cpp_is_found(text: str) -> None:
    assert list(cpp_calls(f"void f() {{\n  {text}\n}}\n"))


@pytest.mark.parametrize(
    "text",
    [
        "static File open(int fd) {",
        "os::FutexRing::open(fd());",
        "open_path(path, flags);",
        "// ::open(path)",
        "sub.open()",
    ],
)
def test_what_opens_nothing_in_cpp_is_left_alone(text: str) -> None:
    assert list(cpp_calls(f"{text}\n")) == []


@pytest.mark.parametrize(
    "text",
    [
        "import os\nfd = os.open(path, os.O_RDONLY)",
        "import os\nends = os.pipe()",
        "from os import dup",
        "import socket\nbox = socket.socket(socket.AF_UNIX)",
        "import socket\npair = socket.socketpair",
        "import socket\ndata, given, *_ = socket.recv_fds(box, 9, 1)",
        "import fcntl\nfcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 0)",
        "import subprocess\nsubprocess.Popen(argv)",
    ],
)
def test_a_raw_call_in_python_is_found(text: str) -> None:
    assert list(python_calls(text))


@pytest.mark.parametrize(
    "text",
    [
        "import socket\nbox = socket.socket(fileno=3)",
        "import socket\nboxes: dict[str, socket.socket] = {}",
        "import subprocess\nfrom framebus import fds\nfds.fill_standard()\nsubprocess.Popen(argv)",
        "import os\nos.dup2(nothing, 1)",
    ],
)
def test_what_opens_nothing_in_python_is_left_alone(text: str) -> None:
    assert list(python_calls(text)) == []
