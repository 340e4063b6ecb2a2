# SPDX-License-Identifier: Apache-2.0
"""Lines of JSON from another process, an object each, read from a pipe or a socket with a time limit."""

from __future__ import annotations

import json
import math
import os
import select
from typing import Any, Protocol

from framebus._util.deadline import Deadline


class _Readable(Protocol):
    def fileno(self) -> int:
        """Returns the descriptor."""


class JsonLines:
    """What a pipe or a socket, which stays the caller's, has yet to say. For one thread at a time."""

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._unread = b""

    def read(self, seconds: float | None = None) -> dict[str, Any] | None:
        """Returns the next object, None at the end, also where the end comes within a line.

        Raises TimeoutError after `seconds` (None: waits without a limit) and keeps what has come so far. Raises
        ValueError for a line that is not JSON.
        """
        deadline = Deadline(seconds)
        while b"\n" not in self._unread:
            left = deadline.left()
            poller = select.poll()
            poller.register(self._source, select.POLLIN)
            if not poller.poll(None if left is None else math.ceil(left * 1000)):
                raise TimeoutError(f"no line came within {seconds:g} s")
            try:
                chunk = os.read(self._source.fileno(), 1 << 16)
            except ConnectionError:  # a socket whose peer has ended without having read all
                chunk = b""
            if not chunk:
                return None
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        found: dict[str, Any] = json.loads(line)
        return found
