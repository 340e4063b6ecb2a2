# SPDX-License-Identifier: Apache-2.0
"""Owners of files and sockets that other programs made: which are trusted, and how an error names one.

Trusted are this process's effective user and root, which can read and change everything of this user anyway. Everything
else is a stranger: a name in /tmp or /dev/shm belongs to the program that took it first.
"""

from __future__ import annotations

import os
import pwd


def is_trusted(uid: int) -> bool:
    """Whether what user `uid` made may be used without being asked for."""
    return uid in (os.geteuid(), 0)


def name_of(uid: int) -> str:
    """Returns a user as error messages show it: "user nobody (65534)", or "user 1234" where it has no name."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name} ({uid})"
    except KeyError:
        return f"user {uid}"
