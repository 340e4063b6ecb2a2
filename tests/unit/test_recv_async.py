# SPDX-License-Identifier: Apache-2.0
"""Awaiting frames: cancellation, several tasks, several loops, and that nothing is left behind. asyncio and trio."""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sniffio
import trio
from tests.support.descriptors import eventfds
from tests.support.loops import PICTURE, readers_of, sending

import framebus

RUN: dict[str, Callable[[Callable[[], Awaitable[Any]]], Any]] = {
    "asyncio": lambda function: asyncio.run(function()),  # type: ignore[arg-type]
    "trio": lambda function: trio.run(function),
}


SLEEP: dict[str, Callable[[float], Awaitable[None]]] = {"asyncio": asyncio.sleep, "trio": trio.sleep}


async def together(*functions: Callable[[], Awaitable[None]]) -> None:
    if sniffio.current_async_library() == "trio":
        async with trio.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(function)
    else:
        await asyncio.gather(*(function() for function in functions))


@pytest.fixture(params=list(RUN))
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[Any]]], Any]:
    return RUN[request.param]


def test_every_frame_arrives_once(channel_name: str, run: Callable[..., Any]) -> None:
    async def receive() -> list[int]:
        numbers = []
        for _ in range(300):
            with await subscriber.recv_async() as frame:
                numbers.append(frame.seq)
        return numbers

    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name, every=True) as subscriber, sending(publisher, 300):
            assert run(receive) == list(range(1, 301))


def test_iteration_ends_with_the_channel(channel_name: str, run: Callable[..., Any]) -> None:
    async def receive() -> list[int]:
        numbers = []
        async for frame in subscriber:
            numbers.append(frame.seq)
            frame.release()
        return numbers

    for reconnect in (True, False):
        publisher = framebus.Publisher(channel_name, on_full="block")
        with framebus.Subscriber(channel_name, every=True, reconnect=reconnect) as subscriber:
            thread = threading.Thread(target=lambda p=publisher: ([p.send(PICTURE) for _ in range(100)], p.close()))
            thread.start()
            assert run(receive) == list(range(1, 101))
            thread.join()


def test_errors_are_those_of_recv(channel_name: str, run: Callable[..., Any]) -> None:
    async def too_late(timeout: float) -> str:
        with pytest.raises(framebus.Timeout) as caught:
            await subscriber.recv_async(timeout)
        return str(caught.value)

    async def until_closed() -> None:
        with pytest.raises(framebus.ChannelClosed, match="closed the channel"):
            await subscriber.recv_async()

    async def wrong() -> None:
        with pytest.raises(ValueError, match="timeout"):
            await subscriber.recv_async(-1)

    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name, reconnect=False) as subscriber:
        run(wrong)
        for timeout in (0, 0.05):
            with pytest.raises(framebus.Timeout) as caught:
                subscriber.recv(timeout)
            assert run(lambda timeout=timeout: too_late(timeout)) == str(caught.value)
        closing = threading.Timer(0.05, publisher.close)
        closing.start()
        run(until_closed)
        closing.join()


def test_closing_the_subscriber_ends_the_wait(channel_name: str, run: Callable[..., Any]) -> None:
    async def receive() -> None:
        with pytest.raises(framebus.ChannelClosed, match="is closed"):
            await subscriber.recv_async()

    with framebus.Publisher(channel_name), framebus.Subscriber(channel_name) as subscriber:
        closing = threading.Timer(0.05, subscriber.close)
        closing.start()
        run(receive)
        closing.join()


def test_several_tasks_share_the_frames_and_none_hangs(channel_name: str, run: Callable[..., Any]) -> None:
    numbers: list[int] = []

    async def one_task() -> None:
        with contextlib.suppress(framebus.ChannelClosed):
            while True:
                with await subscriber.recv_async() as frame:
                    numbers.append(frame.seq)
                    if frame.seq == 400:
                        subscriber.close()

    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name, every=True, hold=8) as subscriber, sending(publisher, 400):
            run(lambda: together(*[one_task] * 5))
    assert sorted(numbers) == list(range(1, 401))


def test_tasks_that_share_a_subscriber_take_turns(channel_name: str) -> None:
    got: list[int] = []

    async def one_task(number: int) -> None:
        while True:
            (await subscriber.recv_async()).release()
            got.append(number)

    async def send_one_by_one() -> None:
        tasks = [asyncio.create_task(one_task(number)) for number in range(3)]
        for sent in range(1, 10):
            await asyncio.sleep(0)
            publisher.send(PICTURE)
            while len(got) < sent:
                await asyncio.sleep(0)
        for task in tasks:
            task.cancel()

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        asyncio.run(send_one_by_one())
    assert got == [0, 1, 2] * 3


def test_tasks_cancelled_at_random_moments_lose_no_frame(channel_name: str) -> None:
    numbers: list[int] = []
    chance = random.Random(7)

    async def one_task() -> None:
        while True:
            with await subscriber.recv_async() as frame:
                numbers.append(frame.seq)

    async def cancel_again_and_again() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(600):
            tasks = [asyncio.create_task(one_task()) for _ in range(chance.choice((1, 1, 2)))]
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(chance.choice((0, 0, 0.0005)))
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(end) for end in ends] == [asyncio.CancelledError] * len(tasks)
            assert readers_of(loop) == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

    def send_until_told() -> None:
        while not stop.is_set():
            publisher.send(PICTURE)

    stop = threading.Event()
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name, every=True, hold=4) as subscriber:
            thread = threading.Thread(target=send_until_told)
            thread.start()
            asyncio.run(cancel_again_and_again())
            assert subscriber.statistics().held == 0
            stop.set()
            while thread.is_alive() or subscriber.statistics().pending:
                if (frame := subscriber.try_recv()) is not None:
                    numbers.append(frame.seq)
                    frame.release()
            sent = publisher.statistics().frames
    assert sent > 600
    assert numbers == list(range(1, sent + 1))


def test_cancelled_by_trio_at_random_moments_no_frame_is_lost(channel_name: str) -> None:
    numbers: list[int] = []
    chance = random.Random(7)

    async def cancel_again_and_again() -> None:
        while len(numbers) < 500:
            with trio.move_on_after(chance.choice((0, 0.0002, 0.001))):
                while True:
                    with await subscriber.recv_async() as frame:
                        numbers.append(frame.seq)

    before = eventfds()
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name, every=True) as subscriber, sending(publisher, 500):
            trio.run(cancel_again_and_again)
    assert numbers == list(range(1, 501))
    assert eventfds() == before


def test_others_run_though_there_is_always_a_frame(channel_name: str, run: Callable[..., Any]) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while ticks < 100:
            ticks += 1
            await SLEEP[sniffio.current_async_library()](0)

    async def receive() -> None:
        while ticks < 100:
            publisher.send(PICTURE)
            (await subscriber.recv_async()).release()

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        run(lambda: together(tick, receive))
    assert ticks == 100


def test_twenty_subscribers_have_one_thread(channel_name: str) -> None:
    def threads() -> int:
        found = 0
        for task in Path("/proc/self/task").iterdir():
            with contextlib.suppress(FileNotFoundError):  # a thread of an earlier test has ended just now
                found += (task / "comm").read_text() == "framebus\n"
        return found

    async def receive(subscribers: list[framebus.Subscriber]) -> int:
        frames = await asyncio.gather(*(subscriber.recv_async() for subscriber in subscribers))
        return len(frames)

    assert threads() == 0
    with framebus.Publisher(channel_name) as publisher, contextlib.ExitStack() as stack:
        subscribers = [stack.enter_context(framebus.Subscriber(channel_name)) for _ in range(20)]
        sends = threading.Timer(0.05, publisher.send, (PICTURE,))
        sends.start()
        assert asyncio.run(receive(subscribers)) == 20
        assert threads() == 1
        sends.join()
        for subscriber in subscribers[:-1]:
            subscriber.close()
        assert threads() == 1
    while threads():  # the kernel lists it for a moment after it has ended
        pass


def test_descriptor_works_with_selectors_and_with_trio(channel_name: str) -> None:
    async def wait_in_trio() -> None:
        await trio.lowlevel.wait_readable(subscriber)

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for wait in ("selectors", "trio"):
            sends = threading.Timer(0.02, publisher.send, (PICTURE,))
            sends.start()
            if wait == "selectors":
                with selectors.DefaultSelector() as selector:
                    selector.register(subscriber, selectors.EVENT_READ)
                    assert selector.select() != []
            else:
                trio.run(wait_in_trio)
            frame = subscriber.try_recv()
            assert frame is not None
            frame.release()
            sends.join()
