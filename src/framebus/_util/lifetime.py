# SPDX-License-Identifier: Apache-2.0
"""The one registry of functions that run when a process exits, and when it forks.

Promise: the functions of at_exit() run once when a process that has opened something exits normally, after its threads,
the last registered first. A forked child can use framebus at once: no lock of framebus is held in it, and no module of
framebus is half imported.

The exit. A program runs these functions by atexit. A child of multiprocessing ends by os._exit(), which skips atexit; a
finalizer of multiprocessing runs them there. Such finalizers run before the child's other threads have ended. If the
child has other threads, the finalizer therefore starts a thread that joins them and then runs the functions.

The fork. A child has only the thread that forked. A lock that another thread held stays locked, and a module that
another thread was importing stays half imported, since CPython resets only its global import lock. So:

- Late imports hold `importing`, and a fork waits for it. The fork has to take it before the locks of logging and
  concurrent.futures, which an import may need. Fork handlers run last registered first, so the first late import loads
  these two modules and then registers the handler of `importing` again. Other locks could still block both; so a fork
  stops waiting if the import adds no module for _STALLED_S seconds.
- make_locks_of(): locks that belong to an object are made anew in the child. This comes before all that follows.
- hold_across_forks(): the fork waits until a module's lock is free.
- forget_in_children(): the child closes what only the parent may use, such as file locks and connections to peers.
- keep_in_children(): the child never frees an object with native threads, such as a codec. Freeing joins the threads,
  and the child does not have them. The child's garbage collector leaves alone what the fork found (gc.freeze()), since
  cycles may hold what the codec has made, and freeing that takes locks of those threads.

No other file of framebus registers anything with atexit or for forks (tests/unit/test_lifetime.py).
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol, TypeVar

Step = TypeVar("Step", bound=Callable[[], object])

_STALLED_S = 2.0  # one extension module from a cold disk may take more than a second
_FORK_WAITS_S = 60.0

_at_exit: list[Callable[[], object]] = []
_before_os_exit: list[Callable[[], object]] = []
_locked: weakref.WeakSet[_Locked] = weakref.WeakSet()
_forgotten: weakref.WeakSet[_Forgotten] = weakref.WeakSet()
_kept: weakref.WeakSet[Any] = weakref.WeakSet()
_held: list[threading.Lock] = []  # across every fork
_forking: set[int] = set()  # threads that fork and have `importing`
_exit_handler_in = _finalizer_in = 0  # the process that has it; 0: none


def at_exit(step: Step) -> Step:
    """A decorator: `step` runs when a process that has opened something ends normally."""
    _at_exit.append(step)
    return step


def at_exit_before_libraries(step: Step) -> Step:
    """A decorator: `step` runs before those of at_exit(), and before exit handlers of what was imported so far."""
    atexit.register(step)
    return step


def before_os_exit(step: Step) -> Step:
    """A decorator: `step` runs after all those of at_exit(), where the C library's exit handlers will not."""
    _before_os_exit.append(step)
    return step


class _Importing:
    """The lock that late imports hold, as a context manager; one import may lead to another."""

    def __init__(self) -> None:
        self._registered = False
        self.make_lock()

    def make_lock(self) -> None:
        """Makes it anew, in a forked child."""
        self.lock = threading.RLock()

    def __enter__(self) -> None:
        self.lock.acquire()
        try:
            if not self._registered:
                importlib.import_module("logging")
                importlib.import_module("concurrent.futures.thread")

                os.register_at_fork(before=_before_fork)
                self._registered = True
        except BaseException:
            self.lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class _Locked(Protocol):
    def _make_locks(self) -> None:
        """Makes new locks."""


def make_locks_of(owner: _Locked) -> None:
    """Has an object make its locks, now and in each forked child before fork() returns, as long as it lives."""
    owner._make_locks()
    _locked.add(owner)


class _Forgotten(Protocol):
    def forget(self) -> None:
        """Lets go of what is the parent's, in a forked child. May be called after it was closed."""


def forget_in_children(owner: _Forgotten) -> None:
    """Has each forked child call owner.forget() before fork() returns, as long as the object lives."""
    _forgotten.add(owner)


def hold_across_forks(lock: threading.Lock) -> None:
    """Has each fork wait until no thread holds `lock`, so that a child finds whole what it protects."""
    _held.append(lock)
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release)


def keep_in_children(owner: object) -> None:
    """Has a forked child never free an object, nor what it refers to, not even when the child ends."""
    _kept.add(owner)


def something_is_open() -> None:
    """Makes this process run the steps of at_exit(). Everything that opens what has to be closed calls it."""
    global _exit_handler_in, _finalizer_in
    pid = os.getpid()
    if _exit_handler_in != pid:  # a forked child, whose handlers multiprocessing may have removed
        _exit_handler_in = pid
        atexit.unregister(_run_handlers)
        atexit.register(_run_handlers)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and _finalizer_in != pid and process.parent_process() is not None:
        _begin_child_of_multiprocessing()


def _begin_child_of_multiprocessing(_: object = None) -> None:
    global _finalizer_in
    from multiprocessing import util

    _finalizer_in = os.getpid()
    util.Finalize(None, _end_child_of_multiprocessing, exitpriority=0)


def _end_child_of_multiprocessing() -> None:
    me = threading.current_thread()
    others = [thread for thread in threading.enumerate() if thread is not me and not thread.daemon]
    if others:
        threading.Thread(target=_end_after, args=(others,), name="framebus exit", daemon=False).start()
    else:
        _end_before_os_exit()


def _end_after(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()
    _end_before_os_exit()


def _end_before_os_exit() -> None:
    _run_handlers()
    _run(_before_os_exit)


def _run_handlers() -> None:
    _run(_at_exit)


def _run(steps: list[Callable[[], object]]) -> None:
    with ExitStack() as stack:  # the last one first, and all of them, also where one fails
        for step in steps:
            stack.callback(step)


def _before_fork() -> None:
    if threading.get_ident() in _forking:
        return
    deadline = time.monotonic() + _FORK_WAITS_S
    known = len(sys.modules)
    while not importing.lock.acquire(timeout=_STALLED_S):
        if len(sys.modules) == known or time.monotonic() > deadline:
            return  # what is half imported stays so in the child; the alternative is to wait without end
        known = len(sys.modules)
    _forking.add(threading.get_ident())


def _after_fork_in_parent() -> None:
    if threading.get_ident() in _forking:
        _forking.discard(threading.get_ident())
        importing.lock.release()


def _begin_forked_child() -> None:
    importing.make_lock()
    _forking.clear()
    for lock in _held:
        lock.release()
    for owner in list(_locked):
        owner._make_locks()
    _run([inherited.forget for inherited in _forgotten])
    _forgotten.clear()
    kept = list(_kept)
    for owner in kept:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))
    if kept:
        gc.freeze()


importing = _Importing()
_exit_handler_in = os.getpid()
atexit.register(_run_handlers)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_begin_forked_child)
if "multiprocessing.util" in sys.modules:
    # Children of the fork server, and what is unpickled before multiprocessing begins a child.
    sys.modules["multiprocessing.util"].register_after_fork(sys.modules[__name__], _begin_child_of_multiprocessing)
