# SPDX-License-Identifier: Apache-2.0
"""`framebus demo`: what it shows, how it ends, and that nothing of it stays behind.

The one on a terminal has an interpreter of its own, the others are forks.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from tests.support.clips import make_clip
from tests.support.forked_commands import ForkedCommand
from tests.support.waiting import WATCHDOG_S

import framebus
from framebus.demo.algorithm import EdgesAndMotion
from framebus.demo.pattern import Board
from framebus.demo.side_by_side import CAPTION_HEIGHT, MARGIN, WIDTH


class Demo(ForkedCommand):
    """A running `framebus demo`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.picture = folder / "framebus-demo.png"
        super().__init__("demo", *arguments, cwd=folder)
        self.before = ""

    def wait_until_it_plays(self) -> dict[str, psutil.Process]:
        """Returns player and worker, once frames have come through."""
        for line in self.stdout:
            self.before += line
            if re.search(r"channel to here: [1-9]", line):
                break
        found = {}
        for child in psutil.Process(self.pid).children():
            module = re.search(r"framebus\.demo\.(\w+)", " ".join(child.cmdline()))
            if module:
                found[{"play": "player", "process": "worker"}[module[1]]] = child
        assert set(found) == {"player", "worker"}, self.before
        return found

    def finish(self, last: str | None = None) -> tuple[int, str, str]:
        """Waits for its end; returns exit status, all that it printed and what it complained about."""
        status, output, errors = super().finish(last)
        return status, self.before + output, errors

    def files(self) -> list[str]:
        """What is there of its channels."""
        return sorted(path.name for path in Path("/dev/shm").glob(f"framebus.demo-{self.pid}-*"))


def gone(processes: dict[str, psutil.Process]) -> bool:
    return not psutil.wait_procs(list(processes.values()), timeout=WATCHDOG_S)[1]


def count(subject: str, output: str) -> int:
    found = re.search(rf"^{subject} +(\d+)", output, re.MULTILINE)
    assert found, output
    return int(found[1])


def assert_nothing_lost(output: str) -> int:
    played = count("played", output)
    assert played > 0
    assert (count("fetched", output), count("processed", output), count("lost", output)) == (played, played, 0)
    return played


def test_every_frame_of_the_pattern_is_played_fetched_and_processed(tmp_path: Path) -> None:
    with Demo(tmp_path, "--seconds", "1.5") as demo:
        status, output, errors = demo.finish()
        assert (status, errors) == (0, "")
        assert assert_nothing_lost(output) <= 45
        assert demo.files() == []


def test_the_picture_shows_a_frame_and_the_result_of_that_very_frame(tmp_path: Path) -> None:
    with Demo(tmp_path, "--seconds", "0.5") as demo:
        status, output, errors = demo.finish()
        assert (status, errors) == (0, "")
    seq = int(re.findall(r"frame (\d+) and its result", output)[0])
    board, algorithm = Board(), EdgesAndMotion()
    source, result = np.empty((2, 720, 1280, 3), np.uint8)
    for number in range(seq):
        board.draw(number, source)
        algorithm.process(source, result)
    with Image.open(demo.picture) as sheet:
        found = np.asarray(sheet.convert("RGB")).astype(int)
    for place, expected in enumerate((source, result)):
        small = Image.fromarray(np.ascontiguousarray(expected[..., ::-1])).resize(
            (WIDTH, 540), Image.Resampling.BICUBIC
        )
        left = MARGIN + place * (WIDTH + MARGIN)
        shown = found[CAPTION_HEIGHT : CAPTION_HEIGHT + 540, left : left + WIDTH]
        np.testing.assert_array_equal(shown, np.asarray(small))


def test_a_clip_is_played_in_its_own_size_and_its_picture_goes_where_it_is_wanted(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with Demo(tmp_path, "--source", str(clip), "--seconds", "1", "--output", "other.png") as demo:
        status, output, errors = demo.finish()
        assert (status, errors) == (0, "")
        assert f"frames of {clip.name}, 160x120 BGR8" in output
        assert assert_nothing_lost(output) <= 20
        assert (tmp_path / "other.png").exists()
        assert not demo.picture.exists()


def test_ctrl_c_ends_it_with_the_summary_and_a_second_run_works_straight_after(tmp_path: Path) -> None:
    with Demo(tmp_path, "--seconds", "3600") as demo:
        programs = demo.wait_until_it_plays()
        demo.send_signal(signal.SIGINT)
        status, output, errors = demo.finish()
        assert (status, errors) == (130, "")
        assert_nothing_lost(output)
        assert demo.picture.exists()
        assert gone(programs)
        assert demo.files() == []
    with Demo(tmp_path, "--seconds", "0.5") as again:
        status, output, errors = again.finish()
        assert (status, errors) == (0, "")
        assert_nothing_lost(output)


def test_two_demos_at_once_do_not_meet(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with Demo(folders[0], "--seconds", "1") as one, Demo(folders[1], "--seconds", "1") as two:
        for demo in (one, two):
            status, output, errors = demo.finish()
            assert (status, errors) == (0, "")
            assert_nothing_lost(output)
            assert demo.picture.exists()


@pytest.mark.parametrize("victim", ["player", "worker"])
def test_when_a_program_is_killed_the_demo_says_which_and_fails(tmp_path: Path, victim: str) -> None:
    with Demo(tmp_path, "--seconds", "3600") as demo:
        programs = demo.wait_until_it_plays()
        programs[victim].kill()
        status, _, errors = demo.finish()
        assert status == 1
        assert f"the {victim} (pid {programs[victim].pid}) was ended by SIGKILL" in errors
        assert gone(programs)
        assert demo.files() == []


def test_when_the_demo_is_killed_both_programs_end_and_take_their_channels_along(tmp_path: Path) -> None:
    with Demo(tmp_path, "--seconds", "3600") as demo:
        programs = demo.wait_until_it_plays()
        demo.send_signal(signal.SIGKILL)
        assert demo.finish()[0] == -signal.SIGKILL
        assert gone(programs)
        # The demo was in both channels; if the kernel was slower with it than its programs with their leaving, it was
        # the last one out, and the next one in cleans up.
        for name in {file.removeprefix("framebus.").split("@")[0] for file in demo.files()}:
            framebus.Publisher(name).close()
        assert demo.files() == []


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--source", "missing.mp4"], 1, r"'missing\.mp4' can't be played: .*No such file"),
        (["--source", "text.mp4"], 1, r"'text\.mp4' can't be played: .*Invalid data"),
        (["--seconds=-1"], 2, r"--seconds must be more than 0 and at most 86400, got -1"),
        (["--output", "missing/demo.png"], 1, r"there is no folder '.*missing' to write 'demo\.png' to"),
        (["--output", "."], 1, r"Is a directory"),
    ],
    ids=["no file", "no video", "no time", "no folder", "a folder"],
)
def test_what_cannot_work_is_an_error_that_says_why(
    tmp_path: Path, arguments: list[str], status: int, says: str
) -> None:
    (tmp_path / "text.mp4").write_text("no video at all\n" * 100)
    time = [] if any(argument.startswith("--seconds") for argument in arguments) else ["--seconds", "0.2"]
    with Demo(tmp_path, *arguments, *time) as demo:
        found, _, errors = demo.finish()
        assert found == status
        assert re.search(says, errors), errors
        assert "Traceback" not in errors
        assert demo.files() == []


def test_on_a_terminal_a_table_is_drawn_over_itself(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "framebus", "demo", "--seconds", "1.2"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    ) as process:
        os.close(theirs)
        while chunk := read_terminal(ours):
            shown += chunk
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert process.returncode == 0, text
    assert b"\x1b[1A" in shown, "the cursor never went up to draw over the table"
    for word in ("player", "worker", "channel to worker", "missed", "dropped", "private", "lost       0"):
        assert word in text


def read_terminal(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:  # what Linux says when the other side is closed
        return b""
