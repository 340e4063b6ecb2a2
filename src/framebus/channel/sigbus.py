# SPDX-License-Identifier: Apache-2.0
"""handle_sigbus(): whether framebus keeps this program alive when another one truncates the files of a channel."""

from __future__ import annotations

from framebus import _core


def handle_sigbus(on: bool) -> None:
    """Switches the handler for SIGBUS on or off, for all channels of this process.

    Without it, a program that touches a page of a channel that another program has cut off ends with SIGBUS; with it,
    the page reads as zeros and the next call raises CorruptChannel. It is on from the first Publisher or Subscriber,
    unless the environment has FRAMEBUS_SIGBUS=off. docs/robustness.md has its limits.

    Call it while no other thread opens a channel or installs a handler.

    Raises:
        TypeError: not a bool.
    """
    _core.handle_sigbus(on)
