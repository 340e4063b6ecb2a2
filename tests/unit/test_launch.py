# SPDX-License-Identifier: Apache-2.0
"""What may be given as launch=, what is found for it, and how long a program rests before it is started again.

Nothing is started here; tests/multiprocess/test_launch_*.py do that.
"""

from __future__ import annotations

import errno
import os
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebus
from framebus.launch import FirstFramePin
from framebus.launch.program import find_program, launches_of
from framebus.launch.supervisor import Backoff

TRUE = "true"  # a program that every system has


def program_in(folder: Path, name: str = "program", mode: int = 0o755) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["a", "b"], [("a", "b")]),
        (("a", "b"), [("a", "b")]),
        ([["a"], ["b", "c"]], [("a",), ("b", "c")]),
        (framebus.Launch(["a"], max_restarts=3), [("a",)]),
        ([framebus.Launch(["a"]), ["b"]], [("a",), ("b",)]),
    ],
    ids=["list", "tuple", "lists", "Launch", "mixed"],
)
def test_one_program_or_several_may_be_given(given: Any, expected: list[tuple[str, ...]]) -> None:
    found = launches_of(given)
    assert [tuple(launch.argv) for launch in found] == expected
    assert all(isinstance(launch, framebus.Launch) for launch in found)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ("python algo.py", TypeError, r'no shell.*write launch=\["python", "algo\.py"\]'),
        (b"python algo.py", TypeError, r'write launch=\["python", "algo\.py"\]'),
        ("", TypeError, r"launch=\["),
        ([], ValueError, r'for example launch=\["python", "algo\.py"\]'),
        ([""], ValueError, r"names no program"),
        ([[]], ValueError, r"names no program"),
        ([["a"], "b"], TypeError, r"str only"),
        (["a", ["b"]], TypeError, r"str only.*\['b'\].*list"),
        (["sleep", 5], TypeError, r"str only.*5 \(int\)"),
        ([Path("a")], TypeError, r"PosixPath"),
        (["a", "b\0c"], ValueError, r"NUL"),
        (5, TypeError, r"list of str.*5"),
        ({"a": 1}, TypeError, r"list of str"),
        ([["a"], "python algo.py"], TypeError, r"str only"),
    ],
    ids=repr,
)
def test_anything_else_is_refused_with_the_right_line(
    channel_name: str, given: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        framebus.Publisher(channel_name, launch=given)
    with pytest.raises(framebus.ChannelNotFound):
        framebus.Subscriber(channel_name)


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("on_exit", "again", ValueError),
        ("on_exit", None, ValueError),
        ("shutdown_timeout", -0.1, ValueError),
        ("kill_timeout", float("nan"), ValueError),
        ("kill_timeout", "5", TypeError),
        ("restart_delay", True, TypeError),
        ("max_restarts", -1, ValueError),
        ("max_restarts", 1.5, TypeError),
    ],
)
def test_option_out_of_range_is_refused_by_name(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=option):
        framebus.Launch(["a"], **{option: value})


@pytest.mark.parametrize("how", ["absolute", "relative", "in cwd", "in PATH", "in the PATH of env"])
def test_program_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    path = program_in(tmp_path)
    launch = framebus.Launch([str(path)])
    if how == "relative":
        monkeypatch.chdir(tmp_path)
        launch = framebus.Launch(["./program", "argument"])
    elif how == "in cwd":
        launch = framebus.Launch(["./program"], cwd=tmp_path)
    elif how == "in PATH":
        monkeypatch.setenv("PATH", f"/nowhere{os.pathsep}{tmp_path}")
        launch = framebus.Launch(["program"])
    elif how == "in the PATH of env":
        launch = framebus.Launch(["program"], env={"PATH": str(tmp_path)})
    found = find_program(launch)
    assert os.path.isabs(found)
    assert os.path.samefile(found, path)


def test_folder_of_a_launch_is_the_one_it_was_at_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    path = program_in(tmp_path / "inner")
    monkeypatch.chdir(tmp_path)
    launch = framebus.Launch(["./program"], cwd="inner")
    monkeypatch.chdir("/")
    assert os.path.samefile(find_program(launch), path)


@pytest.mark.parametrize("name", ["python", "python3"])
def test_python_is_this_interpreter_only_where_path_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program(framebus.Launch([name])) == sys.executable
    other = program_in(tmp_path, name)
    assert find_program(framebus.Launch([name])) == str(other)


def test_missing_program_is_an_error_at_once_that_names_where_it_was_looked_for(
    channel_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"/nowhere{os.pathsep}{tmp_path}")
    with pytest.raises(framebus.ProgramNotFound) as refusal:
        framebus.Publisher(channel_name, launch=["algorithm", "--fast"])
    assert isinstance(refusal.value, FileNotFoundError)
    assert isinstance(refusal.value, framebus.Error)
    assert (refusal.value.errno, refusal.value.filename) == (errno.ENOENT, "algorithm")
    for part in ("'algorithm'", "/nowhere", str(tmp_path)):
        assert part in str(refusal.value)
    with pytest.raises(framebus.ChannelNotFound):
        framebus.Subscriber(channel_name)


@pytest.mark.parametrize("by_path", [True, False], ids=["by path", "in PATH"])
@pytest.mark.parametrize(
    ("kind", "text"),
    [("file", r"is not executable.*chmod \+x"), ("script", r'launch=\["python", "'), ("folder", r"is a folder")],
)
def test_what_is_no_program_is_refused_with_the_remedy(
    channel_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, text: str, by_path: bool
) -> None:
    path = tmp_path / ("algo.py" if kind == "script" else "algo")
    if kind == "folder":
        path.mkdir()
    else:
        program_in(tmp_path, path.name, 0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(framebus.ProgramNotFound, match=text) as refusal:
        framebus.Publisher(channel_name, launch=[str(path) if by_path else path.name])
    assert str(path) in str(refusal.value)
    assert (refusal.value.errno, refusal.value.filename) == (errno.EACCES, str(path))


def test_program_in_the_current_folder_is_refused_with_the_right_line(
    channel_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_in(tmp_path, "algo")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(framebus.ProgramNotFound, match=r"write '\./algo'"):
        framebus.Publisher(channel_name, launch=["algo"])


def test_folder_that_is_not_there_is_an_error_at_once(channel_name: str, tmp_path: Path) -> None:
    with pytest.raises(framebus.ProgramNotFound, match=r"no such folder") as refusal:
        framebus.Publisher(channel_name, launch=framebus.Launch([TRUE], cwd=tmp_path / "nowhere"))
    assert (refusal.value.errno, refusal.value.filename) == (errno.ENOENT, str(tmp_path / "nowhere"))


def test_second_of_several_programs_is_looked_for_at_once_too(channel_name: str) -> None:
    with pytest.raises(framebus.ProgramNotFound, match="no-such-program"):
        framebus.Publisher(channel_name, launch=[[TRUE], ["no-such-program"]])


@pytest.mark.parametrize(("name", "value"), [("executable", ""), ("executable", None), ("frozen", True)])
def test_program_a_without_an_interpreter_is_told_so(
    channel_name: str, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    monkeypatch.setattr(sys, name, value, raising=False)
    with pytest.raises(framebus.ProgramNotFound, match="Python interpreter"):
        framebus.Publisher(channel_name, launch=[TRUE])


def test_pauses_double_up_to_ten_seconds_and_end_at_the_limit() -> None:
    backoff = Backoff(0.1, 10)
    found = [backoff.after(0.0) for _ in range(11)]
    assert found[:10] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])
    assert found[10] is None


def test_a_steady_run_begins_a_new_row() -> None:
    backoff = Backoff(0.1, 2)
    assert [backoff.after(ran) for ran in (0.0, 9.9, 10.0, 0.0)] == pytest.approx([0.1, 0.2, 0.1, 0.2])
    assert backoff.after(0.0) is None


def test_limit_of_none_at_all_never_starts_again() -> None:
    assert Backoff(0.1, 0).after(3600.0) is None


def test_programs_start_after_the_first_frame_and_not_again(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as plain:
        plain.send(np.zeros(3))
        assert plain.launched == ()
    for lend in (False, True):
        with framebus.Publisher(channel_name, launch=framebus.Launch([TRUE], on_exit="ignore")) as publisher:
            assert publisher.launched[0].starts == 0
            for _ in range(3):
                if lend:
                    with publisher.loan(3) as loan:
                        assert loan.array.size == 3
                else:
                    publisher.send(np.zeros(3))
        assert publisher.launched[0].starts == 1


def test_threads_that_send_at_the_same_time_wait_until_the_first_frame_is_held(
    channel_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame may come from each thread before that; the program begins with the last of these."""
    held: list[int] = []
    keep = FirstFramePin.keep

    def keep_and_note(pin: FirstFramePin, timeout: float | None) -> None:
        keep(pin, timeout)
        assert pin._frame is not None
        held.append(pin._frame.seq)

    def send_many(publisher: framebus.Publisher, start: threading.Barrier) -> None:
        start.wait()
        for _ in range(2000):
            publisher.send(np.zeros(3))

    monkeypatch.setattr(FirstFramePin, "keep", keep_and_note)
    threads = 3
    for _ in range(8):
        start = threading.Barrier(threads)
        with framebus.Publisher(channel_name, launch=framebus.Launch([TRUE], on_exit="ignore")) as publisher:
            senders = [threading.Thread(target=send_many, args=(publisher, start)) for _ in range(threads)]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
    assert len(held) == 8
    assert all(1 <= seq <= threads for seq in held), held


def test_launch_goes_along_when_a_publisher_is_pickled(channel_name: str, tmp_path: Path) -> None:
    launch = [framebus.Launch([TRUE, "a"], on_exit="stop", env={"A": "b"}, cwd=tmp_path, max_restarts=3), [TRUE]]
    with framebus.Publisher(channel_name, launch=launch) as publisher:
        described = pickle.dumps(publisher)
    with pickle.loads(described) as twin:
        assert twin._launcher.launches == (launch[0], framebus.Launch([TRUE]))
        assert [status.argv for status in twin.launched] == [(TRUE, "a"), (TRUE,)]


def test_launcher_that_was_never_started_stops_and_is_over(channel_name: str) -> None:
    with framebus.Launcher([TRUE], channel_name) as launcher:
        assert launcher.wait(0)
        assert launcher.programs == (framebus.Launched((TRUE,)),)
