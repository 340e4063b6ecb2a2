# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/python run, without a warning, and show what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples/python"
WATCHDOG_S = 60.0


def start(example: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", str(EXAMPLES / example), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output_of(process: subprocess.Popen[str]) -> str:
    try:
        output, errors = process.communicate(timeout=WATCHDOG_S)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    return output


def test_there_is_a_test_for_every_example() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {"send.py", "fetch.py", "loan.py", "rgbd.py"}


def test_fetch_gets_what_send_sends(channel_name: str) -> None:
    fetch = start("fetch.py", channel_name)
    send = start("send.py", channel_name, "60")
    assert output_of(send) == "sent 60 frames\n"
    output = output_of(fetch)
    last = re.fullmatch(r"received (\d+) frames, missed (\d+), median latency \d+ µs", output.splitlines()[-1])
    assert last, output
    assert 1 <= int(last[1]) <= 60
    assert int(last[1]) + int(last[2]) <= 60


def test_loan_sends_what_was_drawn_and_nothing_of_what_failed() -> None:
    assert output_of(start("loan.py")).splitlines() == [
        "not sent: the camera failed",
        "1 {'brightness': 10} 10",
        "2 {'brightness': 20} 20",
        "3 {'brightness': 30} 30",
    ]


def test_rgbd_keeps_both_arrays_of_a_frame_together() -> None:
    assert output_of(start("rgbd.py")).splitlines() == [
        "<Frame 1: color 480x640x3 uint8, depth 480x640 uint16 BGR8>",
        "3200 pixels are nearer than one metre, the nearest at 0.6 m",
        "<Frame 2: color 480x640x3 uint8, depth 480x640 uint16>",
    ]
