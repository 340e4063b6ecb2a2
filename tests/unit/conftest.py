# SPDX-License-Identifier: Apache-2.0
"""Message buses for tests of `dde:`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.bus import PrivateBus, message_bus
from tests.support.names import fresh_name


@pytest.fixture(scope="module")
def _shared_bus() -> Iterator[PrivateBus]:
    with message_bus() as private:
        yield private


@pytest.fixture
def session_bus(_shared_bus: PrivateBus, monkeypatch: pytest.MonkeyPatch) -> PrivateBus:
    """A bus that is the session's for the time of the test."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", _shared_bus.address)
    return _shared_bus


@pytest.fixture
def own_bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateBus]:
    """The same, which the test may stop and kill."""
    with message_bus() as private:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", private.address)
        yield private


@pytest.fixture
def service() -> str:
    """A name for a service that no other test uses."""
    return fresh_name()
