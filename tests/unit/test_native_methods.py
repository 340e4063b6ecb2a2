# SPDX-License-Identifier: Apache-2.0
"""send, loan, recv, try_recv and iteration are native; otherwise they are like methods that are written in Python."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any

import numpy as np
import pytest

import framebus

PICTURE = np.arange(12, dtype=np.uint8).reshape(3, 4)
QUICK: list[Any] = [
    framebus.Publisher.send,
    framebus.Publisher.loan,
    framebus.Subscriber.recv,
    framebus.Subscriber.try_recv,
    framebus.Subscriber.__next__,
]
SEND = "(self, /, image, *, meta=None, pixel_format=None, timeout=None, timestamp_ns=None, wall_time_ns=None, seq=None)"
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


def test_usual_loans_run_no_python(ends: Ends) -> None:
    publisher, subscriber = ends

    def fill_in_place() -> None:
        with publisher.loan((3, 4)) as loan:
            loan.array[...] = PICTURE

    def fill_a_variable() -> None:
        with publisher.loan((3, 4), "uint8", timeout=1.0) as loan:
            array = loan.array
            array[...] = PICTURE

    for number, lend in enumerate([fill_in_place, fill_a_variable], start=1):
        assert python_calls(lend) == []
        with subscriber.recv() as frame:
            assert frame.seq == number
            assert frame.array.tobytes() == PICTURE.tobytes()


def test_only_the_first_frame_of_a_publisher_that_launches_runs_python(channel_name: str) -> None:
    with framebus.Publisher(channel_name, launch=framebus.Launch(["true"], on_exit="ignore")) as publisher:
        assert "_begin_launch" in python_calls(lambda: publisher.send(PICTURE))
        assert python_calls(lambda: publisher.send(PICTURE)) == []


def test_unusual_calls_send_the_same(ends: Ends) -> None:
    publisher, subscriber = ends
    usual: dict[str, Any] = {"image": PICTURE, "timeout": None}
    made_now = {"".join(["time", "out"]): 1.0, "".join(["pixel_", "format"]): "Mono8"}  # names that are not interned
    for number, call in enumerate(
        [
            lambda: publisher.send(image=PICTURE),
            lambda: publisher.send(PICTURE, meta={"a": 1}),
            lambda: publisher.send(PICTURE, pixel_format="Mono8", timeout=1.0),
            lambda: publisher.send(PICTURE, timestamp_ns=5),
            lambda: publisher.send(bytes(PICTURE)),
            lambda: publisher.send(PICTURE.view(Subclass)),
            lambda: publisher.send(**usual),
            lambda: publisher.send(PICTURE, **made_now),
        ],
        start=1,
    ):
        assert call() == number
        with subscriber.recv() as frame:
            assert (frame.seq, frame.pixel_format) == (number, "Mono8" if number in (3, 8) else None)
            assert frame.meta == ({"a": 1} if number == 2 else {})
            assert (frame.timestamp_ns == 5) is (number == 4)
            assert frame.array.tobytes() == PICTURE.tobytes()


@pytest.mark.parametrize(
    ("method", "signature"),
    [
        (
            framebus.Publisher.send,
            SEND,
        ),
        (framebus.Publisher.loan, "(self, /, shape, dtype='uint8', *, meta=None, pixel_format=None, timeout=None)"),
        (framebus.Subscriber.recv, "(self, /, timeout=None)"),
        (framebus.Subscriber.try_recv, "(self, /)"),
        (framebus.Loan.__exit__, "(self, kind, error, traceback, /)"),
    ],
)
def test_a_method_says_what_it_takes_and_does(method: Any, signature: str) -> None:
    assert str(inspect.signature(method)) == signature
    assert len((inspect.getdoc(method) or "").split()) > 5


def test_wrong_calls_are_those_of_the_method(ends: Ends) -> None:
    publisher, subscriber = ends
    for wrong, text in (
        (lambda: publisher.send(), "missing 1 required positional argument: 'image'"),
        (lambda: publisher.send(PICTURE, PICTURE), "takes 2 positional arguments but 3 were given"),
        (lambda: publisher.send(PICTURE, time=1), "unexpected keyword argument 'time'"),
        (lambda: subscriber.recv(1, timeout=1), "multiple values for argument 'timeout'"),
        (lambda: subscriber.recv(patience=1), "unexpected keyword argument 'patience'"),
        (lambda: subscriber.try_recv(1), "takes no arguments .1 given"),
        (lambda: framebus.Subscriber.recv(), "needs an argument"),
        (lambda: publisher.loan(), "missing 1 required positional argument: 'shape'"),
        (lambda: publisher.loan(3, "u1", {}), "takes from 2 to 3 positional arguments but 4 were given"),
        (lambda: publisher.loan({"depth": 3}), r"needs \(shape, dtype\) for each array, got 3 for 'depth'"),
    ):
        with pytest.raises(TypeError, match=text):
            wrong()
    with pytest.raises(TypeError, match="doesn't apply to a 'int' object"):
        framebus.Subscriber.recv(3)  # type: ignore[arg-type]
    for wrong in (lambda: publisher.send(PICTURE, timeout=-1), lambda: subscriber.recv(-1)):
        with pytest.raises(ValueError, match="timeout must be 0 or more seconds"):
            wrong()
    with pytest.raises(TypeError, match="timeout must be seconds or None, got 'soon'"):
        subscriber.recv("soon")  # type: ignore[arg-type]
    assert subscriber.try_recv() is None


class Odd(Mapping[str, Any]):
    """Not what a mapping promises."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def __getitem__(self, _key: str) -> Any:
        return None

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def __len__(self) -> int:
        return 1

    def items(self) -> Any:
        return self._items


def test_a_mapping_of_specifications_is_looked_through_with_care(ends: Ends) -> None:
    publisher, subscriber = ends
    with publisher.loan(Odd([["a", [(2, 2), "uint8"]]])) as loan:
        loan.array.fill(1)
    with subscriber.recv() as frame:
        assert frame.arrays["a"].shape == (2, 2)
    with pytest.raises(ValueError, match="not enough values"):
        publisher.loan(Odd([("a",)]))
    for items in ([("a", ["ab"])], [("a", 3)], [("a", (1, 2, 3))]):
        with pytest.raises(TypeError, match=r"needs \(shape, dtype\) for each array, got .* for 'a'"):
            publisher.loan(Odd(items))


def test_a_loan_is_sent_with_the_pixel_format_that_was_checked(ends: Ends) -> None:
    class Meddling(dict[str, object]):
        def __contains__(self, key: object) -> bool:
            loan.pixel_format = 5  # type: ignore[assignment]
            return super().__contains__(key)

    publisher, subscriber = ends
    with publisher.loan((3, 4), meta=Meddling(a=1), pixel_format="Mono8") as loan:
        loan.array.fill(1)
    with subscriber.recv() as frame:
        assert (frame.pixel_format, frame.meta) == ("Mono8", {"a": 1})


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
    for kind, call in (
        (framebus.Publisher, "send"),
        (framebus.Subscriber, "try_recv"),
        (framebus.Subscriber, "__next__"),
    ):
        half = kind.__new__(kind)  # type: ignore[arg-type, call-overload]
        with pytest.raises(RuntimeError, match=rf"{kind.__name__}.__init__\(\) has not run; call super"):
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
    with pytest.raises(TypeError, match="doesn't apply to a 'Grabber' object"):
        Grabber().grab()  # type: ignore[misc]


def test_they_travel_and_explain_themselves_as_functions_do() -> None:
    for method in QUICK:
        assert pickle.loads(pickle.dumps(method)) is method
        assert copy.deepcopy(method) is method


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
