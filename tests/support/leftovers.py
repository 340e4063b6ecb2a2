# SPDX-License-Identifier: Apache-2.0
"""What a run of the tests has left in /dev/shm, also through programs that it started and that have forked since.

Several runs may share a machine, so a file counts as this run's only if one of these holds:

- its name has this process's number in it, as every `channel_name` has;
- a process that this run started, or a descendant of one, still has it mapped: they all inherit MARK;
- nobody has it mapped, it is framebus's, and no number in its name says that another run made it.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
MARK = "FRAMEBUS_TEST_RUN"
_NUMBER = re.compile(r"(?<![0-9A-Za-z])\d+(?![0-9A-Za-z])")
_PATIENCE_S = 3.0  # a killed program's files are removed by the next one that meets them


def files() -> set[str]:
    """Returns the names of all files there are."""
    return set(os.listdir(SHARED_MEMORY))


def left_since(before: set[str]) -> list[str]:
    """Returns what this run has left since then, after a while in which others may clean up, each with its reason."""
    deadline = time.monotonic() + _PATIENCE_S
    while (found := _of_this_run(files() - before)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _of_this_run(names: set[str]) -> list[str]:
    if not names:
        return []
    mapped = _mapped()
    found = []
    for name in sorted(names):
        users = mapped.get(name, {})
        ours = [f"process {pid} ({command})" for pid, (is_ours, command) in users.items() if is_ours]
        numbers = _NUMBER.findall(name)
        if ours:
            found.append(f"/dev/shm/{name}, which {', '.join(ours)} uses")
        elif str(os.getpid()) in numbers:
            found.append(f"/dev/shm/{name}")
        elif not users and not numbers and name.startswith("framebus"):
            found.append(f"/dev/shm/{name}, which nobody uses")
    return [entry for entry in found if (SHARED_MEMORY / entry.split(",")[0][9:]).exists()]


def _mapped() -> dict[str, dict[int, tuple[bool, str]]]:
    """Which processes have a file of /dev/shm mapped: whether they are of this run, and their command."""
    found: dict[str, dict[int, tuple[bool, str]]] = {}
    mark = f"{MARK}={os.environ[MARK]}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            names = set(re.findall(r"/dev/shm/([^\n]+)", (process / "maps").read_text(errors="replace")))
            if not names:
                continue
            is_ours = mark in (process / "environ").read_bytes().split(b"\0") or int(process.name) == os.getpid()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80].strip()
        except OSError:
            continue  # it has ended, or is somebody else's
        for name in names:
            found.setdefault(name, {})[int(process.name)] = (is_ours, command)
    return found
