# SPDX-License-Identifier: Apache-2.0
"""What all objects that stay open until close() share: publishers, subscribers, base images, sources and sinks.

with    closes the object at the end of the block
close   may be repeated, and called by a signal handler that interrupts a call of the same object
repr    shows the class, the name, and whether the object is closed
pickle  transfers the name and options of a Reopenable, with which the other process opens its own; refuses others
exit    closes what is still open when the process that has opened it ends; a forked child leaves it to its parent
"""

from __future__ import annotations

import os
import weakref
from contextlib import ExitStack
from types import TracebackType
from typing import Any, TypeVar

from framebus._util import lifetime

Self = TypeVar("Self", bound="Closable")


class Closable:
    """Base of all that is closed; not for users. A class defines `closed`, close() and _shown_name()."""

    _opened_by: int  # the process that has to close it, once it is open

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        raise NotImplementedError

    def close(self) -> None:
        """Closes it. May be repeated."""
        raise NotImplementedError

    def _shown_name(self) -> str:
        """Returns what repr() shows beside the class."""
        raise NotImplementedError

    def _is_left_to_us(self) -> bool:
        """Whether this process has opened it, not its parent."""
        return getattr(self, "_opened_by", None) == os.getpid()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown_name()!r}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(f"{self!r} can't be pickled; open another one in the other process")


class Reopenable(Closable):
    """Base of what another process can open by the same name and options."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self._name = name
        self._options = options

    @property
    def name(self) -> str:
        """The name by which other programs find it."""
        return self._name

    def _shown_name(self) -> str:
        return self._name

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (type(self), self._name, self._options)


def _reopen(kind: Any, name: str, options: dict[str, Any]) -> Reopenable:
    opened: Reopenable = kind(name, **options)
    return opened


class OpenObjects:
    """The open objects of one layer, to be closed when the process ends. Does not keep them alive."""

    def __init__(self) -> None:
        self._objects: weakref.WeakSet[Closable] = weakref.WeakSet()

    def add(self, opened: Closable) -> None:
        """Has an object closed when it is left open by this process."""
        opened._opened_by = os.getpid()
        self._objects.add(opened)
        lifetime.something_is_open()

    def close_all(self) -> None:
        """Closes those that this process has opened, each of them even if others fail."""
        with ExitStack() as closing:
            for opened in list(self._objects):
                if opened._is_left_to_us():
                    closing.callback(opened.close)
