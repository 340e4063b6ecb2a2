# SPDX-License-Identifier: Apache-2.0
"""The counts are exact, and each participant has its own."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import framebus

PICTURE = np.zeros((48, 64), np.uint8)


def test_statistics_are_a_frozen_dataclass_with_the_documented_fields(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for end in (publisher, subscriber):
            statistics = end.statistics()
            assert isinstance(statistics, framebus.Statistics)
            assert {field.name for field in dataclasses.fields(statistics)} >= {
                "frames", "bytes", "dropped", "missed", "held", "subscribers", "pending", "slots",
                "generation", "memory_bytes", "rate_hz", "latency_p50_s", "latency_p99_s",
            }  # fmt: skip
            with pytest.raises(dataclasses.FrozenInstanceError):
                statistics.frames = 5  # type: ignore[misc]


def test_all_counts_are_zero_before_the_first_frame(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for end in (publisher, subscriber):
            statistics = end.statistics()
            counts = (statistics.frames, statistics.bytes, statistics.dropped, statistics.missed, statistics.held)
            assert counts == (0, 0, 0, 0, 0)


def test_frames_and_bytes_count_what_was_sent_and_what_was_fetched(channel_name: str) -> None:
    with (
        framebus.Publisher(channel_name, slots=32, on_full="raise") as publisher,
        framebus.Subscriber(channel_name, every=True) as subscriber,
    ):
        for _ in range(10):
            publisher.send(PICTURE)
        publisher.send({"color": np.zeros((4, 5, 3), np.uint8), "depth": np.zeros((4, 5), np.uint16)})
        with publisher.loan((7,)) as loan:
            loan.array.fill(0)
        sent = publisher.statistics()
        assert (sent.frames, sent.bytes) == (12, 10 * PICTURE.nbytes + 60 + 40 + 7)
        for _ in range(10):
            subscriber.recv(5.0).release()
        fetched = subscriber.statistics()
        assert (fetched.frames, fetched.bytes) == (10, 10 * PICTURE.nbytes)


def test_missed_counts_the_frames_a_subscriber_of_the_latest_skipped(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        with framebus.Subscriber(channel_name) as subscriber:
            assert subscriber.recv(5.0).seq == 1
            assert subscriber.statistics().missed == 0
            for skipped in (0, 1, 4, 100):
                before = subscriber.statistics().missed
                for _ in range(skipped + 1):
                    publisher.send(PICTURE)
                subscriber.recv(5.0).release()
                assert subscriber.statistics().missed == before + skipped
            assert subscriber.statistics().dropped == 0
        assert publisher.statistics().dropped == 0


def test_dropped_counts_for_the_reader_that_lagged_and_for_the_publisher(channel_name: str) -> None:
    with framebus.Publisher(channel_name, on_full="drop") as publisher:
        with (
            framebus.Subscriber(channel_name, every=True) as lagging,
            framebus.Subscriber(channel_name, every=True) as prompt,
        ):
            for _ in range(300):
                publisher.send(PICTURE)
                prompt.recv(5.0).release()
            fetched = 0
            while (frame := lagging.try_recv()) is not None:
                frame.release()
                fetched += 1
            assert lagging.statistics().frames == fetched
            assert lagging.statistics().dropped == 300 - fetched > 0
            assert publisher.statistics().dropped == 300 - fetched
            assert (prompt.statistics().frames, prompt.statistics().dropped) == (300, 0)


def test_publisher_counts_its_subscribers_as_they_come_and_go(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        subscribers: list[framebus.Subscriber] = []
        for number in range(20):
            assert publisher.statistics().subscribers == number
            subscribers.append(framebus.Subscriber(channel_name))
        while subscribers:
            subscribers.pop().close()
            assert publisher.statistics().subscribers == len(subscribers)


def test_counts_of_a_subscriber_survive_a_change_of_publisher(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name) as subscriber:
        for _ in range(3):
            publisher.send(PICTURE)
            subscriber.recv(5.0).release()
        for _ in range(4):
            publisher.send(PICTURE)
        publisher.close()
        with framebus.Publisher(channel_name) as successor:
            assert successor.send(PICTURE) == 8
            assert subscriber.recv(5.0).seq == 8
            statistics = subscriber.statistics()
            assert (statistics.frames, statistics.missed) == (4, 4)
            assert statistics.bytes == 4 * PICTURE.nbytes


def test_generation_and_memory_follow_the_growth_of_the_channel(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        small = publisher.statistics()
        publisher.send(np.zeros((2160, 3840), np.uint8))
        large = publisher.statistics()
        assert large.generation > small.generation
        assert large.memory_bytes > small.memory_bytes
        assert large.memory_bytes >= 2160 * 3840
        assert large.slots >= 8
        subscriber.recv(5.0).release()
        assert subscriber.statistics().generation == large.generation


def test_the_second_frame_finds_its_memory_ready_and_later_ones_need_no_more(channel_name: str) -> None:
    picture = np.zeros((1080, 1920, 3), np.uint8)
    with framebus.Publisher(channel_name) as publisher:
        memory = []
        for _ in range(5):
            publisher.send(picture)
            memory.append(publisher.statistics().memory_bytes)
        assert 2 * picture.nbytes <= memory[0] < 3 * picture.nbytes
        assert memory == [memory[0]] * 5


def test_max_bytes_avoids_the_first_growth(channel_name: str) -> None:
    with framebus.Publisher(channel_name, max_bytes=2160 * 3840) as publisher:
        publisher.send(PICTURE)
        before = publisher.statistics().generation
        publisher.send(np.zeros((2160, 3840), np.uint8))
        assert publisher.statistics().generation == before


def test_rate_and_latency_are_positive_and_in_order_once_frames_flow(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        for _ in range(200):
            publisher.send(PICTURE)
            subscriber.recv(5.0).release()
        for end in (publisher, subscriber):
            assert end.statistics().rate_hz > 0
        fetched = subscriber.statistics()
        assert fetched.latency_p50_s is not None
        assert fetched.latency_p99_s is not None
        assert 0 < fetched.latency_p50_s <= fetched.latency_p99_s
