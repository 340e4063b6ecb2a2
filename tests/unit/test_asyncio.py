# SPDX-License-Identifier: Apache-2.0
"""Frames in an event loop: nothing else of the loop waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import select
import threading

import numpy as np
import pytest

import framebus

PICTURE = np.zeros((48, 64), np.uint8)


def test_async_iteration_gets_every_frame_and_ends_when_the_publisher_closes(channel_name: str) -> None:
    async def run() -> list[int]:
        numbers: list[int] = []
        with framebus.Publisher(channel_name) as publisher:
            with framebus.Subscriber(channel_name, every=True) as subscriber:

                async def send() -> None:
                    for _ in range(100):
                        publisher.send(PICTURE)
                        while publisher.statistics().frames - len(numbers) > 3:
                            await asyncio.sleep(0)
                    publisher.close()

                sending = asyncio.create_task(send())
                async for frame in subscriber:
                    numbers.append(frame.seq)
                    frame.release()
                await sending
        return numbers

    assert asyncio.run(run()) == list(range(1, 101))


def test_other_tasks_run_while_one_waits_for_a_frame(channel_name: str) -> None:
    async def run() -> tuple[int, int]:
        ticks = 0
        with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:

            async def tick_and_send() -> None:
                nonlocal ticks
                while ticks < 200:
                    ticks += 1
                    await asyncio.sleep(0)
                publisher.send(PICTURE)

            ticking = asyncio.create_task(tick_and_send())
            frame = await anext(aiter(subscriber))
            await ticking
            return frame.seq, ticks

    assert asyncio.run(run()) == (1, 200)


def test_frame_sent_by_another_thread_wakes_the_loop(channel_name: str) -> None:
    async def run(publisher: framebus.Publisher, subscriber: framebus.Subscriber) -> list[int]:
        loop = asyncio.get_running_loop()
        numbers = []
        for _ in range(20):
            waiting = asyncio.ensure_future(anext(aiter(subscriber)))
            await asyncio.sleep(0)
            await loop.run_in_executor(None, publisher.send, PICTURE)
            with await waiting as frame:
                numbers.append(frame.seq)
        return numbers

    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        assert asyncio.run(run(publisher, subscriber)) == list(range(1, 21))


def test_cancelled_wait_loses_no_frame(channel_name: str) -> None:
    async def run() -> list[int]:
        numbers = []
        with framebus.Publisher(channel_name) as publisher:
            with framebus.Subscriber(channel_name, every=True) as subscriber:
                for _ in range(20):
                    waiting = asyncio.ensure_future(anext(aiter(subscriber)))
                    await asyncio.sleep(0)
                    waiting.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await waiting
                    publisher.send(PICTURE)
                    with await anext(aiter(subscriber)) as frame:
                        numbers.append(frame.seq)
                assert subscriber.statistics().held == 0
        return numbers

    assert asyncio.run(run()) == list(range(1, 21))


def test_several_subscribers_share_one_loop(channel_name: str) -> None:
    async def count(subscriber: framebus.Subscriber) -> int:
        frames = 0
        async for frame in subscriber:
            frames += 1
            frame.release()
        return frames

    async def run(publisher: framebus.Publisher, subscribers: list[framebus.Subscriber]) -> list[int]:
        counting = [asyncio.create_task(count(subscriber)) for subscriber in subscribers]
        for _ in range(50):
            await asyncio.to_thread(publisher.send, PICTURE)
        publisher.close()
        return await asyncio.gather(*counting)

    with contextlib.ExitStack() as stack:
        publisher = stack.enter_context(framebus.Publisher(channel_name, on_full="block"))
        subscribers = [stack.enter_context(framebus.Subscriber(channel_name, every=True)) for _ in range(5)]
        assert asyncio.run(run(publisher, subscribers)) == [50] * 5


def test_async_iteration_tells_of_a_full_hold_budget(channel_name: str) -> None:
    async def run() -> None:
        with framebus.Publisher(channel_name) as publisher:
            with framebus.Subscriber(channel_name, every=True, hold=1) as subscriber:
                publisher.send(PICTURE)
                publisher.send(PICTURE)
                frame = await anext(aiter(subscriber))
                with pytest.raises(framebus.TooManyHeld):
                    await anext(aiter(subscriber))
                frame.release()

    asyncio.run(run())


def readable(subscriber: framebus.Subscriber, seconds: float) -> bool:
    return bool(select.select([subscriber], [], [], seconds)[0])


def test_descriptor_is_readable_while_there_is_a_frame_to_fetch(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        assert subscriber.fileno() == subscriber.fileno()
        for number in range(1, 21):
            while subscriber.try_recv() is None and readable(subscriber, 0.0):
                pass
            assert not readable(subscriber, 0.0)
            sending = threading.Thread(target=publisher.send, args=(PICTURE,))
            sending.start()
            assert readable(subscriber, 60.0)
            sending.join()
            frame = subscriber.try_recv()
            assert frame is not None
            assert frame.seq == number
            frame.release()


def test_descriptor_is_readable_for_frames_that_were_there_before_it(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        with framebus.Subscriber(channel_name) as subscriber:
            assert readable(subscriber, 60.0)


def test_descriptor_becomes_readable_when_the_publisher_closes(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name, reconnect=False) as subscriber:
        subscriber.fileno()
        publisher.close()
        assert readable(subscriber, 60.0)
        with pytest.raises(framebus.ChannelClosed):
            subscriber.try_recv()
