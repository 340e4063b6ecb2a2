# SPDX-License-Identifier: Apache-2.0
"""Names that programs give to what they share: channels, queues, mailslots. All follow the rule of channels."""

from __future__ import annotations

import re

from framebus.errors import InvalidName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check(name: str, what: str) -> str:
    """Returns `name` if it may name a `what`, such as "a queue"; raises InvalidName otherwise."""
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name!r:.160} is no name for {what}: expected 1 to 128 of A-Z a-z 0-9 . _ - beginning with a letter or "
            "digit, for example 'camera0'"
        )
    return name
