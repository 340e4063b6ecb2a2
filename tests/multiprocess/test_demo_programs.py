# SPDX-License-Identifier: Apache-2.0
"""Player and worker of the demo, each alone, and the command around them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.clips import PICTURES, RATE_HZ, make_clip
from tests.support.started import Started
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus.demo.algorithm import EdgesAndMotion


def test_a_clip_is_played_picture_by_picture_and_over_again(channel_name: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    play = ("-m", "framebus.demo.play", channel_name, "--source", str(clip), "--seconds", "1.5", "--audience", "1")
    with Started(sys.executable, *play) as process:
        with framebus.Subscriber(channel_name, every=True, connect_timeout=WATCHDOG_S, reconnect=False) as subscriber:
            frames = [frame.copy() for frame in subscriber]
        assert process.output() == ""
    assert [frame.meta["picture"] for frame in frames] == list(range(30))
    assert {frame.array.shape for frame in frames} == {(120, 160, 3)}
    assert {frame.pixel_format for frame in frames} == {"BGR8"}
    brightness = [float(frame.array.mean()) for frame in frames]
    assert brightness[:PICTURES] == sorted(set(brightness))
    assert brightness[PICTURES : 2 * PICTURES] == brightness[:PICTURES]
    took_s = (frames[-1].timestamp_ns - frames[0].timestamp_ns) / 1e9
    assert took_s > 29 / RATE_HZ - 0.5, "played faster than at its own rate"


def test_every_frame_has_a_result_that_says_what_it_was_made_from(channel_name: str) -> None:
    random = np.random.default_rng(11)
    pictures = [random.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(20)]
    algorithm, expected = EdgesAndMotion(), np.empty((60, 80, 3), np.uint8)
    out = f"{channel_name}-out"
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with Started(sys.executable, "-m", "framebus.demo.process", channel_name, out) as process:
            with framebus.Subscriber(out, every=True, connect_timeout=WATCHDOG_S, reconnect=False) as results:
                while publisher.statistics().subscribers == 0:
                    os.sched_yield()
                for seq, picture in enumerate(pictures, start=1):
                    publisher.send(picture, timestamp_ns=1000 + seq)
                    found = algorithm.process(picture, expected)
                    result = results.recv(timeout=WATCHDOG_S)
                    np.testing.assert_array_equal(result.array, expected)
                    source = {"channel": channel_name, "seq": seq, "timestamp_ns": 1000 + seq}
                    assert result.meta == {"source": source, "edges": found.edges, "motion": found.motion}
                publisher.close()
                assert list(results) == []
            assert process.output() == ""


@pytest.mark.parametrize("module", ["play", "process"])
def test_a_program_on_a_leash_ends_when_its_standard_input_does(channel_name: str, module: str) -> None:
    names = {"play": [channel_name], "process": [f"{channel_name}-in", channel_name]}[module]
    with Started(sys.executable, "-m", f"framebus.demo.{module}", *names, "--lifeline") as process:
        with framebus.Subscriber(channel_name, connect_timeout=WATCHDOG_S, reconnect=False):
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
            assert process.output() == ""


def test_a_program_whose_input_does_not_exist_says_so(channel_name: str) -> None:
    run = ("-m", "framebus.demo.process", channel_name, f"{channel_name}-out", "--patience", "0")
    with Started(sys.executable, *run) as process:
        _, errors = process.communicate(timeout=WATCHDOG_S)
    assert process.returncode == 1
    assert errors.startswith(f"framebus.demo.process: no program publishes '{channel_name}'")
    assert "Traceback" not in errors


def test_list_shows_the_channels_with_their_programs(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, every=True):
        publisher.send({"color": np.zeros((4, 5, 3), np.uint8), "depth": np.zeros((4, 5), np.uint16)})
        with Started(sys.executable, "-m", "framebus", "list") as process:
            output = process.output()
    assert channel_name in output
    assert "color 4x5x3 uint8" in output
    assert "depth 4x5 uint16" in output
    assert f"publisher {os.getpid()}:" in output
    assert f"subscriber {os.getpid()}:" in output


@pytest.mark.parametrize(
    ("missing", "command", "extra"),
    [("cyclopts", "list", "cli"), ("rich", "list", "cli"), ("psutil", "demo", "cli"), ("PIL", "demo", "video")],
)
def test_a_missing_extra_is_an_error_that_names_it(tmp_path: Path, missing: str, command: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = [{command!r}]; import framebus.cli as c; c.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=WATCHDOG_S, check=False
    )
    assert done.returncode == 1
    assert f'pip install "framebus[{extra}]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_clip_without_pyav_is_an_error_that_names_the_extra(channel_name: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    code = (
        "import sys; sys.modules['av'] = None; from framebus.demo.play import main; "
        f"main([{channel_name!r}, '--source', {str(clip)!r}])"
    )
    with Started(sys.executable, "-c", code) as process:
        _, errors = process.communicate(timeout=WATCHDOG_S)
    assert process.returncode == 1
    assert 'pip install "framebus[video]"' in errors
    assert "Traceback" not in errors
