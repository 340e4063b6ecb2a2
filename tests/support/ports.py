# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports for tests that run side by side.

A port that the system chooses is from the range of outgoing connections, so another program may get it before the test
has opened it. The ports here are below that range, and each worker of pytest-xdist has ports of its own.
"""

from __future__ import annotations

import os
import socket

_FIRST, _OF_A_WORKER = 12_000, 1_200
_next = os.getpid() % _OF_A_WORKER  # other runs may be under way


def free_port() -> int:
    """Returns a port of the loopback address that nothing listens at, another one at each call."""
    global _next
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw15")[2:]) % 16
    for _ in range(_OF_A_WORKER):
        _next = (_next + 1) % _OF_A_WORKER
        port = _FIRST + worker * _OF_A_WORKER + _next
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("all ports of this worker are taken")
