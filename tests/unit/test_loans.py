# SPDX-License-Identifier: Apache-2.0
"""A loan is drawn in shared memory, sent at the end of its block, dropped if the block raises, and dead afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import framebus

Ends = tuple[framebus.Publisher, framebus.Subscriber]


@pytest.fixture
def ends(channel_name: str) -> Iterator[Ends]:
    """A publisher and a subscriber that gets every frame."""
    with framebus.Publisher(channel_name) as publisher:
        with framebus.Subscriber(channel_name, every=True, hold=4) as subscriber:
            yield publisher, subscriber


@pytest.mark.parametrize("dtype", ["uint8", np.uint16, np.dtype(">f4"), "bool", "complex128", "float16"], ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (5,), (48, 64), (2, 3, 1, 2, 3, 1, 2, 3)], ids=str)
def test_loan_is_an_array_to_draw_in_and_is_sent_at_the_end_of_its_block(
    ends: Ends, shape: tuple[int, ...], dtype: Any
) -> None:
    publisher, subscriber = ends
    with publisher.loan(shape, dtype) as loan:
        assert (loan.array.shape, loan.array.dtype) == (shape, np.dtype(dtype))
        assert loan.array.flags.writeable
        assert loan.array.flags.c_contiguous
        loan.array[...] = 1
        assert subscriber.try_recv() is None
    frame = subscriber.recv(5.0)
    assert (frame.seq, frame.array.shape, frame.array.dtype) == (1, shape, np.dtype(dtype))
    assert (frame.array == 1).all()
    assert list(frame.arrays) == ["image"]


def test_loan_is_of_uint8_unless_told_otherwise(ends: Ends) -> None:
    with ends[0].loan((3, 4)) as loan:
        assert loan.array.dtype == np.uint8
        loan.array.fill(0)


def test_each_loan_has_the_shape_and_dtype_that_it_was_asked_for(ends: Ends) -> None:
    pub, sub = ends
    changing, constant, name = [4, 5], (4, 5), "uint16"
    asked: list[tuple[Any, Any]] = [
        (constant, name), (constant, name), (constant, "uint8"), ((5, 4), "uint8"), (constant, np.dtype(name)),
        (20, name), (20, "uint8"), (changing, name), (changing, name),
    ]  # fmt: skip
    for shape, dtype in [*asked, *reversed(asked), *asked]:
        changing[0] += 1
        with pub.loan(shape, dtype) as loan:
            loan.array[:] = 1
        expected = (shape,) if isinstance(shape, int) else tuple(shape)
        with sub.recv(0) as frame:
            assert (frame.array.shape, frame.array.dtype) == (expected, np.dtype(dtype))


def test_loan_of_named_arrays_carries_all_of_them(ends: Ends) -> None:
    publisher, subscriber = ends
    with publisher.loan({"color": ((48, 64, 3), "uint8"), "depth": ((48, 64), "uint16")}) as loan:
        assert list(loan.arrays) == ["color", "depth"]
        loan.arrays["color"].fill(3)
        loan.arrays["depth"].fill(4000)
        np.testing.assert_array_equal(loan.array, loan.arrays["color"])
    frame = subscriber.recv(5.0)
    assert (frame.arrays["color"] == 3).all()
    assert (frame.arrays["depth"] == 4000).all()


def test_metadata_and_pixel_format_may_be_given_before_or_inside_the_block(ends: Ends) -> None:
    publisher, subscriber = ends
    with publisher.loan((2, 3), meta={"gain": 1}, pixel_format="Mono8") as loan:
        assert (loan.meta, loan.pixel_format) == ({"gain": 1}, "Mono8")
        loan.array.fill(0)
    with publisher.loan((2, 3)) as loan:
        loan.array.fill(0)
        loan.meta = {"gain": 2}
        loan.pixel_format = "BayerRG8"
    first, second = subscriber.recv(5.0), subscriber.recv(5.0)
    assert (first.meta, first.pixel_format) == ({"gain": 1}, "Mono8")
    assert (second.meta, second.pixel_format) == ({"gain": 2}, "BayerRG8")


def test_exception_in_the_block_drops_the_loan_and_goes_on_to_the_caller(ends: Ends) -> None:
    publisher, subscriber = ends

    def draw_and_fail() -> None:
        with publisher.loan((48, 64)) as loan:
            loan.array.fill(9)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        draw_and_fail()
    assert subscriber.try_recv() is None
    assert publisher.send(np.zeros(3)) == 1
    assert publisher.statistics().frames == 1


@pytest.mark.parametrize("raises", [False, True], ids=["sent", "dropped"])
def test_loan_that_has_ended_refuses_its_arrays(ends: Ends, raises: bool) -> None:
    with contextlib.suppress(ZeroDivisionError):
        with ends[0].loan((48, 64)) as loan:
            loan.array.fill(1)
            _ = 1 / (not raises)
    for use in (lambda: loan.array, lambda: loan.arrays):
        with pytest.raises(framebus.LoanEnded) as refusal:
            use()
        assert isinstance(refusal.value, framebus.Error)
        assert isinstance(refusal.value, ValueError)


@pytest.mark.parametrize("raises", [False, True], ids=["sent", "dropped"])
def test_array_kept_from_a_loan_refuses_to_be_written(ends: Ends, raises: bool) -> None:
    with contextlib.suppress(ZeroDivisionError):
        with ends[0].loan((48, 64)) as loan:
            kept = loan.array
            kept.fill(1)
            _ = 1 / (not raises)
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0] = 2
    with pytest.raises(ValueError, match=r"(?i)writeable"):
        kept.flags.writeable = True


@pytest.mark.parametrize(
    "derive",
    [
        lambda array: array[10:20],
        lambda array: array.T,
        lambda array: array.reshape(-1),
        lambda array: np.asarray(memoryview(array)),
        lambda array: np.from_dlpack(array),
    ],
    ids=["slice", "transposed", "reshaped", "memoryview", "dlpack"],
)
def test_nothing_kept_from_a_loan_changes_a_frame_that_was_sent(ends: Ends, derive: Any) -> None:
    publisher, subscriber = ends
    with publisher.loan((48, 64)) as loan:
        loan.array.fill(1)
        derived = derive(loan.array)
    frame = subscriber.recv(5.0)
    with contextlib.suppress(ValueError):
        derived[...] = 2
    assert (frame.array == 1).all()


def test_nothing_kept_from_a_loan_changes_the_frames_after_it(ends: Ends) -> None:
    publisher, subscriber = ends
    with publisher.loan((48, 64)) as loan:
        loan.array.fill(1)
        derived = loan.array[10:20]
    subscriber.recv(5.0).release()
    for number in range(2, 40):
        publisher.send(np.full((48, 64), number, np.uint8))
        with contextlib.suppress(ValueError):
            derived[...] = 255
        assert set(subscriber.recv(5.0).array.ravel().tolist()) == {number}


def test_several_loans_may_be_open_and_are_numbered_as_they_end(ends: Ends) -> None:
    publisher, subscriber = ends
    with contextlib.ExitStack() as last, contextlib.ExitStack() as middle:
        slowest = last.enter_context(publisher.loan((48, 64)))
        slower = middle.enter_context(publisher.loan((48, 64)))
        slowest.array.fill(30)
        slower.array.fill(20)
        assert publisher.send(np.full((48, 64), 10, np.uint8)) == 1
    assert [(frame.seq, int(frame.array.max())) for frame in (subscriber.recv(5.0) for _ in range(3))] == [
        (1, 10),
        (2, 20),
        (3, 30),
    ]


def test_loans_never_used_do_not_use_up_the_slots(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=2, on_full="raise") as publisher:
        for _ in range(200):
            publisher.loan((48, 64))
        assert publisher.send(np.zeros(3)) == 1
        assert publisher.statistics().slots < 20


def test_loans_dropped_by_exceptions_do_not_use_up_the_slots(channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=2, on_full="raise") as publisher:
        for _ in range(200):
            with contextlib.suppress(ZeroDivisionError), publisher.loan((48, 64)):
                _ = 1 / 0
        assert publisher.statistics().slots < 20


def test_loan_may_grow_the_channel_while_another_is_open(ends: Ends) -> None:
    publisher, subscriber = ends
    with publisher.loan((48, 64)) as small:
        small.array.fill(1)
        with publisher.loan((2160, 3840)) as large:
            large.array.fill(2)
        small.array[:] = 3
    first, second = subscriber.recv(5.0), subscriber.recv(5.0)
    assert (first.array.shape, set(np.unique(first.array))) == ((2160, 3840), {2})
    assert (second.array.shape, set(np.unique(second.array))) == ((48, 64), {3})


def test_array_of_a_loan_may_be_written_after_its_publisher_was_closed(channel_name: str) -> None:
    publisher = framebus.Publisher(channel_name)
    with contextlib.suppress(framebus.Error):
        with publisher.loan((48, 64)) as loan:
            array = loan.array
            publisher.close()
            with contextlib.suppress(ValueError):
                array.fill(1)


@pytest.mark.parametrize(
    ("shape", "dtype", "error"),
    [
        ((3, -1), "uint8", ValueError),
        ((1,) * 9, "uint8", ValueError),
        ((2**40, 2**40), "uint8", (ValueError, framebus.FrameTooLarge)),
        ((3, 2.5), "uint8", TypeError),
        ("abc", "uint8", TypeError),
        ((3,), "object", TypeError),
        ((3,), "datetime64[s]", TypeError),
        ((3,), "U5", TypeError),
        ((3,), [("x", "f4")], TypeError),
        ((3,), "no such dtype", TypeError),
    ],
    ids=lambda value: str(value)[:20],
)
def test_loan_of_something_impossible_is_refused(ends: Ends, shape: Any, dtype: Any, error: type[Exception]) -> None:
    publisher, subscriber = ends
    with pytest.raises(error):
        publisher.loan(shape, dtype)
    assert publisher.send(np.zeros(3)) == 1
    assert subscriber.recv(5.0).seq == 1
