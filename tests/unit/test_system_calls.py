# SPDX-License-Identifier: Apache-2.0
"""C++ headers call the operating system only in include/framebus/os. Python modules that need POSIX are listed here.

All other code is meant to be the same on every system.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.repository

INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]', re.MULTILINE)
# C's own headers, the system's and the compiler's; those of C++ have no suffix.
SYSTEM_HEADER = re.compile(r"^(?!framebus/|nanobind/|numpy/)(\S+\.h|csignal)$")
COMPILERS_OWN = {"tmmintrin.h", "cxxabi.h"}  # vector instructions, and the unwinding of threads
COMMENT_OR_TEXT = re.compile(r'//[^\n]*|"(?:[^"\\\n]|\\.)*"')
SYSTEM_CALL = re.compile(r"(?<![\w:>])::[a-z_0-9]+\(")  # as all of them are written, in os/ too
SYSTEM_CONSTANT = re.compile(r"\b(?:O_[A-Z]{4,}|S_IS[A-Z]{3}|SIG[A-Z]{3,}|PROT_[A-Z]+|MAP_[A-Z]+)\b")

POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"}
PYTHON_PLACES = {
    "_util/exhausted.py",  # the limits of descriptors, for an error
    "_util/fds.py",  # descriptors that are never those of the standard streams
    "_util/ofd_lock.py",  # locks of open file descriptions
    "_util/owners.py",  # names of users and groups, for errors
    "_util/partial_file.py",  # the lock of a file that is being written
    "baseimage/linux.py",  # shared memory and semaphores by name
    "endpoint/kinds/mailslot/source_sink.py",
    "endpoint/kinds/msg/queue.py",
    "endpoint/kinds/pipe/descriptors.py",
    "endpoint/kinds/zeromq/zmq_socket.py",
    "endpoint/memfd.py",  # sealed memory
    "testing/forkserver.py",
}


def cpp_sources(root: Path) -> list[Path]:
    """Returns the headers outside os/, and the bindings."""
    headers = root / "include/framebus"
    found = [path for path in headers.rglob("*.hpp") if path.relative_to(headers).parts[0] != "os"]
    return sorted([*found, *(root / "bindings").glob("*.?pp")])


def cpp_faults(root: Path) -> list[str]:
    found = []
    for path in cpp_sources(root):
        text = path.read_text(encoding="utf-8")
        code = COMMENT_OR_TEXT.sub("", text)
        used = [
            *(name for name in INCLUDE.findall(text) if SYSTEM_HEADER.match(name) and name not in COMPILERS_OWN),
            *SYSTEM_CALL.findall(code),
            *SYSTEM_CONSTANT.findall(code),
        ]
        found += [f"{path.relative_to(root).as_posix()}: {each}" for each in used]
    return found


def posix_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in POSIX_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in POSIX_MODULES:
            yield str(node.module)


def test_only_the_headers_of_os_call_the_system() -> None:
    assert len(cpp_sources(ROOT)) > 60, "hardly a source was found: the test looked at nothing"
    assert cpp_faults(ROOT) == []


def test_the_headers_of_os_write_system_calls_as_this_test_finds_them() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "include/framebus/os").rglob("*.hpp"))
    assert {"::open(", "::mmap(", "::fcntl(", "::syscall(", "::nanosleep("} <= set(SYSTEM_CALL.findall(text))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("#include <unistd.h>", "unistd.h"),
        ("#include <sys/mman.h>", "sys/mman.h"),
        ("#include <csignal>", "csignal"),
        ("  return ::getpid();", "::getpid("),
        ("  if (::kill(process, 9) != 0) {", "::kill("),
        ("  open(path, O_RDONLY);", "O_RDONLY"),
    ],
)
def test_a_call_of_the_system_is_found(tmp_path: Path, line: str, fault: str) -> None:
    header = tmp_path / "include/framebus/segment/slots.hpp"
    header.parent.mkdir(parents=True)
    (tmp_path / "bindings").mkdir()
    harmless = '// ::getpid() {\n#include <string>\nauto text = "::open(";\nos::open(x); std::move(y);\n'
    header.write_text(f"{harmless}{line}\n")
    assert cpp_faults(tmp_path) == [f"include/framebus/segment/slots.hpp: {fault}"]


def test_only_listed_modules_import_what_only_posix_has() -> None:
    package = ROOT / "src/framebus"
    found = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if list(posix_imports(path))}
    assert found == PYTHON_PLACES
