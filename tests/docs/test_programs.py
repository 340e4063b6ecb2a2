# SPDX-License-Identifier: Apache-2.0
"""Every program in README.md, CONTRIBUTING.md and docs/ runs and prints what its page says.

Those in C++ are run by test_cpp_page.py. What the blocks of a page mean is said in tests/support/documents.py.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.bus import message_bus, needs_bus
from tests.support.desktop import display, needs_display
from tests.support.documents import blocks_of, check_programs_of, documents, matches, programs_of, terminals_of
from tests.support.paths import ROOT

# Blocks that are not programs: outputs, drawings, files of other programs and commands for an administrator.
NOT_RUN = {"text", "", "toml", "json", "ini", "sh"}
ON_A_DESKTOP = {"article.md"}


def pages() -> list[Any]:
    found = []
    for page in documents():
        if any(block.language in ("python", "console") for block in blocks_of(page)):
            marks = [needs_display, needs_bus] if page.name in ON_A_DESKTOP else []
            found.append(pytest.param(page, id=page.name, marks=marks))
    return found


@pytest.mark.parametrize("page", pages())
def test_every_program_of_the_page_prints_what_it_says(page: Path, tmp_path: Path, channel_name: str) -> None:
    with ExitStack() as stack:
        variables = {}
        if page.name in ON_A_DESKTOP:
            variables["DISPLAY"] = stack.enter_context(display())
            variables["DBUS_SESSION_BUS_ADDRESS"] = stack.enter_context(message_bus()).address
        check_programs_of(page, tmp_path, variables, channel_name)


def test_the_front_page_and_the_guide_show_programs() -> None:
    assert [len(terminals) for terminals in terminals_of(ROOT / "README.md")] == [2]
    assert len(programs_of(ROOT / "docs/guide.md")) > 5


def test_every_block_of_every_page_is_run_or_is_not_a_program() -> None:
    blocks = [(page, block) for page in documents() for block in blocks_of(page)]
    assert len(blocks) > 50
    unknown = [
        f"{page.name}:{block.line}: ```{block.language}"
        for page, block in blocks
        if block.language not in {*NOT_RUN, "python", "console", *(["cpp"] if page.name == "cpp.md" else [])}
    ]
    assert not unknown


def test_an_output_is_compared_line_by_line() -> None:
    assert matches("a ... c\nd", "a b c\nd\n")
    assert not matches("a ... c\nd", "a b\nc\nd")
    assert not matches("a", "a\nb")


def page_with(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


TERMINALS = """
```python
# left.py
from pathlib import Path
import time
while not Path("there").exists():
    time.sleep(0.01)
print("left of camera0")
```

```python
# right.py
from pathlib import Path
Path("there").touch()
```

```console
$ python left.py
{output}
```

```console
$ python right.py
```
"""


def test_terminals_run_at_the_same_time(tmp_path: Path, channel_name: str) -> None:
    check_programs_of(page_with(tmp_path, TERMINALS.format(output="left of ...")), tmp_path, channel=channel_name)


def test_a_terminal_that_prints_something_else_is_noticed(tmp_path: Path, channel_name: str) -> None:
    page = page_with(tmp_path, TERMINALS.format(output="right of ..."))
    with pytest.raises(AssertionError, match=f"left of {channel_name}"):
        check_programs_of(page, tmp_path, channel=channel_name)
