# SPDX-License-Identifier: Apache-2.0
"""A server that is started for a while, such as a display or a message bus, and says how it can be reached."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from framebus._util import fds


@contextmanager
def server(*command: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A context manager: runs a server; yields the line by which it says that it is ready, and its process.

    The server writes the line to the descriptor whose number takes the place of "{}" in `command`. The line is "" where
    it could not start. Raises OSError where there is no such program.
    """
    reading, writing = fds.pipe()
    with open(reading, encoding="utf-8") as lines:
        try:
            process = subprocess.Popen(
                [word.format(writing) for word in command], pass_fds=[writing], stderr=subprocess.DEVNULL
            )
        finally:
            os.close(writing)
        with process:
            try:
                yield lines.readline().strip(), process
            finally:
                process.terminate()
