# SPDX-License-Identifier: Apache-2.0
"""Partial files are new, kept, and never followed; a target has one writer, and a second one learns which."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.support.started import Started

import framebus
from framebus._util.partial_file import Claim, PartialFile, partial_name

pytest.importorskip("av", reason='needs PyAV; run: pip install "framebus[video]"')
IMAGE = np.full((48, 64), 7, np.uint8)

RECORDER = """
import sys, numpy, framebus
sink = framebus.sink(sys.argv[1])
for number in range(int(sys.argv[2])):
    sink.send(numpy.full((48, 64), number, numpy.uint8), timestamp_ns=number * 200_000_000)
print("recording", flush=True)
sys.stdin.read()
sink.close()
"""


@contextmanager
def recorder(url: str, frames: int, folder: Path) -> Iterator[Started]:
    """Another program that has sent some frames, and closes its sink when its standard input ends."""
    with Started(sys.executable, "-c", RECORDER, url, frames, cwd=folder) as program:
        assert program.line() == "recording"
        yield program


def levels(path: Path) -> list[int]:
    with framebus.source(f"video:{path}?pace=fast") as source:
        return [int(frame.array[0, 0]) for frame in source]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def record(url: str, level: int) -> None:
    with framebus.sink(url) as sink:
        sink.send(np.full((48, 64), level, np.uint8))


@pytest.mark.parametrize(
    "url",
    ["video:{}/o.mkv", "images:{}/o-{{seq}}.png", "images:{}"],
)
def test_the_second_writer_of_a_target_is_refused_with_pid_and_command_of_the_first(tmp_path: Path, url: str) -> None:
    url = url.format(tmp_path)
    with recorder(url, 3, tmp_path) as first:
        before = names(tmp_path)
        with pytest.raises(framebus.EndpointError, match=rf"is being written by process {first.pid} \(.*python.* -c "):
            framebus.sink(url)
        assert names(tmp_path) == before
        assert first.stdin is not None
        first.stdin.close()
        assert first.wait() == 0
    framebus.sink(url).close()
    assert not [name for name in names(tmp_path) if "lock" in name or "part" in name]


@pytest.mark.parametrize("other", ["relative", "linked folder", "dots", "link and dots"])
def test_every_path_to_the_same_target_has_the_same_writer(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "clips"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "deep").symlink_to(folder / "sub")
    monkeypatch.chdir(folder)
    path = {"relative": "o.mkv", "linked folder": "../link/o.mkv", "dots": "./sub/../o.mkv", "link and dots":
            f"{tmp_path}/deep/../o.mkv"}[other]  # fmt: skip
    with framebus.sink(f"video:{folder}/o.mkv") as sink:
        with pytest.raises(framebus.EndpointError, match=f"is being written by process {os.getpid()} "):
            framebus.sink(f"video:{path}")
        sink.send(IMAGE)
    assert levels(folder / "o.mkv") == [7]


def test_files_that_are_one_by_a_hard_link_become_two_whole_ones(tmp_path: Path) -> None:
    record(f"video:{tmp_path}/a.mkv", 1)
    (tmp_path / "b.mkv").hardlink_to(tmp_path / "a.mkv")
    with framebus.sink(f"video:{tmp_path}/a.mkv") as first, framebus.sink(f"video:{tmp_path}/b.mkv") as second:
        for number in range(5):
            first.send(np.full((48, 64), 10, np.uint8), timestamp_ns=number * 10**9)
            second.send(np.full((48, 64), 20, np.uint8), timestamp_ns=number * 10**9)
    assert (levels(tmp_path / "a.mkv"), levels(tmp_path / "b.mkv")) == ([10] * 5, [20] * 5)


def test_a_recorder_does_not_replace_the_partial_file_of_another_one(tmp_path: Path) -> None:
    with framebus.sink(f"video:{tmp_path}/o.mkv") as first:
        with pytest.raises(framebus.EndpointError, match=r"o\.part\.mkv' is the partial file of another writer"):
            framebus.sink(f"video:{tmp_path}/o.part.mkv")
        first.send(IMAGE)
    assert (names(tmp_path), levels(tmp_path / "o.mkv")) == (["o.mkv"], [7])


def test_a_recorder_that_came_first_does_not_replace_a_partial_file_either(tmp_path: Path) -> None:
    early = framebus.sink(f"video:{tmp_path}/o.part.mkv")
    early.send(IMAGE + 1)
    with framebus.sink(f"video:{tmp_path}/o.mkv") as late:
        late.send(IMAGE)
        with pytest.raises(framebus.EndpointError, match=r"is being written by another writer.*o\.part\.part\.mkv'"):
            early.close()
    assert names(tmp_path) == ["o.mkv", "o.part.part.mkv"]
    assert (levels(tmp_path / "o.mkv"), levels(tmp_path / "o.part.part.mkv")) == ([7], [8])


@pytest.mark.parametrize("name", ["shot-{seq:03d}.png", "shot-{seq}.png"])
def test_names_that_differ_only_in_the_format_of_the_number_have_one_writer(tmp_path: Path, name: str) -> None:
    with framebus.sink(f"images:{tmp_path}/shot-{{seq:06d}}.png"), framebus.sink(f"images:{tmp_path}/left-{{seq}}.png"):
        with pytest.raises(framebus.EndpointError, match="is being written by process"):
            framebus.sink(f"images:{tmp_path}/{name}")


def test_a_restarted_recorder_keeps_what_the_killed_one_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    left: list[list[int]] = []
    for round_ in range(1, 4):
        with recorder(f"video:{tmp_path}/o.mkv", 10 * round_, tmp_path) as program:
            program.send_signal(signal.SIGKILL)
            program.wait()
        parts = sorted(tmp_path.glob("o.part*.mkv"), key=lambda path: (len(path.name), path.name))
        assert [path.name for path in parts] == ["o.part.mkv", "o.part-2.mkv", "o.part-3.mkv"][:round_]
        found = [levels(path) for path in parts]
        assert found[:-1] == left, "a partial file of an earlier recorder has changed"
        assert len(found[-1]) >= 10 * round_ - 5, "more than a second is missing"
        left = found
    framebus.sink(f"video:{tmp_path}/o.mkv").close()  # no frame
    record(f"video:{tmp_path}/o.mkv", 99)
    assert levels(tmp_path / "o.mkv") == [99]
    assert [
        levels(path) for path in sorted(tmp_path.glob("o.part*"), key=lambda path: (len(path.name), path.name))
    ] == left
    assert "o.part.mkv'" in caplog.text
    assert "kept as it is" in caplog.text


def plant_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def plant_pipe(path: Path, victim: Path) -> None:  # noqa: ARG001 - all take the same
    os.mkfifo(path)


def plant_socket(path: Path, victim: Path) -> None:  # noqa: ARG001
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))


def plant_folder(path: Path, victim: Path) -> None:  # noqa: ARG001
    path.mkdir()


def plant_file(path: Path, victim: Path) -> None:
    path.write_bytes(victim.read_bytes())


@pytest.mark.parametrize("plant", [plant_link, plant_pipe, plant_socket, plant_folder, plant_file])
@pytest.mark.parametrize(("url", "part"), [("video:{}/o.mkv", "o.part.mkv"), ("images:{}/{{seq}}.png", ".1.png.part")])
def test_what_has_the_name_of_a_partial_file_is_not_touched(
    tmp_path: Path, url: str, part: str, plant: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    plant(tmp_path / part, victim)
    plant(tmp_path / f".1.png.{os.getpid()}.part", victim)
    before = {path: path.lstat() for path in tmp_path.iterdir()}
    record(url.format(tmp_path), 5)
    assert victim.read_text() == "precious"
    after = {path: path.lstat() for path in before}
    same = ("st_ino", "st_mode", "st_size", "st_mtime_ns")
    assert [[getattr(stat, key) for key in same] for stat in after.values()] == [
        [getattr(stat, key) for key in same] for stat in before.values()
    ]
    assert len(names(tmp_path)) == len(before) + 1, "the new file alone has been added"


@pytest.mark.parametrize("plant", [plant_link, plant_pipe, plant_socket, plant_folder, plant_file])
def test_what_has_the_name_of_the_lock_is_not_touched_and_named(
    tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("precious")
    plant(tmp_path / ".o.mkv.lock", victim)
    with pytest.raises(framebus.EndpointError, match=r"\.o\.mkv\.lock', which locks .* is something else; move it"):
        framebus.sink(f"video:{tmp_path}/o.mkv")
    assert victim.read_text() == "precious"
    assert names(tmp_path) == [".o.mkv.lock", "victim.txt"]


@pytest.mark.parametrize("plant", [plant_pipe, plant_socket, plant_folder])
def test_a_target_that_is_no_file_is_refused_and_stays(tmp_path: Path, plant: Callable[[Path, Path], None]) -> None:
    for name in ("o.mkv", "1.png"):
        plant(tmp_path / name, tmp_path)
    with pytest.raises(framebus.EndpointError, match=r"can't be written: .* is a (folder|pipe, socket or device)"):
        framebus.sink(f"video:{tmp_path}/o.mkv")
    with framebus.sink(f"images:{tmp_path}/{{seq}}.png") as sink:
        with pytest.raises(framebus.EndpointError, match=r"frame 1 can't be written .* is a (folder|pipe, socket)"):
            sink.send(IMAGE)
        sink.send(IMAGE, seq=2)
    assert names(tmp_path) == ["1.png", "2.png", "o.mkv"]


def test_a_target_that_is_a_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("precious")
    (tmp_path / "o.mkv").symlink_to("precious.txt")
    record(f"video:{tmp_path}/o.mkv", 3)
    assert not (tmp_path / "o.mkv").is_symlink()
    assert levels(tmp_path / "o.mkv") == [3]
    assert (tmp_path / "precious.txt").read_text() == "precious"


def test_a_partial_file_that_was_moved_away_is_an_error_and_the_target_stays(tmp_path: Path) -> None:
    record(f"video:{tmp_path}/o.mkv", 1)
    sink = framebus.sink(f"video:{tmp_path}/o.mkv")
    sink.send(IMAGE)
    (tmp_path / "o.part.mkv").rename(tmp_path / "mine.mkv")
    (tmp_path / "o.part.mkv").write_text("something else")
    with pytest.raises(framebus.EndpointError, match="was moved or removed while it was being written"):
        sink.close()
    assert levels(tmp_path / "o.mkv") == [1]
    assert levels(tmp_path / "mine.mkv") == [7]
    assert (tmp_path / "o.part.mkv").read_text() == "something else"


def test_a_program_that_changes_its_folder_still_writes_where_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with framebus.sink("video:o.mkv") as video, framebus.sink("images:{seq}.png") as images:
        monkeypatch.chdir(tmp_path / "elsewhere")
        video.send(IMAGE)
        images.send(IMAGE)
    assert names(tmp_path) == ["1.png", "elsewhere", "o.mkv"]
    assert names(tmp_path / "elsewhere") == []


def test_a_forked_child_neither_keeps_the_claim_nor_writes(tmp_path: Path) -> None:
    claim = Claim(tmp_path / "o.bin")
    part = claim.begin("o.part.bin")
    ours, childs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            part.write(b"from the child")
        except OSError:
            childs.send(b"refused")
            signal.pause()
        os._exit(1)
    try:
        childs.close()
        assert ours.recv(100) == b"refused", "the child could write"
        os.close(claim._descriptor)  # as the kernel does when this process dies
        claim._descriptor = -1
        Claim(tmp_path / "o.bin").release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ours.close()
    part.write(b"from the parent")
    part.publish(tmp_path / "o.bin", durable=True)
    assert (tmp_path / "o.bin").read_bytes() == b"from the parent"


def test_names_as_long_as_can_be_have_room_for_their_partial_file(tmp_path: Path) -> None:
    name = "ü" * 125 + ".mkv"
    record(f"video:{tmp_path}/{name}", 3)
    assert names(tmp_path) == [name]
    assert len({partial_name("x" * 240 + f"{number}.mkv", hidden=True) for number in range(9)}) == 9


def test_a_partial_file_has_the_rights_that_any_new_file_has(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        PartialFile(os.fspath(tmp_path), "a.part").publish(tmp_path / "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
