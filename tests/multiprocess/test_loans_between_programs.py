# SPDX-License-Identifier: Apache-2.0
"""A frame drawn in place is seen whole or not at all."""

from __future__ import annotations

import pytest
from tests.support.harness import Programs

import framebus

SHAPE = [48, 64]


def test_nobody_sees_a_loan_before_the_end_of_its_block(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    with framebus.Subscriber(channel_name) as subscriber:
        publisher.ask("send", shape=SHAPE, fill=1)
        assert subscriber.recv(30.0).seq == 1
        publisher.ask("begin_loan", shape=SHAPE, fill=9)
        assert subscriber.try_recv() is None
        with pytest.raises(framebus.Timeout):
            subscriber.recv(0.05)
        publisher.ask("end_loan")
        frame = subscriber.recv(30.0)
        assert (frame.seq, set(frame.array.ravel().tolist())) == (2, {9})


def test_loan_whose_block_raises_is_never_seen_and_uses_up_no_number(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    with framebus.Subscriber(channel_name, every=True) as subscriber:
        publisher.ask("begin_loan", shape=SHAPE, fill=9)
        publisher.ask("end_loan", raises=True)
        assert subscriber.try_recv() is None
        assert publisher.ask("send", shape=SHAPE, fill=1) == 1
        frame = subscriber.recv(30.0)
        assert (frame.seq, set(frame.array.ravel().tolist())) == (1, {1})


def test_loan_of_a_killed_publisher_is_never_seen(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    with framebus.Subscriber(channel_name, every=True) as subscriber:
        publisher.ask("begin_loan", shape=SHAPE, fill=9)
        publisher.kill()
        assert subscriber.try_recv() is None
        with framebus.Publisher(channel_name) as successor:
            successor.send(b"\x01" * 8)
            frame = subscriber.recv(30.0)
            assert (frame.seq, frame.array.tobytes()) == (1, b"\x01" * 8)


def test_frames_sent_while_a_loan_is_open_come_first(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name)
    with framebus.Subscriber(channel_name, every=True) as subscriber:
        publisher.ask("begin_loan", shape=SHAPE, fill=9)
        assert publisher.ask("send", shape=SHAPE, fill=1, count=3) == 3
        publisher.ask("end_loan")
        assert [subscriber.recv(30.0).array.max() for _ in range(4)] == [1, 1, 1, 9]
