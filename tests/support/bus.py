# SPDX-License-Identifier: Apache-2.0
"""A message bus of their own for tests: a dbus-daemon as a desktop has it, started here and ended at the end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from framebus._util.server import server

needs_bus = pytest.mark.skipif(
    not shutil.which("dbus-daemon") or not shutil.which("gdbus"),
    reason="dbus-daemon or gdbus is missing: apt-get install --no-install-recommends dbus-daemon libglib2.0-bin",
)


@dataclass(frozen=True)
class PrivateBus:
    """A running bus: its address, for DBUS_SESSION_BUS_ADDRESS, and its process."""

    address: str
    process: subprocess.Popen[bytes]


@contextmanager
def message_bus() -> Iterator[PrivateBus]:
    """Starts a message bus with the rules of a session."""
    with server("dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address={}") as (address, process):
        assert address, "dbus-daemon did not start"
        yield PrivateBus(address, process)
