# SPDX-License-Identifier: Apache-2.0
"""What every test may rely on.

`channel_name` is a valid name that no other test and no other run uses; a test that leaves a file of its channels
behind fails. A run that leaves anything in /dev/shm fails at its end, see leftovers.py. `--no-skips` makes every
skipped test a failed one, so that a run in CI cannot pass by testing nothing. What keeps tests apart that run side by
side is in side_by_side.py of tests/support.
"""

from __future__ import annotations

import gc
import os
import signal
import uuid
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.support import leftovers, side_by_side
from tests.support.leftovers import SHARED_MEMORY
from tests.support.names import fresh_name

FAULTS = (signal.SIGBUS, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails, with the reason for the skip")


_TURNS = pytest.StashKey[side_by_side.Turns]()


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background with SIGINT ignored, and so would every program of these tests be.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if side_by_side.is_worker(config):
        side_by_side.own_shared_memory()
        config.stash[_TURNS] = side_by_side.Turns()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if side_by_side.is_worker(config):
        side_by_side.arrange(items)


def pytest_collection_finish() -> None:
    """Leaves what is there before the first test, thousands of tests above all, out of later collections of garbage.

    They live until the end of the run. Without them gc.collect(), which many tests call, takes a tenth of the time.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the watchdog begins
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    turns = item.config.stash.get(_TURNS, None)
    with turns.of(item) if turns else nullcontext():
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What a test has to say though it has passed: record_property("says", ...). Workers have no terminal."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "says":
                terminalreporter.write_line(str(value))


def _fail_instead_of_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        report.outcome = "failed"
        report.longrepr = f"not allowed to skip under --no-skips: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--no-skips"):
        _fail_instead_of_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.config.getoption("--no-skips"):
        _fail_instead_of_skip(report)
    return report


def _files_left(name: str) -> list[Path]:
    # Also NAME and sem.NAMEMutex of a base image.
    return sorted(path for prefix in ("framebus.", "", "sem.") for path in SHARED_MEMORY.glob(f"{prefix}{name}*"))


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_in_shared_memory() -> Iterator[None]:
    """Set up before all other fixtures, so it looks when these are gone."""
    outer = os.environ.get(leftovers.MARK)
    os.environ[leftovers.MARK] = uuid.uuid4().hex
    before = leftovers.files()
    yield
    gc.collect()
    left = leftovers.left_since(before)
    if outer is None:
        del os.environ[leftovers.MARK]
    else:
        os.environ[leftovers.MARK] = outer
    assert not left, "this run of the tests has left files behind: " + "; ".join(left)


def _caught_faults() -> set[str]:
    """Returns the signals of faults that have a handler, which is native and unknown to Python's signal module."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt"))
    return {number.name for number in FAULTS if caught >> (number - 1) & 1}


@pytest.fixture(autouse=True)
def _no_handler_of_a_fault_is_lost() -> Iterator[None]:
    """A test that takes away the handler of SIGBUS or of faulthandler would let a later one die without a word."""
    before = _caught_faults()
    yield
    lost = before - _caught_faults()
    assert not lost, f"the test has removed the handlers of {', '.join(sorted(lost))}"


@pytest.fixture
def channel_name() -> Iterator[str]:
    """A name for a channel; a test that needs several appends to it ("{channel_name}-depth")."""
    name = fresh_name()
    yield name
    if _files_left(name):
        gc.collect()  # ends kept in reference cycles, as exceptions make them, close here
    left = _files_left(name)
    for path in left:
        path.unlink(missing_ok=True)
    assert not left, f"the test left files of its channel behind: {', '.join(map(str, left))}"
