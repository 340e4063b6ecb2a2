# SPDX-License-Identifier: Apache-2.0
"""A peer whose package is not installed, for test_benchmark_peers.py; as real ones do, it is imported on opening."""

from __future__ import annotations

from typing import Any, NoReturn

from benchmarks.peers.peer import Channel

DISTRIBUTION = "framebus-no-such-distribution"


def prepare(channel: Channel) -> None:
    """Nothing."""


def open_sender(channel: Channel, shared: Any) -> NoReturn:  # noqa: ARG001
    import framebus_no_such_module  # type: ignore[import-not-found]

    raise AssertionError(framebus_no_such_module)


open_receiver = open_sender


def remove(channel: Channel, shared: Any) -> None:
    """Nothing."""
