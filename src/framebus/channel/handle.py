# SPDX-License-Identifier: Apache-2.0
"""What both ends of a channel have in common: a name, a life, statistics, and how they travel to another process.

When the program ends, the ends that it left open are closed, so that the other programs see an end and not a death.
Frames that are still held then, by a variable, a cycle or a thread that never ends, keep their place in the channel
until the interpreter is gone; include/framebus/segment/leaving.hpp gives that up, and the last one out removes the
files. Programs that end by a signal or os._exit() skip this; then the kernel tells that they are gone, and the next
participant cleans up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from framebus import _core
from framebus._util import lifetime
from framebus._util.closable import OpenObjects, Reopenable
from framebus.channel.statistics import Statistics

Native = TypeVar("Native", bound=_core.Publisher | _core.Subscriber)
Method = TypeVar("Method", bound=Callable[..., Any])


class Handle(Reopenable, Generic[Native]):
    """Base of Publisher and Subscriber; not for users."""

    __slots__ = ("_native",)  # natively() finds _native in its slot

    def __init__(self, name: str, native: Native, options: dict[str, Any]) -> None:
        super().__init__(name, options)
        self._native = native
        _open.add(self)

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


def natively(shortcut: Callable[[Any], Any]) -> Callable[[Method], Method]:
    """A decorator for what is called at every frame: the most usual call is that of _native, without a Python frame.

    The method says what it is, and does all the other calls; see bindings/shortcut.hpp.
    """
    return shortcut


_open = OpenObjects()


@lifetime.at_exit
def _close_all() -> None:
    _core.begin_exit()
    try:
        _open.close_all()
    finally:
        _core.end_long_calls()  # daemon threads inside recv() and the like; see bindings/long_call.hpp


lifetime.before_os_exit(_core.leave_sessions)
