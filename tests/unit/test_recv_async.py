# SPDX-License-Identifier: Apache-2.0
"""Awaiting frames: cancellation, several tasks, several loops, and that nothing is left behind. asyncio and trio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import selectors
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sniffio
import trio

import framebus
from framebus import aio

PICTURE = np.zeros((48, 64), np.uint8)
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


@contextlib.contextmanager
def sending(publisher: framebus.Publisher, count: int) -> Iterator[None]:
    """A thread sends `count` frames as fast as they are taken."""
    thread = threading.Thread(target=lambda: [publisher.send(PICTURE) for _ in range(count)])
    thread.start()
    yield
    thread.join()


def readers_of(loop: asyncio.AbstractEventLoop) -> int:
    selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
    handles = [handle for key in selector.get_map().values() for handle in key.data if handle is not None]
    arguments = [argument for handle in handles for argument in handle._args]
    return sum(isinstance(getattr(argument, "__self__", None), aio.Reader) for argument in arguments)


def eventfds() -> int:
    gc.collect()  # what earlier tests have left in cycles
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one by which the list was read
            count += os.readlink(f"/proc/self/fd/{fd}") == "anon_inode:[eventfd]"
    return count


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


def test_the_reader_stays_from_frame_to_frame_and_goes_when_nobody_is_to_come(channel_name: str) -> None:
    async def receive() -> None:
        loop = asyncio.get_running_loop()
        with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
            for _ in range(5):
                loop.call_later(0.01, publisher.send, PICTURE)
                (await subscriber.recv_async()).release()
                assert readers_of(loop) == 1
            publisher.send(PICTURE)  # nobody awaits it
            (await subscriber.recv_async()).release()
            with pytest.raises(framebus.Timeout):
                await subscriber.recv_async(0.01)
            assert readers_of(loop) == 0
            loop.call_later(0.01, publisher.send, PICTURE)
            (await subscriber.recv_async()).release()
            assert readers_of(loop) == 1
            subscriber.close()
            while readers_of(loop):
                await asyncio.sleep(0.001)

    asyncio.run(receive())


def test_frames_that_nobody_awaits_wake_no_loop(channel_name: str) -> None:
    """While a frame is worked on in the loop, those that come meanwhile cost the loop one round at most."""

    async def receive() -> None:
        loop = asyncio.get_running_loop()
        with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
            loop.call_later(0.01, publisher.send, PICTURE)
            (await subscriber.recv_async()).release()
            rounds = 0
            selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
            select = selector.select

            def counted(timeout: float | None = None) -> Any:
                nonlocal rounds
                rounds += 1
                return select(timeout)

            selector.select = counted  # type: ignore[method-assign]
            sender = threading.Thread(target=lambda: [publisher.send(PICTURE) for _ in range(200)])
            sender.start()
            await asyncio.sleep(0.2)
            sender.join()
            assert rounds < 20
            assert (await subscriber.recv_async()).seq == 201

    asyncio.run(receive())


def test_each_task_has_its_own_time(channel_name: str) -> None:
    ends: list[float] = []

    async def one_task(timeout: float) -> None:
        began = time.monotonic()
        with pytest.raises(framebus.Timeout):
            await subscriber.recv_async(timeout)
        assert time.monotonic() - began >= timeout
        ends.append(timeout)

    async def all_tasks() -> None:
        forever = asyncio.create_task(subscriber.recv_async())
        await asyncio.gather(*(one_task(timeout) for timeout in (0.3, 0.1, 0.2, 0.0, 0.15)))
        assert not forever.done()
        publisher.send(PICTURE)
        (await forever).release()

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        asyncio.run(all_tasks())
    assert ends == [0.0, 0.1, 0.15, 0.2, 0.3]


def test_a_frame_comes_though_the_time_of_an_earlier_wait_is_over(channel_name: str) -> None:
    """The alarm of one wait is left set for the next ones; it must not end them, nor keep them from ending."""

    async def receive() -> None:
        loop = asyncio.get_running_loop()
        for number in range(1, 30):
            loop.call_later(0.01, publisher.send, PICTURE)
            frame = await subscriber.recv_async(0.05 if number % 2 else 60.0)
            assert frame.seq == number
            frame.release()
        with pytest.raises(framebus.Timeout):
            await subscriber.recv_async(0.02)

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, every=True) as subscriber:
        asyncio.run(receive())


def test_loops_and_threads_that_share_a_subscriber_are_all_told_of_the_end(channel_name: str) -> None:
    told: list[str] = []

    async def receive() -> None:
        ready.release()
        with pytest.raises(framebus.ChannelClosed):
            await subscriber.recv_async()
        told.append("loop")

    def wait() -> None:
        ready.release()
        with pytest.raises(framebus.ChannelClosed):
            subscriber.recv()
        told.append("thread")

    for _ in range(5):
        told.clear()
        ready = threading.Semaphore(0)
        publisher = framebus.Publisher(channel_name)
        with framebus.Subscriber(channel_name, reconnect=False) as subscriber:
            threads = [threading.Thread(target=wait) for _ in range(2)]
            threads += [threading.Thread(target=asyncio.run, args=(receive(),)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in threads:
                ready.acquire()
            publisher.close()
            for thread in threads:
                thread.join()
        assert sorted(told) == ["loop"] * 3 + ["thread"] * 2


def test_what_a_task_awaits_is_cancelled_once(channel_name: str) -> None:
    async def receive() -> None:
        task = asyncio.create_task(subscriber.recv_async())
        await asyncio.sleep(0)
        task.cancel("enough")
        publisher.send(PICTURE)
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        assert (await subscriber.recv_async()).seq == 1

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        asyncio.run(receive())


def test_a_forgotten_subscriber_is_not_kept_by_the_loop(channel_name: str) -> None:
    async def receive() -> None:
        loop = asyncio.get_running_loop()
        with framebus.Publisher(channel_name) as publisher:
            subscriber = framebus.Subscriber(channel_name)
            loop.call_later(0.01, publisher.send, PICTURE)
            (await subscriber.recv_async()).release()
            assert publisher.statistics().subscribers == 1
            del subscriber
            gc.collect()
            assert publisher.statistics().subscribers == 0
            while readers_of(loop):
                await asyncio.sleep(0.001)

    before = eventfds()
    asyncio.run(receive())
    assert eventfds() == before


def test_one_loop_after_another_and_loops_of_several_threads_share_a_subscriber(channel_name: str) -> None:
    numbers: list[int] = []

    async def receive(count: int) -> None:
        for _ in range(count):
            with await subscriber.recv_async() as frame:
                numbers.append(frame.seq)

    async def receive_until_closed() -> None:
        with contextlib.suppress(framebus.ChannelClosed):
            while True:
                await receive(1)
                if len(numbers) == 450:
                    subscriber.close()

    before = eventfds()
    with framebus.Publisher(channel_name, on_full="block") as publisher:
        with framebus.Subscriber(channel_name, every=True, hold=8) as subscriber, sending(publisher, 450):
            for _ in range(5):
                asyncio.run(receive(10))
            threads = [threading.Thread(target=asyncio.run, args=(receive_until_closed(),)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert sorted(numbers) == list(range(1, 451))
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
        return sum((task / "comm").read_text() == "framebus\n" for task in Path("/proc/self/task").iterdir())

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
