# SPDX-License-Identifier: Apache-2.0
"""pipe: never takes what only holds the place of a closed stream for the stream, nor a channel's file for a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.waiting import WATCHDOG_S

import framebus

OPEN = """
import sys, framebus
try:
    end = getattr(framebus, sys.argv[2])(sys.argv[3])
    said = "opened"
except framebus.EndpointError as error:
    said = str(error)
with open(sys.argv[1], "w") as told:
    told.write(said)
"""
# A program that uses framebus and starts another one, which inherits its streams.
THROUGH = "import subprocess, sys, framebus; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"


def said_with(redirections: str, code: list[str], told: Path, role: str, url: str) -> str:
    """What the program says that opens `url` under these redirections of a shell."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-W", "error", "-c", *code]
    subprocess.run([*command, str(told), role, url], check=True, timeout=WATCHDOG_S)
    return told.read_text()


STREAMS = [
    ("<&-", "source", "pipe:stdin", "standard input"),
    ("<&-", "source", "pipe:fd/0", "standard input"),
    (">&-", "sink", "pipe:stdout", "standard output"),
    (">&- 2>&-", "sink", "pipe:stdout", "standard output"),
    ("<&- >&- 2>&-", "sink", "pipe:fd/2", "standard error"),
]


@pytest.mark.parametrize("code", [[OPEN], [THROUGH, OPEN]], ids=["itself", "its parent"])
@pytest.mark.parametrize(("redirections", "role", "url", "name"), STREAMS)
def test_a_stream_that_was_closed_is_refused(
    redirections: str, role: str, url: str, name: str, code: list[str], tmp_path: Path
) -> None:
    said = said_with(redirections, code, tmp_path / "told", role, url)
    assert said.startswith(f"{url!r}: {name} is not open: this program was started without it")


def test_an_output_that_was_sent_to_the_null_device_is_taken(tmp_path: Path) -> None:
    assert said_with(">/dev/null", [OPEN], tmp_path / "told", "sink", "pipe:stdout") == "opened"
    assert said_with(">/dev/null 2>&-", [OPEN], tmp_path / "told", "sink", "pipe:stdout") == "opened"
    assert said_with("</dev/null", [OPEN], tmp_path / "told", "source", "pipe:stdin") == "opened"


@pytest.mark.parametrize("role", ["source", "sink"])
def test_a_file_of_a_channel_is_no_pipe(role: str, channel_name: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        subscriber.fileno()
        ours = {
            number for number in set(os.listdir("/proc/self/fd")) - before if os.path.exists(f"/proc/self/fd/{number}")
        }
        assert ours
        for number in ours:
            with pytest.raises(framebus.EndpointError, match=f"descriptor {number} is not a pipe that"):
                getattr(framebus, role)(f"pipe:fd/{number}")
        publisher.send(np.full((4, 4), 7, np.uint8))
        assert (subscriber.recv(WATCHDOG_S).array == 7).all()
