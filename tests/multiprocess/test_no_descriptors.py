# SPDX-License-Identifier: Apache-2.0
"""Endpoints in a program that has used up its file descriptors: what opening raises, what it leaves, and closing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.harness import Programs

URLS = [
    ("sink", "ipc://{folder}/socket", "zmq"),
    ("source", "ipc://{folder}/socket?bind=true", "zmq"),
    ("sink", "tcp://127.0.0.1:0", "zmq"),
    ("source", "tcp://127.0.0.1:0?bind=true&mode=every", "zmq"),
    ("sink", "{name}", "numpy"),
    ("sink", "baseimage:{name}", "numpy"),
    ("sink", "mailslot:{name}", "numpy"),
    ("source", "mailslot:{name}", "numpy"),
    ("sink", "msg:{name}", "posix_ipc"),
    ("source", "msg:{name}", "posix_ipc"),
    ("sink", "video:{folder}/clip.mkv", "av"),
]


@pytest.mark.parametrize(("role", "url", "needs"), URLS, ids=[f"{role} {url}" for role, url, _ in URLS])
def test_opening_without_descriptors_tells_the_limit_and_leaves_nothing_open(
    programs: Programs, channel_name: str, tmp_path: Path, role: str, url: str, needs: str
) -> None:
    pytest.importorskip(needs)
    program = programs.start("no_descriptors", role=role, url=url.format(folder=tmp_path, name=channel_name))
    refused = 0
    while True:
        tried = program.expect("tried")
        assert tried["left"] == 0, tried
        if not tried["error"]:
            break
        refused += 1
        assert tried["error"] == "SystemFailure", tried
        assert "(ulimit -n)" in tried["message"], tried
    assert refused > 0, "with none free it was refused"
    program.expect("done")
    assert program.wait() == 0, program.errors()
    assert program.errors() == ""


@pytest.mark.parametrize("mode", ["latest", "every"])
@pytest.mark.parametrize("url", ["ipc://{folder}/socket", "tcp://127.0.0.1:0"])
def test_closing_without_descriptors_still_says_the_end(
    programs: Programs, tmp_path: Path, mode: str, url: str
) -> None:
    pytest.importorskip("zmq")
    program = programs.start("no_descriptors", mode=mode, url=url.format(folder=tmp_path))
    assert program.expect("told")["error"] == "ChannelClosed"
    program.expect("done")
    assert program.wait() == 0, program.errors()
    assert program.errors() == ""
    assert list(tmp_path.iterdir()) == []
