# SPDX-License-Identifier: Apache-2.0
"""Holds back the signals that end a program while it does what must not be left half done.

A handler that raises, as Ctrl-C has one, may raise anywhere: also after a program was started and before anything knows
that it has to be ended.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held_back() -> Iterator[None]:
    """A context manager: handlers of SIGINT, SIGTERM and SIGHUP run at its end, for the first signal that came.

    Signals without a handler in Python do what they always do. Handlers run in the main thread only, so in another
    thread there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: handler for number in _ENDING if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
