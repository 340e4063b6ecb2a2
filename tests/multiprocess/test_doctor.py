# SPDX-License-Identifier: Apache-2.0
"""`framebus doctor` finds what the dead have left, and removes that and nothing else.

All of it happens in a /dev/shm of its own, so that no other test's channel is cleaned away.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import sys
from typing import Any

import pytest
from tests.support.harness import Program, Programs
from tests.support.places import Place, needs_root

from framebus import _core

pytestmark = needs_root

WELL, FOUND, FAILED = 0, 1, 2
NAME = "camera0"
KILLS = 15
PROGRESS = 8  # between two kills, of ten lives of a publisher each
GENERATION_OFFSET, VERSION_OFFSET = 84, 8  # in the control block, see docs/protocol.md


def publisher(programs: Programs, place: Place, name: str = NAME, **options: object) -> Program:
    """A publisher with one frame of 32 x 32."""
    program = programs.publisher(name, under=place, **options)
    program.ask("send", shape=[32, 32], fill=7)
    return program


def leave_stale_channel(programs: Programs, place: Place, name: str = NAME, **options: object) -> int:
    """Kills a publisher; gives what its process id was."""
    program = publisher(programs, place, name, **options)
    program.kill()
    return program.pid


def findings(place: Place, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(place.framebus("doctor", "--json", *options).stdout)
    return found


def kinds(place: Place) -> dict[str, str]:
    """What is found, by file name."""
    return {os.path.basename(finding["path"]): finding["kind"] for finding in findings(place)}


def test_all_is_well_where_there_is_nothing(place: Place) -> None:
    done = place.framebus("doctor")
    assert (done.returncode, done.stdout) == (
        WELL,
        "All is well: nothing in shared memory is stale, orphaned or foreign.\n",
    )
    assert findings(place) == []


def test_a_live_channel_is_no_finding_and_keeps_its_files(place: Place, programs: Programs) -> None:
    sender = publisher(programs, place)
    receiver = programs.subscriber(NAME, under=place)
    before = place.files()
    done = place.framebus("doctor", "--clean")
    assert (done.returncode, place.files()) == (WELL, before)
    assert receiver.ask("recv")["seq"] == 1
    assert sender.ask("send", shape=[32, 32]) == 2


def test_a_stale_channel_is_listed_with_who_left_it(place: Place, programs: Programs) -> None:
    pid = leave_stale_channel(programs, place, fork=False)
    done = place.framebus("doctor")
    assert done.returncode == FOUND
    assert "framebus doctor --clean removes what no program uses." in done.stdout
    (finding,) = findings(place)
    assert finding["kind"] == "stale channel"
    assert finding["channel"] == NAME
    assert f"no live publisher (process {pid}," in finding["why"]
    assert "publish.py" in finding["why"]
    assert finding["why"].endswith("died) and no live subscriber")
    assert finding["size_bytes"] > 69632
    assert (finding["dead"], finding["ours"], finding["removed"]) == (True, True, False)
    assert place.files() == [f"framebus.{NAME}", f"framebus.{NAME}@1"], "looking must not change anything"


def test_cleaning_removes_a_stale_channel_and_leaves_its_neighbour(place: Place, programs: Programs) -> None:
    leave_stale_channel(programs, place)
    publisher(programs, place, "neighbour")
    done = place.framebus("doctor", "--clean")
    assert done.returncode == WELL
    assert "removed" in done.stdout
    assert place.files() == ["framebus.neighbour", "framebus.neighbour@1"]
    assert place.framebus("doctor").returncode == WELL


def test_a_channel_whose_publisher_died_is_kept_while_a_subscriber_lives(place: Place, programs: Programs) -> None:
    sender = publisher(programs, place)
    receiver = programs.subscriber(NAME, under=place)
    sender.kill()
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == [f"framebus.{NAME}", f"framebus.{NAME}@1"]
    assert programs.subscriber(NAME, under=place).ask("recv")["seq"] == 1
    assert receiver.ask("recv")["seq"] == 1
    assert publisher(programs, place).ask("send", shape=[32, 32]) == 3


def test_the_store_of_a_growth_that_a_kill_has_ended_is_removed(place: Place, programs: Programs) -> None:
    sender = publisher(programs, place)
    receiver = programs.subscriber(NAME, under=place)
    sender.kill()
    store = place.shared_memory / f"framebus.{NAME}@1"
    shutil.copy(store, store.with_name(f"framebus.{NAME}@2"))
    (finding,) = findings(place)
    assert finding["kind"] == "orphaned store"
    assert finding["why"] == "generation 2 of a channel that is at generation 1 and has no live publisher"
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == [f"framebus.{NAME}", f"framebus.{NAME}@1"]
    assert receiver.ask("recv")["arrays"]["image"] == [[32, 32], "|u1", 7.0, 7.0]


def test_a_later_store_of_a_live_publisher_may_be_a_growth_and_is_kept(place: Place, programs: Programs) -> None:
    sender = publisher(programs, place)
    store = place.shared_memory / f"framebus.{NAME}@1"
    shutil.copy(store, store.with_name(f"framebus.{NAME}@2"))
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert f"framebus.{NAME}@2" in place.files()
    sender.ask("send", shape=[512, 512])  # grows there
    assert programs.subscriber(NAME, under=place).ask("recv")["seq"] == 2


def test_a_store_that_a_live_channel_has_left_behind_is_removed(place: Place, programs: Programs) -> None:
    sender = publisher(programs, place)
    store = place.shared_memory / f"framebus.{NAME}@1"
    sender.ask("send", shape=[512, 512])
    shutil.copy(store.with_name(f"framebus.{NAME}@2"), store)
    assert kinds(place) == {f"framebus.{NAME}@1": "orphaned store"}
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == [f"framebus.{NAME}", f"framebus.{NAME}@2"]
    assert programs.subscriber(NAME, under=place).ask("recv")["seq"] == 2


def test_a_store_without_a_control_block_is_removed(place: Place, programs: Programs) -> None:
    leave_stale_channel(programs, place)
    (place.shared_memory / f"framebus.{NAME}").unlink()
    (finding,) = findings(place)
    assert finding["kind"] == "orphaned store"
    assert finding["why"] == f"a frame store without a channel, /dev/shm/framebus.{NAME} is missing"
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == []


def test_foreign_files_are_shown_and_left_alone(place: Place) -> None:
    folder = place.shared_memory
    (folder / "framebus.folder").mkdir()
    os.mkfifo(folder / "framebus.fifo")
    (folder / "framebus.link").symlink_to("/etc/passwd")
    (folder / "framebus.no name").touch()
    (folder / "framebus.camera0@1").write_bytes(bytes(4096))
    (folder / "framebus.camera0@01").touch()
    (folder / "something.else").touch()
    before = place.files()
    done = place.framebus("doctor", "--clean")
    assert done.returncode == FOUND
    assert "remove it by hand if it is not needed" in done.stdout
    assert place.files() == before
    assert kinds(place) == {name: "foreign file" for name in before if name.startswith("framebus.")}


def test_a_broken_control_block_is_removed_when_nobody_uses_it(place: Place, programs: Programs) -> None:
    leave_stale_channel(programs, place)
    with open(place.shared_memory / f"framebus.{NAME}", "r+b") as file:
        file.write(b"nonsense")
    (finding,) = findings(place)
    assert (finding["kind"], finding["why"]) == ("foreign file", "not a framebus control block")
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == []


def test_a_channel_of_another_release_is_kept_while_it_is_used(place: Place, programs: Programs) -> None:
    sender = publisher(programs, place)
    with open(place.shared_memory / f"framebus.{NAME}", "r+b") as file:
        file.seek(VERSION_OFFSET)
        file.write(struct.pack("<I", 9))
    before = place.files()
    done = place.framebus("doctor", "--clean")
    assert (done.returncode, place.files()) == (FOUND, before)
    (finding,) = findings(place)
    assert finding["why"] == f"layout version 9, this program speaks version {_core.LAYOUT_VERSION}; in use"
    sender.kill()
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == []


def test_it_fails_where_it_may_not_remove(place: Place, programs: Programs) -> None:
    leave_stale_channel(programs, place)
    assert place.run("mount", "-o", "remount,ro", "/dev/shm").returncode == 0
    done = place.framebus("doctor", "--clean")
    assert done.returncode == FAILED
    assert "Read-only file system" in done.stdout
    assert place.framebus("doctor").returncode == FOUND


def test_it_fails_where_there_is_nothing_to_look_at() -> None:
    nowhere = Place("mount -t tmpfs tmpfs /dev")
    done = nowhere.run(sys.executable, "-m", "framebus", "doctor")
    nowhere.close()
    assert done.returncode == FAILED
    assert done.stderr == "framebus doctor: cannot look into /dev/shm: No such file or directory\n"


def test_what_belongs_to_another_user_is_shown_but_does_not_count(place: Place, programs: Programs) -> None:
    leave_stale_channel(programs, place, "private")
    stale = programs.publisher("shared", under=place, mode=0o644)
    stale.kill()
    before = place.files()
    code = (
        "import os, sys, encodings.idna, json, subprocess, framebus.cli.app, rich.segment, framebus.channel.doctor;"
        "os.setgroups([]); os.setgid(1234); os.setuid(1234);"
        "framebus.cli.app.app(['doctor', '--clean', '--json'])"
    )
    done = place.python(code)
    assert done.returncode == WELL, done.stderr
    found = {os.path.basename(finding["path"]): finding for finding in json.loads(done.stdout)}
    assert place.files() == before
    assert found["framebus.private"]["why"] == "closed to user 1234: mode 0600"
    assert found["framebus.shared"]["kind"] == "stale channel"
    assert {finding["ours"] for finding in found.values()} == {False}
    assert {finding["owner"] for finding in found.values()} == {0}


def test_root_cleans_up_after_everybody(place: Place, programs: Programs) -> None:
    program = programs.start("as_user", under=place, uid=1234, gid=1234, program="publish", options={"name": NAME})
    program.expect("ready")
    program.ask("send", shape=[8, 8])
    program.kill()
    assert place.framebus("doctor", "--clean").returncode == WELL
    assert place.files() == []


def restart_killed(programs: Programs, place: Place, script: str, chance: random.Random, **options: object) -> Program:
    program = programs.start(script, under=place, name=NAME, seed=chance.randrange(1 << 30), **options)
    program.expect("ready")
    return program


@pytest.mark.parametrize("careless", [False, True], ids=["all are careful", "control blocks are removed by hand"])
def test_cleaning_takes_nothing_from_those_who_come_and_go_meanwhile(
    careless: bool, place: Place, programs: Programs
) -> None:
    chance = random.Random(4)
    cleaners = [programs.start("clean", under=place) for _ in range(2)]
    leave_stale_channel(programs, place)
    while place.files():  # so that one of them has had something to do, whoever is faster later
        os.sched_yield()
    options = {"churn": {"careless": careless}, "visit": {}}
    running = {script: restart_killed(programs, place, script, chance, **options[script]) for script in options}
    for _ in range(KILLS):
        for _ in range(PROGRESS):
            running["churn"].expect("progress")
        victim = chance.choice(list(running))
        running[victim].kill()
        running[victim] = restart_killed(programs, place, victim, chance, **options[victim])
    running["churn"].expect("progress")
    reports = {}
    for script, program in [*running.items(), ("clean", cleaners[0]), ("clean too", cleaners[1])]:
        program.hang_up()
        reports[script] = program.expect("report")
        assert program.wait() == 0, program.errors()
    assert reports["clean"]["problems"] == reports["clean too"]["problems"] == []
    kinds_left = ("stale channel", "orphaned store") if careless else ("stale channel",)
    removed = {
        kind: reports["clean"]["removed"].get(kind, 0) + reports["clean too"]["removed"].get(kind, 0)
        for kind in kinds_left
    }
    assert min(removed.values()) > 0, f"the cleaners had nothing to do: {removed}"
    place.framebus("doctor", "--clean")
    assert place.files() == []
