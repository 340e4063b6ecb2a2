# SPDX-License-Identifier: Apache-2.0
"""What the core raises where the system refuses: `errno` and `filename` say there what those of OSError say."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from typing import Any

import pytest
from tests.support.places import EMPTY, Place, needs_root

NAME = "camera0"
CONTROL_BLOCK = f"/dev/shm/framebus.{NAME}"

# What follows `try:` is the case; its error comes as JSON, after it has been pickled.
TELL = """
import json, os, pickle, resource, sys
import numpy as np
import framebus

def tell(do):
    try:
        do()
    except framebus.Error as error:
        if not isinstance(error, OSError): raise
        copy = pickle.loads(pickle.dumps(error))
        assert (str(copy), copy.errno, copy.filename) == (str(error), error.errno, error.filename)
        print(json.dumps([type(error).__name__, error.errno, error.filename, str(error)]))
"""
OPEN = f"tell(lambda: framebus.Publisher('{NAME}'))"
LOOK = "tell(framebus.channels)"
BECOME_ANOTHER = "os.setgid(1234); os.setuid(1234)"


def told(done: subprocess.CompletedProcess[str]) -> tuple[list[Any], str]:
    assert done.returncode == 0, done.stderr
    *error, message = json.loads(done.stdout)
    return error, message


REFUSED = {
    "read-only": ("mount -t tmpfs -o ro tmpfs /dev/shm", OPEN, ["PermissionDenied", errno.EROFS, "/dev/shm"]),
    "missing": ("mount -t tmpfs tmpfs /dev", OPEN, ["SystemFailure", errno.ENOENT, "/dev/shm"]),
    "not readable": (
        "mount -t tmpfs -o mode=700 tmpfs /dev/shm",
        f"{BECOME_ANOTHER}; {LOOK}",
        ["PermissionDenied", errno.EACCES, "/dev/shm"],
    ),
    "another user's control block": (
        f"{EMPTY} && touch {CONTROL_BLOCK} && chmod 600 {CONTROL_BLOCK}",
        f"{BECOME_ANOTHER}; {OPEN}",
        ["PermissionDenied", errno.EACCES, CONTROL_BLOCK],
    ),
    "another user's channel": (
        EMPTY,
        f"kept = framebus.Publisher('{NAME}'); os.chown('{CONTROL_BLOCK}', 1234, 1234); {OPEN}",
        ["PermissionDenied", errno.EPERM, CONTROL_BLOCK],
    ),
    "no descriptors left": (
        EMPTY,
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3)); {OPEN}",
        ["SystemFailure", errno.EMFILE, CONTROL_BLOCK],
    ),
}


@needs_root
@pytest.mark.parametrize(("setup", "case", "error"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_of_the_core_has_errno_and_the_file(setup: str, case: str, error: list[Any]) -> None:
    place = Place(setup)
    try:
        found, message = told(place.python(f"{TELL}\n{case}"))
    finally:
        place.close()
    assert found == error, message
    assert not message.startswith("[Errno"), "the message is complete without the number and the path that OSError adds"


def test_memory_that_cannot_be_mapped_is_an_error_with_the_path_of_the_store(channel_name: str) -> None:
    code = f"""{TELL}
with framebus.Publisher({channel_name!r}) as publisher:
    publisher.send(np.zeros(50_000_000, np.uint8))
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + 20_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    tell(lambda: framebus.Subscriber({channel_name!r}, history=1).recv(0))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    found, message = told(done)
    assert found[:2] == ["SystemFailure", errno.ENOMEM], message
    assert found[2] == f"/dev/shm/framebus.{channel_name}@1", message
