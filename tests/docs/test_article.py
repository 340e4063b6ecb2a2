# SPDX-License-Identifier: Apache-2.0
"""The programs in docs/article.md, on a desktop and a message bus of their own."""

from __future__ import annotations

from pathlib import Path

from tests.bus import message_bus, needs_bus
from tests.desktop import display, needs_display
from tests.documents import check_programs_of

PAGE = Path(__file__).parents[2] / "docs/article.md"


@needs_display
@needs_bus
def test_every_program_of_the_page_prints_what_it_says(tmp_path: Path) -> None:
    with display() as screen, message_bus() as bus:
        check_programs_of(PAGE, tmp_path, {"DISPLAY": screen, "DBUS_SESSION_BUS_ADDRESS": bus.address})
