# SPDX-License-Identifier: Apache-2.0
"""What has held under load must go on holding: counts to the last frame, nothing torn, nothing that grows.

Sizes are those of a few seconds; FRAMEBUS_FULL_LOAD=1 takes the full ones, which take minutes. Where two numbers are
compared for growth, they are from the middle and the end of the same run, after everything has been used once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.bus import message_bus, needs_bus
from tests.support.desktop import display
from tests.support.run_forked import run_forked
from tests.support.started import Started

import framebus

FULL = os.environ.get("FRAMEBUS_FULL_LOAD") == "1"
HANDLER = Path(__file__).parent / "programs/closed_by_handler.py"
WATCHDOG_S = 100.0
pytestmark = pytest.mark.timeout(7200 if FULL else 120)


def full(size: int, small: int) -> int:
    return size if FULL else small


def resources() -> dict[str, int]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": int(status["Threads"]),
        "mappings": Path("/proc/self/maps").read_text().count("/dev/shm/framebus."),
        "kB": int(status["RssAnon"].split()[0]),
    }


def assert_flat(middle: dict[str, int], end: dict[str, int]) -> None:
    assert end["kB"] - middle["kB"] < 4096, f"{middle} has become {end}"
    assert {**end, "kB": 0} == {**middle, "kB": 0}


READER = """
import sys, framebus
sys.path.insert(0, sys.argv[3])
from test_kept_under_load import resources, assert_flat
count = int(sys.argv[2])
with framebus.Subscriber(sys.argv[1], every=True, connect_timeout=60) as sub:
    print("ready", flush=True)
    for number in range(1, count + 1):
        frame = sub.recv(60)
        assert (frame.seq, frame.meta, frame.array[0]) == (number, {"n": number, "name": "x"}, number % 251)
        if number == count // 2:
            middle = resources()
    assert_flat(middle, resources())
    found = sub.statistics()
    assert (found.frames, found.missed, found.dropped) == (count, 0, 0), found
print("all", flush=True)
"""


def test_every_frame_with_its_metadata_reaches_another_program_and_nothing_grows(channel_name: str) -> None:
    count = full(1_000_000, 20_000)
    with framebus.Publisher(channel_name, on_full="block") as pub:
        with Started(sys.executable, "-c", READER, channel_name, count, HANDLER.parents[1]) as reader:
            assert reader.line() == "ready"
            middle: dict[str, int] = {}
            for number in range(1, count + 1):
                pub.send(np.full(64, number % 251, np.uint8), meta={"n": number, "name": "x"}, timeout=WATCHDOG_S)
                if number == count // 2:
                    middle = resources()
            assert_flat(middle, resources())
            assert reader.output() == "all\n"
        assert pub.statistics().dropped == 0


def test_fifty_threads_on_one_publisher_and_one_subscriber_lose_nothing(channel_name: str) -> None:
    senders, each = 25, full(2_000, 100)
    taken: list[list[int]] = [[] for _ in range(25)]
    with framebus.Publisher(channel_name, on_full="block") as pub:
        with framebus.Subscriber(channel_name, every=True, hold=60) as sub:

            def send(which: int) -> None:
                for number in range(each):
                    pub.send(np.array([which * each + number]), timeout=WATCHDOG_S)

            def take(into: list[int]) -> None:
                into.extend(int(frame.array[0]) for frame in sub)

            takers = [threading.Thread(target=take, args=(into,)) for into in taken]
            sending = [threading.Thread(target=send, args=(which,)) for which in range(senders)]
            for thread in (*takers, *sending):
                thread.start()
            for thread in sending:
                thread.join()
            pub.close()
            for thread in takers:
                thread.join()
    assert sorted(number for into in taken for number in into) == list(range(senders * each))


def test_tasks_of_two_loops_that_are_cancelled_over_and_over_lose_nothing(channel_name: str) -> None:
    count, tasks = full(20_000, 1_000), 100
    got: list[list[int]] = [[], []]
    cancelled = [0, 0]
    done = threading.Event()

    async def receive(sub: framebus.Subscriber, into: list[int]) -> None:
        while True:
            into.append((await sub.recv_async()).seq)

    async def loop_of(which: int, sub: framebus.Subscriber) -> None:
        running = [asyncio.ensure_future(receive(sub, got[which])) for _ in range(tasks)]
        turn = 0
        while not done.is_set():
            await asyncio.sleep(0.002)
            turn = (turn + 7) % tasks
            running[turn].cancel()
            cancelled[which] += 1
            await asyncio.gather(running[turn], return_exceptions=True)
            running[turn] = asyncio.ensure_future(receive(sub, got[which]))
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    with framebus.Publisher(channel_name, on_full="block") as pub:
        with framebus.Subscriber(channel_name, every=True, hold=8) as sub:
            loops = [threading.Thread(target=lambda n=n: asyncio.run(loop_of(n, sub))) for n in range(2)]
            for thread in loops:
                thread.start()
            for number in range(count):
                pub.send(np.array([number]), timeout=WATCHDOG_S)
            while sub.statistics().pending:
                done.wait(0.01)
            done.set()
            for thread in loops:
                thread.join()
    assert sorted(got[0] + got[1]) == list(range(1, count + 1))
    assert min(cancelled) > 0


def test_frames_of_any_size_reach_three_readers_whole(channel_name: str) -> None:
    count, most = full(200_000, 1_500), full(50_000_000, 2_000_000)
    random = np.random.default_rng(5)
    sizes = np.exp(random.uniform(0, np.log(most) * (0.55 if FULL else 0.8), count)).astype(np.int64)
    sizes[[count // 3, count // 2]] = most
    wrong: list[Any] = []
    seen = [0, 0, 0]

    def check(which: int, sub: framebus.Subscriber) -> None:
        for frame in sub:
            number, array = frame.meta["n"], frame.array
            good = array.size == sizes[number] and int(array.min()) == int(array.max()) == number % 251
            seen[which] += 1
            if not good:
                wrong.append((which, number, array.size))

    with framebus.Publisher(channel_name, on_full="block") as pub:
        subs = [framebus.Subscriber(channel_name, every=which == 0) for which in range(3)]
        threads = [threading.Thread(target=check, args=pair) for pair in enumerate(subs)]
        for thread in threads:
            thread.start()
        for number in range(count):
            image = np.full(sizes[number], number % 251, np.uint8)
            pub.send(image, meta={"n": number}, timeout=WATCHDOG_S)
        pub.close()
        for thread in threads:
            thread.join()
        for sub in subs:
            sub.close()
    assert not wrong
    assert seen[0] == count
    assert min(seen) > 0


def test_coming_and_going_leaves_nothing_behind(channel_name: str) -> None:
    count = full(10_000, 600)
    middle: dict[str, int] = {}
    with framebus.Publisher(channel_name) as pub:
        for number in range(count):
            with framebus.Subscriber(channel_name) as sub:
                pub.send(np.array([number]))
                assert sub.recv(WATCHDOG_S).array[0] == number
                if number % 3 == 0:
                    sub.fileno()
            if number == count // 2:
                gc.collect()
                middle = resources()
        gc.collect()
        assert_flat(middle, resources())
        assert pub.statistics().subscribers == 0


@pytest.fixture
def surroundings(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a kind of end needs around it: the variable for a display or a bus of its own."""
    if request.param == "clipboard":
        if not shutil.which("Xvfb"):
            pytest.skip("Xvfb is missing: apt-get install --no-install-recommends xvfb")
        with display() as name:
            yield {"DISPLAY": name}
    elif request.param == "dde":
        with message_bus() as bus:
            yield {"DBUS_SESSION_BUS_ADDRESS": bus.address}
    else:
        yield {}


KINDS = (
    "shm", "pipe", "baseimage", "clipboard", "dde", "images", "ipc", "mailslot", "msg", "pattern", "tcp", "video",
    "shm sink", "pipe sink", "ipc sink", "msg sink", "tcp sink",
)  # fmt: skip
# A camera needs a device. Sinks that are not tried never wait: a file takes what comes, mailslot: and dde: drop it.
WITHOUT_A_WAIT = {"camera"}


@pytest.mark.parametrize(
    ("kind", "surroundings"),
    [pytest.param(kind, kind, marks=needs_bus if kind == "dde" else ()) for kind in KINDS],
    indirect=["surroundings"],
)
def test_a_signal_handler_may_close_the_end_that_it_has_interrupted(
    channel_name: str, kind: str, surroundings: dict[str, str]
) -> None:
    done = run_forked(("-W", "error"), [str(HANDLER), kind, channel_name], surroundings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "ChannelClosed True\n"


def test_signal_handlers_are_tried_with_every_endpoint_that_waits() -> None:
    schemes = {info.scheme for info in framebus.endpoints() if info.source is not None}
    assert schemes == {kind for kind in KINDS if " " not in kind} | WITHOUT_A_WAIT


def test_finalizers_may_call_the_ends_that_are_in_use(channel_name: str) -> None:
    rounds = full(65_880, 3_000)
    called = [0]
    with framebus.Publisher(channel_name) as pub, framebus.Subscriber(channel_name) as sub:

        class Cycle:
            """Its finalizer runs wherever the collector happens to run, also within a call of an end."""

            def __init__(self) -> None:
                self.me = self

            def __del__(self) -> None:
                called[0] += 1
                sub.statistics()
                pub.statistics()
                sub.try_recv()
                pub.send(np.array([1]))

        before = gc.get_threshold()
        gc.set_threshold(20, 2, 2)
        try:
            for number in range(rounds):
                Cycle()
                pub.send(np.array([number]), meta={"n": [number]})
                sub.try_recv()
                sub.statistics()
        finally:
            gc.set_threshold(*before)
        gc.collect()
        assert called[0] == rounds
        assert pub.statistics().frames == 2 * rounds
