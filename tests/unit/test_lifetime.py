# SPDX-License-Identifier: Apache-2.0
"""What happens when a process forks (_util/lifetime.py), to objects that say so; and that no other file sees to that.

The end of a process is in tests/multiprocess/test_leaving_at_exit.py, forks while threads import or work in
tests/multiprocess/test_fork_while_threads_work.py.
"""

from __future__ import annotations

import gc
import os
import re
import threading

import pytest
from tests.support.forking import in_forked_child
from tests.support.paths import ROOT

from framebus._util import lifetime

REGISTERS = re.compile(
    r"\batexit\.(?!_run_exitfuncs\b)\w+|\bregister_at_fork\b|\bregister_after_fork\b|\butil\.Finalize\b"
)


class Inherited:
    """Something that only this process may use."""

    def __init__(self) -> None:
        self.forgotten_by: list[int] = []
        lifetime.forget_in_children(self)

    def forget(self) -> None:
        self.forgotten_by.append(os.getpid())


def test_a_child_forgets_what_is_its_parents_before_fork_returns_and_the_parent_does_not() -> None:
    one, other = Inherited(), Inherited()
    found = in_forked_child(lambda: [thing.forgotten_by == [os.getpid()] for thing in (one, other)])
    assert found == {"value": [True, True]}
    assert (one.forgotten_by, other.forgotten_by) == ([], [])


def test_a_child_of_a_child_forgets_nothing_twice() -> None:
    inherited = Inherited()
    found = in_forked_child(lambda: in_forked_child(lambda: len(inherited.forgotten_by)))
    assert found == {"value": {"value": 1}}


def test_what_can_not_be_forgotten_keeps_nothing_else_from_it(recwarn: pytest.WarningsRecorder) -> None:  # noqa: ARG001
    class Broken(Inherited):
        def forget(self) -> None:
            super().forget()
            raise OSError("gone")

    things = [Broken(), Inherited(), Broken()]
    assert in_forked_child(lambda: [len(thing.forgotten_by) for thing in things]) == {"value": [1, 1, 1]}


class Freed:
    """Says which process has freed it."""

    def __init__(self, freed_in: list[int]) -> None:
        self.freed_in = freed_in

    def __del__(self) -> None:
        self.freed_in.append(os.getpid())


def test_a_child_frees_neither_what_is_kept_nor_the_cycles_that_the_fork_found() -> None:
    """A cycle may hold a picture, and freeing one takes a lock that a thread of the codec may have held."""

    class Codec(Freed):
        pass

    freed_in: list[int] = []

    def use_and_end() -> list[int]:
        nonlocal codec
        del codec
        gc.collect()
        return freed_in

    gc.collect()
    gc.disable()
    try:
        codec = Codec(freed_in)
        lifetime.keep_in_children(codec)
        cycle: list[object] = [Freed(freed_in)]
        cycle.append(cycle)
        del cycle
        assert in_forked_child(use_and_end) == {"value": []}
        del codec
        gc.collect()
        assert freed_in == [os.getpid()] * 2
    finally:
        gc.enable()


def test_a_fork_waits_for_a_lock_that_is_held_across_it_and_both_have_it_back() -> None:
    lock = threading.Lock()
    lifetime.hold_across_forks(lock)
    inside, leave = threading.Event(), threading.Event()
    steps = []

    def work() -> None:
        with lock:
            inside.set()
            leave.wait()
            steps.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    timer = threading.Timer(0.1, leave.set)  # the fork waits meanwhile
    timer.start()
    assert in_forked_child(lambda: [steps, lock.acquire(blocking=False)]) == {"value": [["done"], True]}
    assert lock.acquire(blocking=False)
    lock.release()
    thread.join()
    timer.join()


def test_what_a_child_forgets_may_need_a_lock_that_is_held_across_the_fork() -> None:
    lock = threading.Lock()
    lifetime.hold_across_forks(lock)

    class Locked(Inherited):
        def forget(self) -> None:
            if lock.acquire(timeout=5.0):
                lock.release()
                super().forget()

    thing = Locked()
    assert in_forked_child(lambda: len(thing.forgotten_by)) == {"value": 1}


@pytest.mark.repository
def test_no_other_file_registers_anything_with_atexit_or_for_forks() -> None:
    package = ROOT / "src/framebus"
    found = {
        str(path.relative_to(package)): REGISTERS.findall(path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    }
    assert found.pop("_util/lifetime.py"), "the place itself registers nothing: the test looks for the wrong thing"
    assert {path: calls for path, calls in found.items() if calls} == {}
