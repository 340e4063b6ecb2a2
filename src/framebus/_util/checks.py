# SPDX-License-Identifier: Apache-2.0
"""Arguments that are checked where a user gave them, with an error that names the argument and what it may be."""

from __future__ import annotations


def check_range(name: str, value: int, least: int, most: int) -> None:
    """Raises TypeError or ValueError, with the range, unless `value` is an int from `least` to `most`."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int from {least} to {most}, got {value!r} ({type(value).__name__})")
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least} to {most}, got {value}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raises ValueError, with the choices, unless `value` is one of them."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
