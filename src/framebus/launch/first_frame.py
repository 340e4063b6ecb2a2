# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for the native publisher: until the first frame is sent, and after a launched program has closed it.

Only a Publisher with launch= has them, and only until its first frame. Any other pays nothing for this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from framebus import _core
from framebus.errors import ChannelClosed


class FirstFrame:
    """Calls `then` after each frame, until it is replaced."""

    def __init__(self, native: _core.Publisher, then: Callable[[], None]) -> None:
        self._native = native
        self._then = then

    def send(self, *arguments: Any) -> int:
        """Sends a frame."""
        number = self._native.send(*arguments)
        self._then()
        return number

    def loan(self, specs: list[tuple[str, Any, Any]], timeout: float | None) -> _FirstLoan:
        """Lends a slot."""
        return _FirstLoan(self._native.loan(specs, timeout), self._then)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


class _FirstLoan:
    """A native loan that may become the first frame."""

    def __init__(self, native: _core.Loan, then: Callable[[], None]) -> None:
        self._native = native
        self._then = then

    def commit(self, meta: bytes | None, pixel_format: str | None, escaped: bool) -> int:
        """Sends the frame."""
        number = self._native.commit(meta, pixel_format, escaped)
        self._then()
        return number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


class ClosedByProgram:
    """A closed publisher whose error names the program that closed it."""

    def __init__(self, native: _core.Publisher, name: str, how: str) -> None:
        self._native = native
        self._message = f"this Publisher of {name!r} is closed, because {how} and on_exit='stop'; make a new one"

    def send(self, *_arguments: Any) -> NoReturn:
        """Raises ChannelClosed."""
        raise ChannelClosed(self._message)

    def loan(self, *_arguments: Any) -> NoReturn:
        """Raises ChannelClosed."""
        raise ChannelClosed(self._message)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)
