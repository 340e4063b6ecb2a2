# SPDX-License-Identifier: Apache-2.0
"""What an event loop of asyncio has of a subscriber: when it is woken, by what, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import selectors
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.descriptors import eventfds
from tests.support.loops import PICTURE, readers_of, sending

import framebus
from framebus import _core
from framebus.channel import aio


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


@pytest.mark.parametrize("what", ["frames", "end"])
def test_a_task_that_need_not_wait_after_all_lets_no_other_sleep(
    channel_name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the wait of one task come two frames, or the end: it takes the word of them from another."""
    told: list[int | str] = []

    async def receive() -> None:
        async for frame in subscriber:
            told.append(frame.seq)
            frame.release()
            return
        told.append("end")

    async def two_tasks() -> None:
        first = asyncio.create_task(receive())
        await asyncio.sleep(0)
        enter = aio.Reader.enter

        def late(reader: aio.Reader, turn: int, end: float) -> _core.Wakeup:
            monkeypatch.undo()
            for _ in range(2 if what == "frames" else 0):
                publisher.send(PICTURE)
            if what == "end":
                publisher.close()
            return enter(reader, turn, end)

        monkeypatch.setattr(aio.Reader, "enter", late)
        await asyncio.gather(first, receive())

    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name, every=True) as subscriber:
        asyncio.run(two_tasks())
    publisher.close()
    assert sorted(map(str, told)) == (["1", "2"] if what == "frames" else ["end", "end"])


def test_a_loop_in_which_nobody_waits_is_left_alone_when_the_files_are_gone(channel_name: str) -> None:
    async def receive() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.01, publisher.send, PICTURE)
        (await subscriber.recv_async()).release()
        assert readers_of(loop) == 1
        for path in Path("/dev/shm").glob(f"framebus.{channel_name}*"):
            path.unlink()
        publisher.close()
        while readers_of(loop):
            await asyncio.sleep(0.01)

    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name) as subscriber:
        asyncio.run(receive())


def test_what_a_task_awaits_is_cancelled_once(channel_name: str) -> None:
    reasons: list[object] = []

    async def take() -> None:
        try:
            await subscriber.recv_async()
        except asyncio.CancelledError as error:
            reasons.extend(error.args)
            raise

    async def receive() -> None:
        task = asyncio.create_task(take())
        await asyncio.sleep(0)
        task.cancel("enough")
        publisher.send(PICTURE)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert reasons == ["enough"]  # Python 3.10 does not hand it on to who awaits the task
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
