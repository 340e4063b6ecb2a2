# SPDX-License-Identifier: Apache-2.0
"""What all sources, sinks, base images, publishers and subscribers share: the lock, close(), repr and pickling."""

from __future__ import annotations

import functools
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any

import numpy as np
import pytest

import framebus
from framebus import BaseSink, BaseSource, Deadline, Frame, OutgoingFrame, baseimage

IMAGE = np.zeros((3, 4), np.uint8)
WATCHDOG_S = 30.0


class Inside:
    """Counts the threads that are inside a mechanism at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.closed_around = 0

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        self.now -= 1


class Source(BaseSource):
    """Has a frame for every call, or waits until it is closed."""

    def __init__(self, waits: bool = False, cancels: bool = False) -> None:
        super().__init__("test:source")
        self.inside, self.waits, self.cancels = Inside(), waits, cancels
        self.entered, self.cancelled = threading.Event(), threading.Event()

    def _receive(self, deadline: Deadline) -> Frame:
        with self.inside:
            self.entered.set()
            while self.waits:
                if self.cancelled.wait(WATCHDOG_S if self.cancels else 0.001):
                    raise framebus.ChannelClosed("cancelled")
                self._check_open()
                if deadline.is_over:
                    raise deadline.fail("nothing came")
            self._count(refused=1)
            return Frame({"image": IMAGE}, seq=1, timestamp_ns=2, wall_time_ns=3)

    def _cancel(self) -> None:
        if self.cancels:
            self.cancelled.set()

    def _close(self) -> None:
        self.inside.closed_around += self.inside.now
        self._count(dropped=1)


class Sink(BaseSink):
    """Takes every frame."""

    def __init__(self) -> None:
        super().__init__("test:sink")
        self.inside, self.seqs = Inside(), list[int]()

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - there is nothing to wait for
        with self.inside:
            self.seqs.append(frame.seq)


def in_threads(count: int, work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture
def eager_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_one_thread_at_a_time_is_inside_a_source() -> None:
    source = Source()
    in_threads(4, lambda: [source.recv() for _ in range(300)])
    assert source.inside.most == 1
    assert source.statistics().frames == source.statistics().refused == 1200


@pytest.mark.usefixtures("eager_threads")
def test_one_thread_at_a_time_is_inside_a_sink_and_every_frame_has_a_number_of_its_own() -> None:
    sink = Sink()
    in_threads(4, lambda: [sink.send(IMAGE) for _ in range(300)])
    assert sink.inside.most == 1
    assert sink.seqs == list(range(1, 1201))


def test_a_source_that_another_thread_keeps_busy_raises_timeout() -> None:
    with Source(waits=True) as source:
        waiting = threading.Thread(target=pytest.raises, args=(framebus.ChannelClosed, source.recv))
        waiting.start()
        assert source.entered.wait(WATCHDOG_S)
        with pytest.raises(framebus.Timeout, match=r"other threads kept 'test:source' busy within 0.01 s"):
            source.recv(0.01)
        source.close()
        waiting.join()


@pytest.mark.parametrize("cancels", [False, True], ids=["looks at closed", "is cancelled"])
def test_close_ends_the_wait_of_another_thread_and_closes_when_that_is_outside(cancels: bool) -> None:
    source = Source(waits=True, cancels=cancels)
    waiting = threading.Thread(target=pytest.raises, args=(framebus.ChannelClosed, source.recv))
    waiting.start()
    assert source.entered.wait(WATCHDOG_S)
    source.close()
    waiting.join()
    assert source.inside.closed_around == 0
    assert source.cancelled.is_set() == cancels


def close_at_each_line(of: str, make: Callable[[], Any], use: Callable[[Any], object]) -> list[Any]:
    """Uses object after object; closes the first at the first line of a file that runs, the second at the second ..."""
    objects: list[Any] = []
    lines_left = 0
    while lines_left <= 0:
        opened = make()
        objects.append(opened)
        lines_left = len(objects)

        def at_line(frame: FrameType, event: str, _: Any, opened: Any = opened) -> Any:
            nonlocal lines_left
            if frame.f_code.co_filename.endswith(of) and event == "line":
                lines_left -= 1
                if lines_left == 0:
                    opened.close()  # is not traced, as a signal handler that runs here
            return at_line

        sys.settrace(at_line)
        try:
            with suppress(framebus.ChannelClosed):
                use(opened)
        finally:
            sys.settrace(None)
    return objects


@pytest.mark.parametrize(
    ("make", "use"),
    [(Source, lambda source: source.recv(1)), (Sink, lambda sink: sink.send(IMAGE))],
    ids=["source", "sink"],
)
def test_a_signal_handler_may_close_a_source_or_sink_wherever_it_interrupts_a_call(
    make: Callable[[], Any], use: Callable[[Any], object]
) -> None:
    *interrupted, whole = close_at_each_line("endpoint/base.py", make, use)
    assert len(interrupted) > 10
    assert all(end.closed for end in interrupted)
    assert not whole.closed
    assert whole.statistics().frames == 1


def test_a_signal_handler_may_close_a_base_image_wherever_it_interrupts_a_call(channel_name: str) -> None:
    make = functools.partial(baseimage.Writer, channel_name)
    *interrupted, whole = close_at_each_line("baseimage/end.py", make, lambda writer: writer.send(IMAGE))
    assert len(interrupted) > 10
    assert all(writer.closed for writer in interrupted)
    assert whole.statistics().frames == 1
    whole.close()
    with pytest.raises(framebus.ChannelNotFound):  # the last one out removes the memory: each has closed its own
        baseimage.Reader(channel_name)


def test_a_source_is_not_pickled_but_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"<Source 'test:source'> can't be pickled; open another one"):
        pickle.dumps(Source())


def test_a_base_image_is_pickled_as_name_and_options(channel_name: str) -> None:
    with baseimage.Writer(channel_name, capacity=1 << 16, keep=False) as writer:
        reader = baseimage.Reader(channel_name, retries=7)
        copy = pickle.loads(pickle.dumps(reader))
        reader.close()
        writer.send(IMAGE)
        with copy:
            assert repr(copy) == f"<baseimage.Reader {channel_name!r}>"
            assert copy.recv(WATCHDOG_S).array.shape == IMAGE.shape
        assert repr(copy) == f"<baseimage.Reader {channel_name!r} closed>"
