# SPDX-License-Identifier: Apache-2.0
"""Names of channels, queues and mailslots. One rule holds for all of them."""

from __future__ import annotations

import re

from framebus.errors import InvalidName

_SURROGATE = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def channel(name: object) -> str:
    """Returns `name` if the core can take it, which then checks it.

    Raises:
        TypeError: not a str.
        InvalidName: it has lone surrogates, which stand for bytes that are not UTF-8 in what Python got from elsewhere.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a channel must be a str, got {name!r:.160} ({type(name).__name__})")
    return check(name, "a channel") if has_lone_surrogates(name) else name


def has_lone_surrogates(text: str) -> bool:
    """Whether a text can't be written as UTF-8."""
    return _SURROGATE.search(text) is not None


def check(name: str, what: str) -> str:
    """Returns `name` if it may name a `what`, such as "a queue"; raises InvalidName otherwise."""
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name!r:.160} is not a name for {what}: expected 1 to 128 of A-Z a-z 0-9 . _ - beginning with a letter "
            "or digit, for example 'camera0'"
        )
    return name
