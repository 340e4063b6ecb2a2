# SPDX-License-Identifier: Apache-2.0
"""SIGKILL between any two steps that touch shared memory, in every role; the others carry on with whole frames.

The role that dies is a C++ program built with named crash points (tests/crash/role.cpp); the survivors are this very
process with the ordinary build. Every byte of every frame is its sequence number, modulo 251.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.support.started import Started

import framebus
from framebus import _core

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds; a watchdog

# Steps that a publisher passes when a subscriber is there, taking over from one that closed.
TAKING_OVER = [
    "publisher:took_over", "mode:store_set", "mode:set", "open:epoch_moved", "open:state", "claim:marked",
    "claim:taken", "fill:half", "publish:described", "publish:filled", "publish:slot_word", "publish:directory",
    "publish:head", "publish:wake", "grow:made", "grow:copied", "grow:named", "grow:switched", "close:epoch",
    "close:state", "leave:unlocked",
]  # fmt: skip
# ... when its mode gives less than the last one's, so that the control block is replaced.
NARROWING = [
    "publisher:took_over", "mode:store_set", "open:state", "move:made", "move:linked", "move:named", "move:epoch",
    "move:left", "claim:marked", "grow:named", "grow:switched", "publish:head",
]  # fmt: skip
# ... when its files are removed: before the channel has its name again, and after that.
NAMELESS = ["recreate:made"]
AGAIN = ["recreate:named", "grow:made", "grow:named", "grow:switched", "recreate:complete", "move:epoch", "move:left"]
# ... when nobody else is there, so that it makes the channel and removes it.
ALONE = ["publisher:made", "open:state", "grow:named", "publish:head", "leave:all_locked", "leave:stores_removed"]
# ... when a subscriber that wants every frame does not fetch, or has been killed.
BLOCKED = ["block:space_wanted"]
REAPING = ["reap:locked", "wipe:bit_cleared", "reap:wiped"]
# Steps that a subscriber passes while others publish and fetch.
SUBSCRIBING = [
    "attach:locked", "wipe:bit_cleared", "attach:record_written", "attach:bit_set", "fetch:hold_written", "fetch:held",
    "fetch:cursor_moved", "read:half", "wait:bit_set", "wait:woken", "release:hold_cleared", "detach:wiped",
    "leave:unlocked", "recv:ending_read", "recv:nothing_found",
]  # fmt: skip
# Steps at which test_iteration_ends.py stops a reader; one that is killed there leaves nothing that others do not.
STOPPING = ["try_recv:nothing_found", "try_recv:ending_read"]
# ... when the publisher waits for it, and when it is the last one out.
AWAITED = ["release:space_changed", "read:half"]
LAST = ["leave:all_locked", "leave:stores_removed"]
ONCE = re.compile("^(publisher|open|mode|move|recreate|close|attach|detach|leave|wipe|reap|block):")


def cases(steps: list[str]) -> list[tuple[str, int]]:
    """Each step at its first and, where there are more, at a later time."""
    return [(step, n) for step in steps for n in ((1,) if ONCE.match(step) else (1, 2))]


def start(role: Path, what: str, name: str, frames: int, crash_at: str) -> Started:
    return Started(role, what, name, frames, env={"FRAMEBUS_CRASH_AT": crash_at})


def picture(seq: int, size: int = 5000) -> np.ndarray:
    return np.full(size, seq % 251, np.uint8)


def was_killed(program: Started) -> bool:
    """Waits for the end; the step was reached only if the program killed itself there."""
    status, _, errors = program.finish()
    assert errors == ""
    return status == -signal.SIGKILL


def control_mode(name: str) -> int:
    return Path(f"/dev/shm/framebus.{name}").stat().st_mode & 0o777


class Watcher:
    """A subscriber that checks what it gets: every byte, order, and, where it wants every frame, no gap."""

    def __init__(self, name: str, every: bool) -> None:
        self.sub = framebus.Subscriber(name, every=every, hold=2)
        self.every = every
        self.last = 0

    def drain(self) -> None:
        while (frame := self.sub.try_recv()) is not None:
            assert (frame.array == frame.seq % 251).all()
            assert frame.seq > self.last
            if self.every and self.last:
                assert frame.seq == self.last + 1
            self.last = frame.seq


def check_that_life_goes_on(name: str, watchers: list[Watcher]) -> None:
    """A next publisher takes over, everybody gets its frames whole, and nothing is left at the end."""
    for watcher in watchers:
        watcher.drain()
    with framebus.Publisher(name) as next_one:
        for _ in range(12):
            newest = max((watcher.last for watcher in watchers), default=0)
            seq = next_one.send(picture(newest + 1, 200_000)) if watchers else next_one.send(picture(0))
            if watchers:
                assert seq == newest + 1, "the sequence goes on where it stopped"
            for watcher in watchers:
                watcher.drain()
                assert watcher.last == seq
        with framebus.Subscriber(name) as late:
            assert late.recv(timeout=PATIENCE).seq == seq
        assert next_one.statistics().subscribers == len(watchers)
        assert next_one.statistics().held == 0
    for watcher in watchers:
        assert watcher.sub.statistics().dropped == 0
        watcher.sub.close()
    assert list(Path("/dev/shm").glob(f"framebus.{name}*")) == []


def watched(name: str, mode: int = 0o600) -> list[Watcher]:
    """A channel that was closed after three frames, with two subscribers still in it."""
    with framebus.Publisher(name, mode=mode) as first:
        first.send(picture(1))
        watchers = [Watcher(name, every=True), Watcher(name, every=False)]
        for seq in (2, 3):
            first.send(picture(seq))
            for watcher in watchers:
                watcher.drain()
    return watchers


@pytest.mark.parametrize(("step", "n"), cases(TAKING_OVER))
def test_publisher_killed_at_a_step_leaves_whole_frames_and_a_usable_channel(
    role: Path, channel_name: str, step: str, n: int
) -> None:
    watchers = watched(channel_name)
    program = start(role, "publish", channel_name, 40, f"{step}:{n}")
    while program.poll() is None:
        for watcher in watchers:
            watcher.drain()
    assert was_killed(program), f"{step} was never reached"
    check_that_life_goes_on(channel_name, watchers)


@pytest.mark.parametrize("step", NARROWING)  # once: before its second frame, as it waits for none of the old block
def test_publisher_killed_while_it_narrows_the_mode_leaves_a_channel_of_the_one_mode_or_the_other(
    role: Path, channel_name: str, step: str
) -> None:
    watchers = watched(channel_name, mode=0o666)
    program = start(role, "publish", channel_name, 40, f"{step}:1")
    while program.poll() is None:
        for watcher in watchers:
            watcher.drain()
    assert was_killed(program), f"{step} was never reached"
    assert control_mode(channel_name) in {0o666, 0o600}
    check_that_life_goes_on(channel_name, watchers)


@pytest.mark.parametrize("step", [step for step in NARROWING if step.startswith("move:")])
def test_nobody_left_and_doctor_removes_what_a_killed_narrowing_has_left(
    role: Path, channel_name: str, step: str
) -> None:
    for watcher in watched(channel_name, mode=0o666):
        watcher.sub.close()
    victim = start(role, "publish", channel_name, 40, "publish:head:3")  # leaves its files
    assert was_killed(victim)
    os.chmod(f"/dev/shm/framebus.{channel_name}", 0o666)
    assert was_killed(start(role, "publish", channel_name, 40, f"{step}:1")), f"{step} was never reached"
    _core.clean_channel(channel_name)
    assert list(Path("/dev/shm").glob(f"framebus.{channel_name}*")) == []


@pytest.mark.parametrize(("step", "n"), cases(AGAIN))
def test_publisher_killed_while_it_makes_removed_files_again_leaves_a_channel_that_goes_on(
    role: Path, channel_name: str, step: str, n: int
) -> None:
    watchers = watched(channel_name)
    second = "2" if step.startswith("grow:") else str(n)  # the first growth is that of the first frame
    program = start(role, "lose", channel_name, 200, f"{step}:{second}")
    while program.poll() is None:
        for watcher in watchers:
            watcher.drain()
    assert was_killed(program), f"{step} was never reached"
    check_that_life_goes_on(channel_name, watchers)


@pytest.mark.parametrize("step", NAMELESS)
def test_publisher_killed_before_its_removed_files_are_there_again_leaves_a_free_name(
    role: Path, channel_name: str, step: str
) -> None:
    watchers = watched(channel_name)
    program = start(role, "lose", channel_name, 200, f"{step}:1")
    while program.poll() is None:
        for watcher in watchers:
            watcher.drain()
    assert was_killed(program), f"{step} was never reached"
    for watcher in watchers:
        watcher.drain()  # what came between the last look and the death
    with framebus.Publisher(channel_name) as next_one:
        for watcher in watchers:
            with pytest.raises(framebus.Timeout):  # comes to the new channel meanwhile
                watcher.sub.recv(timeout=1.0)
        assert next_one.send(picture(1)) == 1
        for watcher in watchers:
            assert watcher.sub.recv(PATIENCE).seq == 1
            watcher.sub.close()
    assert list(Path("/dev/shm").glob(f"framebus.{channel_name}*")) == []


@pytest.mark.parametrize(("step", "n"), cases(ALONE))
def test_publisher_killed_alone_leaves_nothing_that_the_next_one_does_not_clean_up(
    role: Path, channel_name: str, step: str, n: int
) -> None:
    assert was_killed(start(role, "publish", channel_name, 40, f"{step}:{n}")), f"{step} was never reached"
    check_that_life_goes_on(channel_name, [])


@pytest.mark.parametrize(("step", "n"), cases(BLOCKED))
def test_publisher_killed_while_it_waits_for_a_subscriber(role: Path, channel_name: str, step: str, n: int) -> None:
    watchers = watched(channel_name)
    assert was_killed(start(role, "publish", channel_name, 40, f"{step}:{n}")), f"{step} was never reached"
    check_that_life_goes_on(channel_name, watchers)


@pytest.mark.parametrize(("step", "n"), cases(REAPING))
def test_publisher_killed_while_it_clears_up_after_a_dead_subscriber(
    role: Path, channel_name: str, step: str, n: int
) -> None:
    watchers = watched(channel_name)
    with framebus.Publisher(channel_name) as pub:
        victim = start(role, "subscribe", channel_name, 10, "read:half:1")
        while pub.statistics().subscribers < 3:
            assert victim.poll() is None
        pub.send(picture(watchers[0].last + 1))  # one frame only: this publisher must not need to clear up itself
        assert was_killed(victim)
    program = start(role, "publish", channel_name, 40, f"{step}:{n}")
    while program.poll() is None:
        for watcher in watchers:
            watcher.drain()
    assert was_killed(program), f"{step} was never reached"
    check_that_life_goes_on(channel_name, watchers)


def sent_while_alive(pub: framebus.Publisher, program: Started, watcher: Watcher, pause: float) -> Iterator[int]:
    while program.poll() is None:
        yield pub.send(picture(watcher.last + 1), timeout=PATIENCE)
        watcher.drain()
        time.sleep(pause)  # not to wait for anything: so that the subscriber also gets to sleep


@pytest.mark.parametrize(("step", "n"), cases(SUBSCRIBING))
def test_subscriber_killed_at_a_step_holds_nobody_up(role: Path, channel_name: str, step: str, n: int) -> None:
    with framebus.Publisher(channel_name, slots=4, on_full="block") as pub:
        pub.send(picture(1))
        watcher = Watcher(channel_name, every=True)
        watcher.last = 1
        program = start(role, "subscribe", channel_name, 30, f"{step}:{n}")
        assert program.stdin is not None
        program.stdin.close()
        program.stdin = None
        for _ in sent_while_alive(pub, program, watcher, 0.001):
            pass
        assert was_killed(program), f"{step} was never reached"
        for _ in range(30):
            pub.send(picture(watcher.last + 1), timeout=PATIENCE)
            watcher.drain()
        assert pub.statistics().subscribers == 1
        assert pub.statistics().held == 0
    check_that_life_goes_on(channel_name, [watcher])


@pytest.mark.parametrize(("step", "n"), cases(AWAITED))
def test_subscriber_killed_while_the_publisher_waits_for_it_lets_the_publisher_go_on(
    role: Path, channel_name: str, step: str, n: int
) -> None:
    with framebus.Publisher(channel_name, slots=2, on_full="block") as pub:
        program = start(role, "subscribe", channel_name, 10_000, f"{step}:{n}")
        seq = 0
        while program.poll() is None:
            seq = pub.send(picture(seq + 1), timeout=PATIENCE)
        assert was_killed(program), f"{step} was never reached"
        for _ in range(10):
            seq = pub.send(picture(seq + 1), timeout=PATIENCE)
        assert pub.statistics().subscribers == 0
    check_that_life_goes_on(channel_name, [])


@pytest.mark.parametrize(("step", "n"), cases(LAST))
def test_subscriber_killed_as_the_last_one_out_leaves_nothing_that_the_next_one_does_not_clean_up(
    role: Path, channel_name: str, step: str, n: int
) -> None:
    with framebus.Publisher(channel_name) as pub:
        program = start(role, "subscribe", channel_name, 1, f"{step}:{n}")
        assert program.stdout is not None
        while pub.statistics().subscribers == 0:
            assert program.poll() is None
        pub.send(picture(1))
        assert program.stdout.readline() == "done\n"
    assert was_killed(program), f"{step} was never reached"
    check_that_life_goes_on(channel_name, [])


def test_every_step_of_the_core_is_walked() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "include/framebus").rglob("*.hpp"))
    steps = set(re.findall(r'FRAMEBUS_STEP\("([^"]+)"\)', text)) | {"fill:half", "read:half"}
    assert len(steps) > 30
    assert steps == {
        *TAKING_OVER,
        *NARROWING,
        *NAMELESS,
        *AGAIN,
        *ALONE,
        *BLOCKED,
        *REAPING,
        *SUBSCRIBING,
        *STOPPING,
        *AWAITED,
        *LAST,
    }
