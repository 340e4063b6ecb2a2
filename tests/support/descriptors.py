# SPDX-License-Identifier: Apache-2.0
"""What this process has open."""

from __future__ import annotations

import contextlib
import gc
import os


def open_descriptors() -> int:
    """Returns how many descriptors this program has open."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def eventfds() -> int:
    """Returns how many eventfds this program has open."""
    gc.collect()  # what earlier tests have left in cycles
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one by which the list was read
            count += os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventfd]"
    return count
