# SPDX-License-Identifier: Apache-2.0
"""send, recv, try_recv and iteration skip their Python methods; that must show nowhere but in the time they take."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import framebus

PICTURE = np.arange(12, dtype=np.uint8).reshape(3, 4)
QUICK = [framebus.Publisher.send, framebus.Subscriber.recv, framebus.Subscriber.try_recv, framebus.Subscriber.__next__]
Ends = tuple[framebus.Publisher, framebus.Subscriber]


class Subclass(np.ndarray[Any, Any]):
    """Not quite an ndarray."""


@pytest.fixture
def ends(channel_name: str) -> Iterator[Ends]:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name, every=True) as subscriber:
        yield publisher, subscriber


def python_calls(call: Callable[[], object]) -> list[str]:
    """The Python functions that run in `call`."""
    seen: list[CodeType] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code is not call.__code__:  # type: ignore[attr-defined]
            seen.append(frame.f_code)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return [code.co_name for code in seen]


def test_usual_calls_run_no_python(ends: Ends) -> None:
    publisher, subscriber = ends
    assert python_calls(lambda: publisher.send(PICTURE)) == []
    assert python_calls(lambda: publisher.send(PICTURE, timeout=1.0)) == []
    assert python_calls(lambda: subscriber.recv().release()) == []
    assert python_calls(lambda: subscriber.recv(timeout=1.0).release()) == []
    publisher.send(PICTURE)
    publisher.send(PICTURE)
    assert python_calls(lambda: subscriber.recv(1.0).release()) == []
    assert python_calls(lambda: next(subscriber).release()) == []
    assert python_calls(lambda: subscriber.try_recv()) == []


def test_unusual_calls_run_the_method(ends: Ends) -> None:
    publisher, subscriber = ends
    usual: dict[str, Any] = {"image": PICTURE, "timeout": None}
    for number, call in enumerate(
        [
            lambda: publisher.send(image=PICTURE),
            lambda: publisher.send(PICTURE, meta={"a": 1}),
            lambda: publisher.send(PICTURE, pixel_format="Mono8", timeout=1.0),
            lambda: publisher.send(PICTURE, timestamp_ns=5),
            lambda: publisher.send(bytes(PICTURE)),
            lambda: publisher.send(PICTURE.view(Subclass)),
            lambda: publisher.send(**usual),
        ],
        start=1,
    ):
        assert python_calls(call)[0] == "send"
        frame = subscriber.recv()
        assert frame.seq == number
        assert frame.array.tobytes() == PICTURE.tobytes()
        frame.release()


@pytest.mark.parametrize("method", QUICK, ids=lambda method: method.__name__)
def test_a_method_looks_as_it_is_written(method: Any) -> None:
    assert inspect.unwrap(method) is not method
    assert inspect.signature(method) == inspect.signature(inspect.unwrap(method))
    assert inspect.getdoc(method) == inspect.getdoc(inspect.unwrap(method))
    assert method.__qualname__ == inspect.unwrap(method).__qualname__
    assert method.__module__.startswith("framebus.")


def test_wrong_calls_are_those_of_the_method(ends: Ends) -> None:
    publisher, subscriber = ends
    for wrong, text in (
        (lambda: publisher.send(), "missing 1 required positional argument: 'image'"),
        (lambda: publisher.send(PICTURE, PICTURE), "takes 2 positional arguments but 3 were given"),
        (lambda: publisher.send(PICTURE, time=1), "unexpected keyword argument 'time'"),
        (lambda: subscriber.recv(1, timeout=1), "multiple values for argument 'timeout'"),
        (lambda: subscriber.recv(patience=1), "unexpected keyword argument 'patience'"),
        (lambda: subscriber.try_recv(1), "takes 1 positional argument but 2 were given"),
        (lambda: framebus.Subscriber.recv(), "missing 1 required positional argument: 'self'"),
    ):
        with pytest.raises(TypeError, match=text):
            wrong()
    with pytest.raises(AttributeError, match="_native"):
        framebus.Subscriber.recv(3)  # type: ignore[arg-type]
    for wrong in (lambda: publisher.send(PICTURE, timeout=-1), lambda: subscriber.recv(-1)):
        with pytest.raises(ValueError, match="timeout must be 0 or more seconds"):
            wrong()
    with pytest.raises(TypeError, match="timeout must be seconds or None, got 'soon'"):
        subscriber.recv("soon")  # type: ignore[arg-type]
    assert subscriber.try_recv() is None


def test_errors_are_raised_as_by_the_method(ends: Ends) -> None:
    publisher, subscriber = ends
    with pytest.raises(framebus.Timeout, match="no new frame"):
        subscriber.recv(0)
    publisher.send(PICTURE)
    publisher.close()
    with pytest.raises(framebus.ChannelClosed, match="make a new one to send again"):
        publisher.send(PICTURE)
    next(subscriber).release()
    with pytest.raises(StopIteration):
        next(subscriber)
    subscriber.close()
    for call in (subscriber.recv, subscriber.try_recv, subscriber.__next__):
        with pytest.raises(framebus.ChannelClosed, match="make a new one to receive again"):
            call()


def test_objects_that_were_never_made() -> None:
    for kind, call in ((framebus.Publisher, "send"), (framebus.Subscriber, "try_recv")):
        half = kind.__new__(kind)  # type: ignore[arg-type, call-overload]
        with pytest.raises(AttributeError, match="_native"):
            getattr(half, call)(*[PICTURE][: call == "send"])


def test_a_subclass_has_its_own_say(channel_name: str) -> None:
    class Loud(framebus.Publisher):
        def send(self, image: object, **options: Any) -> int:
            sent.append(image)
            return super().send(image, **options)

    class Plain(framebus.Subscriber):
        pass

    sent: list[object] = []
    with Loud(channel_name) as publisher, Plain(channel_name, every=True) as subscriber:
        assert publisher.send(PICTURE) == 1
        assert len(sent) == 1
        assert sent[0] is PICTURE
        assert framebus.Publisher.send(publisher, PICTURE) == 2
        assert [subscriber.recv().seq, next(subscriber).seq] == [1, 2]
        assert subscriber.try_recv() is None


def test_other_classes_may_have_them_by_other_names(ends: Ends) -> None:
    class Grabber:
        grab = framebus.Subscriber.recv

    class Mine(framebus.Subscriber):
        get = framebus.Subscriber.try_recv

        def try_recv(self) -> framebus.Frame | None:
            raise AssertionError("not asked for")

    publisher, subscriber = ends
    with Mine(subscriber.name, every=True) as mine:
        publisher.send(PICTURE)
        frame = mine.get()
        assert frame is not None
        frame.release()
    assert python_calls(lambda: Grabber.grab(subscriber).release()) == []
    with pytest.raises(AttributeError, match="_native"):
        Grabber().grab()  # type: ignore[misc]


def test_they_travel_and_explain_themselves_as_functions_do() -> None:
    for method in QUICK:
        assert pickle.loads(pickle.dumps(method)) is method
        assert copy.deepcopy(method) is method
        assert method.__annotations__ == inspect.unwrap(method).__annotations__
        with pytest.raises(TypeError, match="cannot create"):
            type(method)()


def test_bound_methods_can_be_kept_and_passed_on(ends: Ends) -> None:
    publisher, subscriber = ends
    send, try_recv = publisher.send, subscriber.try_recv
    assert list(map(send, [PICTURE] * 3)) == [1, 2, 3]
    numbers = []
    for frame in iter(try_recv, None):
        numbers.append(frame.seq)
        frame.release()
    assert numbers == [1, 2, 3]
    assert send.__self__ is publisher  # type: ignore[attr-defined]
