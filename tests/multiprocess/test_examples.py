# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/python and examples/cpp run, without a warning, and show what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.clips import HEIGHT, PICTURES, WIDTH, make_clip
from tests.support.compiled import CppPrograms, needs_compiler
from tests.support.started import PYTHON, Started

EXAMPLES = Path(__file__).parents[2] / "examples/python"
CPP_EXAMPLES = Path(__file__).parents[2] / "examples/cpp"
# Program A, program B: they have the same arguments, NAME COUNT WIDTH HEIGHT and NAME COUNT.
CPP_PAIRS = {"channel": ("base_app", "fetch_app"), "baseimage": ("base_image_a", "base_image_b")}


def start(example: str | Path, *arguments: str) -> Started:
    python = () if isinstance(example, Path) else PYTHON
    return Started(*python, EXAMPLES / example, *arguments)


def test_there_is_a_test_for_every_example() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        *("send.py", "fetch.py", "loan.py", "rgbd.py", "opencv_capture.py", "opencv_fetch.py"),
    }


def test_there_is_a_test_for_every_cpp_example() -> None:
    assert {path.stem for path in CPP_EXAMPLES.glob("*.cpp")} == {
        program for pair in CPP_PAIRS.values() for program in pair
    }


def counts_in(output: str) -> tuple[int, int, int]:
    """How many frames program B has received, found torn, and missed."""
    found = re.fullmatch(r"received (\d+) frames, torn (\d+), missed (\d+)\n", output)
    assert found, output
    received, torn, missed = map(int, found.groups())
    return received, torn, missed


def may_be_torn(pair: str, received: int) -> int:
    """None of a channel; of a base image those where A or B lost the processor within a frame, which is seldom."""
    return 0 if pair == "channel" else 1 + received // 10


@needs_compiler
@pytest.mark.parametrize("pair", CPP_PAIRS)
def test_program_b_gets_what_program_a_captures(cpp_programs: CppPrograms, channel_name: str, pair: str) -> None:
    program_a, program_b = (cpp_programs.compiled(CPP_EXAMPLES / f"{program}.cpp") for program in CPP_PAIRS[pair])
    until_the_end = start(program_b, channel_name, "0")
    one_frame = start(program_b, channel_name, "1")
    capture = start(program_a, channel_name, "200", "320", "240")
    received, torn, _ = counts_in(one_frame.output())
    assert received == 1
    assert torn <= may_be_torn(pair, received)
    assert capture.output() == "sent 200 frames\n"
    received, torn, missed = counts_in(until_the_end.output())
    assert torn <= may_be_torn(pair, received)
    assert 1 <= received <= 200
    assert received + missed <= 200


def test_fetch_gets_what_send_sends(channel_name: str) -> None:
    fetch = start("fetch.py", channel_name)
    send = start("send.py", channel_name, "60")
    assert send.output() == "sent 60 frames\n"
    output = fetch.output()
    last = re.fullmatch(r"received (\d+) frames, missed (\d+), median latency \d+ µs", output.splitlines()[-1])
    assert last, output
    assert 1 <= int(last[1]) <= 60
    assert int(last[1]) + int(last[2]) <= 60


def test_program_for_opencv_gets_the_clip_that_opencv_decodes(channel_name: str, tmp_path: Path) -> None:
    fetch = start("opencv_fetch.py", channel_name)
    capture = start("opencv_capture.py", str(make_clip(tmp_path / "clip.mp4")), channel_name)
    assert capture.output() == f"sent {PICTURES} frames of {WIDTH}x{HEIGHT}\n"
    last = re.fullmatch(r"received (\d+) frames, the last of brightness (\d+)\n", fetch.output())
    assert last
    assert 1 <= int(last[1]) <= PICTURES
    assert abs(int(last[2]) - (20 + 18 * (PICTURES - 1))) < 9


def test_loan_sends_what_was_drawn_and_nothing_of_what_failed() -> None:
    assert start("loan.py").output().splitlines() == [
        "not sent: the camera failed",
        "1 {'brightness': 10} 10",
        "2 {'brightness': 20} 20",
        "3 {'brightness': 30} 30",
    ]


def test_rgbd_keeps_both_arrays_of_a_frame_together() -> None:
    assert start("rgbd.py").output().splitlines() == [
        "<Frame 1: color 480x640x3 uint8, depth 480x640 uint16 BGR8>",
        "3200 pixels are nearer than one metre, the nearest at 0.6 m",
        "<Frame 2: color 480x640x3 uint8, depth 480x640 uint16>",
    ]
