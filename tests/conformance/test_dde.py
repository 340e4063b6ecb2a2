# SPDX-License-Identifier: Apache-2.0
"""The conformance suite on dde:, in both modes, on a message bus of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.bus import message_bus, needs_bus
from tests.support.foreign_dde import GOOD_DESCRIPTION, ForeignPoker, ForeignService
from tests.support.names import fresh_name

from framebus.testing import conformance
from framebus.testing.conformance.foreign import Throw

pytestmark = needs_bus


@pytest.fixture(scope="module", autouse=True)
def bus() -> Iterator[None]:
    """The bus of this program and of those it starts."""
    with message_bus() as private, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", private.address)
        yield


def link(query: str, **options: object) -> conformance.Link:
    name = fresh_name()
    return conformance.Link(source=f"dde:{name}{query}", sink=f"dde:{name}{query}", **options)  # type: ignore[arg-type]


def service_of(link: conformance.Link) -> str:
    return link.source.partition(":")[2].partition("?")[0]


class TestAdvise(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002 - a bus needs no folder
        return link("", sink_first=True, changes={"delivery": "latest"})

    def garbage(self, link: conformance.Link) -> Throw:
        return ForeignService(os.environ["DBUS_SESSION_BUS_ADDRESS"], service_of(link))

    def messages(self) -> list[bytes]:
        return [GOOD_DESCRIPTION.encode()]


class TestPoke(conformance.Suite):
    def link(self, tmp_path: Path) -> conformance.Link:  # noqa: ARG002
        return link("?mode=poke", changes={"delivery": "every", "receivers": "one"})

    def garbage(self, link: conformance.Link) -> Throw:
        return ForeignPoker(os.environ["DBUS_SESSION_BUS_ADDRESS"], service_of(link))

    def messages(self) -> list[bytes]:
        return [GOOD_DESCRIPTION.encode()]
