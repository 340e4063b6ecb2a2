# SPDX-License-Identifier: Apache-2.0
"""What both ends of a channel have in common: a name, a life, statistics, and how they travel to another process.

When the program ends, the ends that it left open are closed, so that the other programs see an end and not a death.
Frames that are still held then, by a variable, a cycle or a thread that never ends, keep their place in the channel
until the interpreter is gone; include/framebus/segment/leaving.hpp gives that up, and the last one out removes the
files. Programs that end by a signal or os._exit() skip this; then the kernel tells that they are gone, and the next
participant cleans up.
"""

from __future__ import annotations

from typing import Any

from framebus import _core
from framebus._util import lifetime
from framebus._util.closable import OpenObjects, Reopenable
from framebus.channel.statistics import Statistics


class Handle(Reopenable):
    """Base of Publisher and Subscriber, beside their native halves; not for users."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        """To be called once the native half is open."""
        super().__init__(name, options)
        _open.add(self)

    def _figures(self) -> dict[str, Any]:
        """Returns the fields of Statistics; native."""
        raise NotImplementedError

    def statistics(self) -> Statistics:
        """Returns counts and figures; also after close()."""
        return Statistics(**self._figures())


_open = OpenObjects()


@lifetime.at_exit
def _close_all() -> None:
    _core.begin_exit()
    try:
        _open.close_all()
    finally:
        _core.end_long_calls()  # daemon threads inside recv() and the like; see bindings/long_call.hpp


lifetime.before_os_exit(_core.leave_sessions)
