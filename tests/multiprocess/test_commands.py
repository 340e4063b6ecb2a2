# SPDX-License-Identifier: Apache-2.0
"""Every command under every condition that a shell, a service manager or a cron job makes for it.

A command ends with a status that says what happened and at most one line beside its result, and never in a traceback.
COMMANDS has them all: a test fails where a new one is missing.

`framebus list` is started in an interpreter of its own under every condition, and each command in one that prints JSON.
The others are forks, which go on where an interpreter has started.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.support.forked_commands import ForkedCommand, Redirect, run_command
from tests.support.processes import runs
from tests.support.started import Started
from tests.support.waiting import WATCHDOG_S, wait_until

import framebus
from framebus.cli.app import app

FRAMEBUS = [sys.executable, "-W", "error", "-m", "framebus"]
NOT_UTF_8 = b"\xff-camera"
SH = ["sh", "-c"]


@dataclass(frozen=True)
class Command:
    """One command, with arguments that let it end soon, and where it prints."""

    words: tuple[str, ...]
    prints: bool = True  # a result, to standard output
    chatty: bool = False  # it tells on standard error what it is doing


RELAY = ("relay", "pattern:gradient?fps=0&count=5&width=8&height=8")
COMMANDS = {
    "list": Command(("list",)),
    "endpoints": Command(("endpoints",)),
    "doctor": Command(("doctor",)),
    "bench": Command(("bench", "mechanisms", "--only", "shm", "--sizes", "640x480", "--seconds", "1"), chatty=True),
    "demo": Command(("demo", "--seconds", "0.2", "--output", "{folder}/demo.png")),
    "relay": Command((*RELAY, "{channel}-relay"), prints=False, chatty=True),
    "run": Command(("run", "{channel}", "--on-exit", "stop", "--", "true"), prints=False, chatty=True),
}
PRINTING = [name for name, command in COMMANDS.items() if command.prints]
ENDLESS = {
    "bench": ("bench", "mechanisms", "--only", "shm", "--seconds", "600"),
    "demo": ("demo", "--seconds", "3600", "--output", "{folder}/demo.png"),
    "relay": ("relay", "pattern:gradient?fps=100&width=8&height=8", "{channel}-relay"),
    "run": ("run", "{channel}", "--", "sleep", "600"),
}


@pytest.fixture
def channel(channel_name: str) -> Iterator[str]:
    """A channel with a frame in it, for what needs one."""
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(np.zeros((4, 5), np.uint8), pixel_format="Mono8")
        yield channel_name


def words_of(words: tuple[str, ...], channel: str, folder: Path) -> list[str]:
    return [word.format(channel=channel, folder=folder) for word in words]


def redirected(shell: str) -> Redirect:
    """What redirections in the words of a shell say, for a fork."""
    found: dict[int, str | int | None] = {}
    for word in shell.split():
        number, sign, target = re.fullmatch("(2?)([<>])(.+)", word).groups()  # type: ignore[union-attr]
        found[int(number or "<>".index(sign))] = None if target == "&-" else target
    return found


def run(
    name: str,
    channel: str,
    folder: Path,
    *more: str,
    redirect: str = "",
    env: dict[str, str] | None = None,
    fork: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end with its descriptors redirected as a shell does; by a shell where it is no fork."""
    words = words_of(COMMANDS[name].words, channel, folder)
    words[1:1] = more
    if fork:
        return run_command(*words, redirect=redirected(redirect), env=env)
    return subprocess.run(
        [*SH, f'exec "$@" {redirect}', "sh", *FRAMEBUS, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=WATCHDOG_S,
        check=False,
        env={**os.environ, **(env or {})},
    )


def own_lines(errors: bytes) -> list[str]:
    """What a command has said of itself, without what it tells about its progress."""
    return [line for line in errors.decode(errors="replace").splitlines() if not line.endswith(" ...")]


def test_the_table_has_every_command() -> None:
    assert {name for name in app if not name.startswith("-")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("redirect", "env"),
    [
        pytest.param("<&-", {}, id="no stdin"),
        pytest.param("", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, id="C"),
        pytest.param("", {"PYTHONIOENCODING": "ascii", "COLUMNS": "10", "TERM": "dumb"}, id="narrow ascii"),
        pytest.param("2>&-", {}, id="no stderr"),
        pytest.param("2>/dev/full", {}, id="full stderr"),
    ],
)
def test_command_does_its_work(channel: str, tmp_path: Path, name: str, redirect: str, env: dict[str, str]) -> None:
    done = run(name, channel, tmp_path, redirect=redirect, env=env, fork=name != "list")
    assert b"Traceback" not in done.stdout + done.stderr
    assert done.returncode in ((0, 1) if name == "doctor" else (0,)), done.stderr
    assert bool(done.stdout) == COMMANDS[name].prints, "standard output has the result and nothing else"
    if not COMMANDS[name].chatty:
        assert own_lines(done.stderr) == []


UNWRITABLE = {
    ">&-": "can't write to standard output: it is closed",
    ">/dev/full": "can't write to standard output: No space left on device",
    ">&- 2>&- <&-": None,
    ">&- 2>&-": None,
    ">/dev/full 2>/dev/full": None,
}
# A demo and a bench take long, since they start interpreters; what they print is written by the same few lines.
SELECTED = {
    "bench": [(False, ">&-"), (False, ">/dev/full"), (False, ">&- 2>&- <&-")],
    "demo": [(False, ">&-"), (False, ">/dev/full 2>/dev/full"), (True, ">/dev/full"), (True, ">&- 2>&- <&-")],
}


@pytest.mark.parametrize(
    ("name", "as_json", "redirect"),
    [
        (name, as_json, redirect)
        for name in PRINTING
        for as_json, redirect in SELECTED.get(name, itertools.product((False, True), UNWRITABLE))
    ],
)
def test_result_that_can_not_be_written_is_an_error_in_one_line(
    channel: str, tmp_path: Path, name: str, as_json: bool, redirect: str
) -> None:
    said = UNWRITABLE[redirect]
    more = ["--json"] if as_json else []
    done = run(name, channel, tmp_path, *more, redirect=redirect, fork=name != "list" or as_json)
    assert (done.returncode, done.stdout) == (1, b"")
    expected = [] if said is None else [f"framebus {name}: {said}"]
    assert [line for line in own_lines(done.stderr) if line.startswith(("framebus ", "Traceback"))] == expected


@pytest.mark.parametrize("name", PRINTING)
def test_output_that_nobody_reads_ends_a_command_quietly(channel: str, tmp_path: Path, name: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = words_of(COMMANDS[name].words, channel, tmp_path)
    try:
        done = run_command(*words, redirect={1: writing}, pass_fds=[writing])
    finally:
        os.close(writing)
    assert (done.returncode, own_lines(done.stderr)) == (141, [])


@pytest.mark.parametrize("name", [*PRINTING, "relay"])
def test_result_for_scripts_is_json(channel: str, tmp_path: Path, name: str) -> None:
    words = COMMANDS[name].words
    if name == "bench":
        done = subprocess.run(
            [*FRAMEBUS, *words_of((*words, "--json"), channel, tmp_path)],
            capture_output=True,
            timeout=WATCHDOG_S,
            check=False,
        )
    else:
        done = run(name, channel, tmp_path, "--json", fork=False)
    found = json.loads(done.stdout)
    if name == "list":
        [one] = [each for each in found if each["name"] == channel]
        assert (one["alive"], one["seq"], one["pixel_format"]) == (True, 1, "Mono8")
        assert one["publisher"]["pid"] == os.getpid()
        assert one["arrays"] == [{"name": "image", "shape": [4, 5], "dtype": "|u1"}]
    elif name == "endpoints":
        assert [each["scheme"] for each in found] == [info.scheme for info in framebus.endpoints()]
        [pattern] = [each for each in found if each["scheme"] == "pattern"]
        assert {"name": "width", "type": "int"}.items() <= pattern["source"][0].items()
        assert pattern["sink"] is None
    elif name == "relay":
        assert (found["frames"], found["reason"]) == (5, "closed")
    elif name == "demo":
        assert found["played"]["frames"] == found["processed"]["frames"] > 0


def test_report_of_a_relay_into_a_pipe_does_not_go_into_the_pipe() -> None:
    done = run_command(*RELAY, "pipe:stdout", "--json")
    assert json.loads(done.stderr)["frames"] == 5
    assert b'"frames"' not in done.stdout


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signal_ends_a_command_and_what_it_has_started(
    channel: str, tmp_path: Path, name: str, number: signal.Signals
) -> None:
    below: list[psutil.Process] = []
    with ForkedCommand(*words_of(ENDLESS[name], channel, tmp_path), session=True) as process:
        if name == "relay":
            with framebus.Subscriber(f"{channel}-relay", connect_timeout=WATCHDOG_S) as subscriber:
                subscriber.recv(WATCHDOG_S)
        else:
            wanted = 1 if name != "run" else 2  # a guard and its program
            wait_until(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= wanted, "what it starts")
            below = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        status, output, errors = process.finish()
    assert status == 128 + number, errors
    assert "Traceback" not in output + errors
    assert [each for each in below if runs(each.pid)] == []
    left = [each.name for each in framebus.channels() if each.name.startswith(f"bench-{process.pid}-")]
    assert left == []


@pytest.mark.parametrize("name", ["relay", "run"])
def test_command_under_nohup_does_not_mind_its_terminal(channel: str, tmp_path: Path, name: str) -> None:
    script = 'trap "" HUP; exec "$@"'
    with Started(*SH, script, "sh", *FRAMEBUS, *words_of(ENDLESS[name], channel, tmp_path)) as process:
        if name == "relay":
            with framebus.Subscriber(f"{channel}-relay", connect_timeout=WATCHDOG_S) as subscriber:
                subscriber.recv(WATCHDOG_S)
                process.send_signal(signal.SIGHUP)
                subscriber.recv(WATCHDOG_S)
                subscriber.recv(WATCHDOG_S)
        else:
            wait_until(lambda: bool(process.poll() is None and _ignores_sighup(process.pid)), "the start")
            process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.finish()[0] == 143


def _ignores_sighup(pid: int) -> bool:
    """Whether it ignores SIGHUP and handles SIGTERM, as a command does that has begun."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    ignored, caught = int(status["SigIgn"], 16), int(status["SigCgt"], 16)
    return bool(ignored >> (signal.SIGHUP - 1) & 1 and caught >> (signal.SIGTERM - 1) & 1)


@pytest.mark.parametrize(
    "words",
    [
        [b"run", NOT_UTF_8, b"--", b"true"],
        [b"relay", NOT_UTF_8, b"x"],
        [b"relay", b"pattern:gradient?fps=0&count=1", NOT_UTF_8],
        [b"relay", b"pattern:gradient?fps=0&count=1", b"ipc:///run/" + NOT_UTF_8],
        [b"endpoints", NOT_UTF_8],
        [b"bench", b"mechanisms", b"--only", NOT_UTF_8],
    ],
)
def test_argument_that_is_not_utf_8_is_refused_in_one_line(words: list[bytes]) -> None:
    if words[0] == b"run":
        command = [*map(os.fsencode, FRAMEBUS), *words]
        done = subprocess.run(command, capture_output=True, timeout=WATCHDOG_S, check=False)
    else:
        done = run_command(*map(os.fsdecode, words))
    assert (done.returncode, done.stdout) == (2, b"")
    [line] = own_lines(done.stderr)
    assert line.startswith(f"framebus {words[0].decode()}: ")
    assert "\\udcff-camera" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "Unknown command"),
        (["list", "--nothing"], "--nothing"),
        (["relay", "pattern:gradient"], "SINK"),
        (["relay", "pattern:gradient", "x", "--fps", "fast"], "--fps"),
        (["run", "x", "--on-exit", "fly", "--", "true"], "--on-exit"),
        (["bench", "nothing"], "Unknown command"),
    ],
)
@pytest.mark.parametrize("env", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "10"}], ids=["", "narrow C"])
def test_mistake_in_the_arguments_is_told_in_one_line(words: list[str], said: str, env: dict[str, str]) -> None:
    done = run_command(*words, env=env)
    assert (done.returncode, done.stdout) == (2, b"")
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("framebus ")
    assert said.lower() in line.lower()
    assert line.endswith("--help")


@pytest.mark.parametrize("how", ["ignored", "blocked"])
def test_signals_that_a_command_inherits_do_not_change_how_it_ends(channel: str, tmp_path: Path, how: str) -> None:
    """A demo waits for its programs, whose status SIGCHLD decides about; SIGTERM comes although it was blocked."""
    prepare = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    if how == "blocked":
        prepare = "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})"
    start = f"import os, signal, sys; {prepare}; os.execv(sys.argv[1], sys.argv[1:])"
    words = [sys.executable, "-c", start, *FRAMEBUS, *words_of(ENDLESS["run"], channel, tmp_path)]
    with Started(*words) as process:
        assert process.stderr is not None
        assert "has been started" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.finish()[0] == 143
