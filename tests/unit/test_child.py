# SPDX-License-Identifier: Apache-2.0
"""Programs that this process starts (_util/child.py), and the lines of JSON that they write (_util/json_lines.py)."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.waiting import WATCHDOG_S

from framebus._util.child import Child, fate, wait
from framebus._util.json_lines import JsonLines


class Python(Child):
    """An interpreter that runs some code."""

    def __init__(self, code: str) -> None:
        super().__init__([sys.executable, "-c", f"import json, os, signal, sys\n{code}"])

    def tell(self, line: bytes) -> None:
        self._write(line)

    def answer(self) -> dict[str, object] | None:
        return self._read(WATCHDOG_S)

    def stop(self, seconds: float = WATCHDOG_S, *signals: signal.Signals) -> None:
        self._stop(seconds, *signals)

    def wait(self) -> int | None:
        return wait(self._process, WATCHDOG_S)


ECHO = "for line in sys.stdin: print(json.dumps({'got': line}), flush=True)"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); signal.pause()"


def test_a_program_answers_commands_and_ends_when_its_input_does() -> None:
    child = Python(ECHO)
    child.tell(b"one")
    assert child.answer() == {"got": "one\n"}
    child.stop()
    assert child.status == 0
    child.stop()


def test_a_program_that_does_not_end_is_killed_and_reaped() -> None:
    child = Python(DEAF)
    assert child.answer() == {}
    child.stop(0.0, signal.SIGTERM)
    assert child.status == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_a_program_that_ends_by_the_signal_it_is_sent_is_not_killed() -> None:
    child = Python("print('{}', flush=True); signal.pause()")
    assert child.answer() == {}
    child.stop(WATCHDOG_S, signal.SIGTERM)
    assert child.status == -signal.SIGTERM


def test_errors_are_read_while_the_program_writes_more() -> None:
    child = Python("for line in sys.stdin: os.write(2, line.encode()); print('{}', flush=True)")
    for line in (b"one", b"two"):
        child.tell(line)
        assert child.answer() == {}
        assert child.errors().splitlines()[-1] == line.decode()
    assert child.errors() == "one\ntwo\n"
    child.stop()


def test_the_end_of_the_output_is_none_and_the_status_is_that_of_the_program() -> None:
    child = Python("sys.exit(7)")
    assert child.answer() is None
    assert child.wait() == 7
    child.stop()


def test_a_program_that_can_not_be_started_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Child([str(tmp_path / "nothing")])
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "ended with status 0"),
        (3, "ended with status 3"),
        (-signal.SIGTERM, "was ended by SIGTERM"),
        (-(signal.SIGRTMIN + 1), f"was ended by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_a_status_is_said_in_words(status: int, text: str) -> None:
    assert fate(status) == text


# Lines


@pytest.fixture
def pipe() -> Iterator[tuple[JsonLines, int]]:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as file:
        yield JsonLines(file), writing
        os.close(writing)


def test_a_line_may_come_in_pieces_and_several_at_once(pipe: tuple[JsonLines, int]) -> None:
    lines, writing = pipe
    os.write(writing, b'{"a": ')
    with pytest.raises(TimeoutError, match="no line came within 0 s"):
        lines.read(0)
    os.write(writing, b'1}\n{"b": 2}\n{"c"')
    assert lines.read(WATCHDOG_S) == {"a": 1}
    assert lines.read(0) == {"b": 2}
    with pytest.raises(TimeoutError):
        lines.read(0.001)


def test_an_end_within_a_line_is_an_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"a": 1}\n{"b"')
    os.close(writing)
    with open(reading, "rb", buffering=0) as file:
        lines = JsonLines(file)
        assert lines.read() == {"a": 1}
        assert lines.read() is None
        assert lines.read(0) is None


def test_what_is_not_json_is_refused(pipe: tuple[JsonLines, int]) -> None:
    lines, writing = pipe
    os.write(writing, b"hello\n")
    with pytest.raises(ValueError, match="Expecting value"):
        lines.read(WATCHDOG_S)


def test_a_program_with_more_than_1024_descriptors_reads_lines() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip(f"needs 2048 descriptors, the limit is {hard}; run: ulimit -Hn 2048")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    reading, writing = os.pipe()
    os.dup2(reading, 1500)
    os.close(reading)
    try:
        os.write(writing, b'{"a": 1}\n')
        with open(1500, "rb", buffering=0) as file:
            assert JsonLines(file).read(WATCHDOG_S) == {"a": 1}
    finally:
        os.close(writing)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
