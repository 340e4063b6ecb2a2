# SPDX-License-Identifier: Apache-2.0
"""Publishers and subscribers go to other processes as their name and options; a fork does not take them along."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.support.forking import in_forked_child

import framebus

PICTURE = np.full((48, 64), 7, np.uint8)


def assert_refused(result: dict[str, Any]) -> None:
    assert "text" in result, f"the child was let in and got {result}"
    assert result["is_ours"], result["text"]
    assert "fork" in result["text"]


PUBLISHER_CALLS: dict[str, Callable[[framebus.Publisher], Any]] = {
    "send": lambda publisher: publisher.send(PICTURE),
    "loan": lambda publisher: publisher.loan((3,)),
    "statistics": lambda publisher: publisher.statistics(),
}
SUBSCRIBER_CALLS: dict[str, Callable[[framebus.Subscriber], Any]] = {
    "recv": lambda subscriber: subscriber.recv(5.0),
    "try_recv": lambda subscriber: subscriber.try_recv(),
    "iteration": next,
    "fileno": lambda subscriber: subscriber.fileno(),
    "statistics": lambda subscriber: subscriber.statistics(),
}


@pytest.mark.parametrize("call", PUBLISHER_CALLS.values(), ids=PUBLISHER_CALLS.keys())
def test_publisher_is_refused_in_a_forked_child(channel_name: str, call: Callable[[framebus.Publisher], Any]) -> None:
    with framebus.Publisher(channel_name) as publisher:
        publisher.send(PICTURE)
        assert_refused(in_forked_child(lambda: call(publisher)))
        assert publisher.send(PICTURE) == 2


@pytest.mark.parametrize("call", SUBSCRIBER_CALLS.values(), ids=SUBSCRIBER_CALLS.keys())
def test_subscriber_is_refused_in_a_forked_child(channel_name: str, call: Callable[[framebus.Subscriber], Any]) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        assert_refused(in_forked_child(lambda: call(subscriber)))
        assert subscriber.recv(5.0).seq == 1, "the child has taken nothing from its parent"


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_ends_that_a_forked_child_drops_stay_open_for_its_parent(channel_name: str, how: str) -> None:
    ends: list[Any] = [framebus.Publisher(channel_name), framebus.Subscriber(channel_name)]

    def drop_all() -> None:
        if how == "closed":
            for end in ends:
                with contextlib.suppress(framebus.Error):
                    end.close()
        ends.clear()
        gc.collect()

    in_forked_child(drop_all)
    publisher, subscriber = ends
    with pytest.raises(framebus.ChannelInUse):
        framebus.Publisher(channel_name)
    assert publisher.send(PICTURE) == 1
    assert subscriber.recv(5.0).seq == 1
    subscriber.close()
    publisher.close()


def test_forked_child_does_not_let_go_what_its_parent_holds(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        frame = subscriber.recv(5.0)
        kept: dict[str, Any] = {"frame": frame, "array": frame.array}
        del frame

        def let_go() -> None:
            with contextlib.suppress(framebus.Error):
                kept["frame"].release()
            kept.clear()
            gc.collect()

        in_forked_child(let_go)
        assert subscriber.statistics().held == 1
        assert publisher.statistics().held == 1
        for _ in range(1000):
            publisher.send(np.zeros_like(PICTURE))
        np.testing.assert_array_equal(kept["array"], PICTURE)
        assert subscriber.recv(5.0).seq == 1001


def test_forked_child_may_open_its_own_ends(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name):
        publisher.send(PICTURE)

        def look() -> list[int]:
            with framebus.Subscriber(channel_name) as subscriber:
                frame = subscriber.recv(5.0)
                return [frame.seq, int(frame.array.max())]

        assert in_forked_child(look) == {"value": [1, 7]}
        assert publisher.statistics().subscribers == 1


def test_pickle_carries_name_and_options(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=5, on_full="raise") as publisher:
        described = pickle.dumps(publisher)
        with framebus.Subscriber(channel_name, every=True, hold=3, reconnect=False) as subscriber:
            with pickle.loads(pickle.dumps(subscriber)) as twin:
                assert (twin.name, twin.closed) == (channel_name, False)
                publisher.send(PICTURE)
                publisher.send(PICTURE)
                frames = [twin.recv(5.0), twin.recv(5.0)]
                assert [frame.seq for frame in frames] == [1, 2], "every=True came along"
                publisher.send(PICTURE)
                frames.append(twin.recv(5.0))
                publisher.send(PICTURE)
                with pytest.raises(framebus.TooManyHeld, match=r"\b3\b"):
                    twin.recv(5.0)
                frames.clear()
            assert subscriber.recv(5.0).seq == 1
        with pytest.raises(framebus.ChannelInUse):
            pickle.loads(described)
    with pickle.loads(described) as successor:
        assert successor.name == channel_name
        with framebus.Subscriber(channel_name, every=True):
            with pytest.raises(framebus.ChannelFull):
                fill_up(successor)


def fill_up(publisher: framebus.Publisher) -> None:
    for _ in range(2000):
        publisher.send(PICTURE)


def fetch_and_tell(subscriber: framebus.Subscriber, answers: Any) -> None:
    with subscriber:
        frame = subscriber.recv(30.0)
        answers.put((os.getpid(), frame.seq, int(frame.array.max())))


def test_subscriber_is_handed_to_a_spawned_process(channel_name: str) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(PICTURE)
        process = context.Process(target=fetch_and_tell, args=(subscriber, answers))
        process.start()
        process.join()
        assert process.exitcode == 0
        pid, seq, value = answers.get()
        assert (pid, seq, value) == (process.pid, 1, 7)
        assert subscriber.recv(5.0).seq == 1
        process.close()
