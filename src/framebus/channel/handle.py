# SPDX-License-Identifier: Apache-2.0
"""What both ends of a channel have in common: a name, a life, statistics, and how they travel to another process.

When the program ends, the ends that it left open are closed, so that the other programs see an end and not a death.
Frames that are still held then, by a variable, a cycle or a thread that never ends, keep their place in the channel
until the interpreter is gone; include/framebus/segment/leaving.hpp gives that up, and the last one out removes the
files. Programs that end by a signal or os._exit() skip this; then the kernel tells that they are gone, and the next
participant cleans up.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from framebus import _core
from framebus._util import lifetime
from framebus.channel.statistics import Statistics

Native = TypeVar("Native", bound=_core.Publisher | _core.Subscriber)
Self = TypeVar("Self", bound="End[Any]")
Method = TypeVar("Method", bound=Callable[..., Any])


class End(Generic[Native]):
    """Base of Publisher and Subscriber; not for users."""

    __slots__ = ("_name", "_native", "_options")  # natively() finds _native in its slot

    def __init__(self, name: str, native: Native, options: dict[str, Any]) -> None:
        self._name = name
        self._native = native
        self._options = options
        _open.add(self)
        lifetime.something_is_open()

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._native.is_closed()

    def statistics(self) -> Statistics:
        """Returns counts and figures; also after close()."""
        return Statistics(**self._native.statistics())

    def close(self) -> None:
        """Leaves the channel. May be repeated."""
        self._native.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """A name and options: the other process opens an end of its own."""
        return _reopen, (type(self), self._name, self._options)


def natively(shortcut: Callable[[Any], Any]) -> Callable[[Method], Method]:
    """A decorator for what is called at every frame: the most usual call is that of _native, without a Python frame.

    The method says what it is, and does all the other calls; see bindings/shortcut.hpp.
    """
    return shortcut


_open: weakref.WeakSet[End[Any]] = weakref.WeakSet()


def _reopen(end: type[End[Any]], name: str, options: dict[str, Any]) -> End[Any]:
    return end(name, **options)


@lifetime.at_exit
def _close_all() -> None:
    _core.begin_exit()
    for end in list(_open):
        end.close()
    _core.end_long_calls()  # daemon threads inside recv() and the like; see bindings/long_call.hpp


lifetime.before_os_exit(_core.leave_sessions)
