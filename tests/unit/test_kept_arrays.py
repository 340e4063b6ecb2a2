# SPDX-License-Identifier: Apache-2.0
"""Arrays of ended loans are used again for later ones, and no program can tell by anything but `is`."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike

import framebus

LOANS = 40  # a channel has 8 slots, so each slot is lent several times


def lend(publisher: framebus.Publisher, then: Callable[[np.ndarray], object], dtype: DTypeLike = "u2") -> None:
    """Lends, passes the array on without keeping it, and sends."""
    with publisher.loan((4, 6), dtype) as loan:
        then(loan.array)


def test_arrays_are_used_again(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        seen: list[int] = []
        for _ in range(LOANS):
            lend(publisher, lambda array: seen.append(id(array)))
        held = [np.zeros((4, 6), "u2") for _ in range(LOANS)]  # what is free again in numpy's heap is taken now
        lend(publisher, lambda array: seen.append(id(array)))
    assert seen[-1] in seen[:-1]
    assert seen[-1] not in map(id, held)


def reshape(array: np.ndarray) -> None:
    array.shape = (24,)


def reshape_base(array: np.ndarray) -> None:
    assert array.base is not None
    array.base.shape = (24,)


def retype(array: np.ndarray) -> None:
    array.dtype = np.dtype("i2")


def swap(array: np.ndarray) -> None:
    array.dtype = array.dtype.newbyteorder()


def lock(array: np.ndarray) -> None:
    array.flags.writeable = False


def misalign(array: np.ndarray) -> None:
    array.flags.aligned = False


def retype_both(array: np.ndarray) -> None:
    assert array.base is not None
    array.dtype = array.base.dtype = np.dtype("i2")


def take_apart(array: np.ndarray) -> None:
    array.__setstate__((1, (4, 6), np.dtype("u2"), False, bytes(48)))


CHANGES = (reshape, reshape_base, retype, retype_both, swap, lock, misalign, take_apart)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of some numpys for some of these
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_program_changed_in_place_does_not_come_back(
    channel_name: str, change: Callable[[np.ndarray], None]
) -> None:
    def check(array: np.ndarray) -> None:
        assert array.base is not None
        for each in (array, array.base):
            assert (each.shape, each.dtype, each.strides) == ((4, 6), np.dtype("u2"), (12, 2))
            assert each.flags.writeable
            assert each.flags.aligned
            assert each.flags.c_contiguous
        change(array)

    with framebus.Publisher(channel_name) as publisher:
        for _ in range(LOANS):
            lend(publisher, check)


def test_other_strides_of_a_length_of_one_do_not_come_back(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for _ in range(LOANS):
            with publisher.loan((1, 6), "u2") as loan:
                assert loan.array.strides == (12, 2)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    loan.array.strides = (2, 2)


def test_memory_that_a_program_took_from_its_array_stays_mapped_and_what_was_sent_stays(channel_name: str) -> None:
    """A program that takes the view apart has the only other reference to the base; so a copy is sent."""

    def take(array: np.ndarray) -> np.ndarray:
        base = array.base
        assert base is not None
        take_apart(array)
        return base

    publisher = framebus.Publisher(channel_name)
    with framebus.Subscriber(channel_name) as subscriber:
        with publisher.loan((4, 6), "u2") as loan:
            loan.array.fill(1)
            kept = memoryview(take(loan.array))
        with subscriber.recv(timeout=30) as frame:
            kept[0, 0] = 99
            assert (frame.array == 1).all()
        publisher.close()
    del publisher, loan
    gc.collect()
    assert kept[0, 0] == 99


def test_the_next_loan_of_a_slot_may_have_another_type(channel_name: str) -> None:
    kinds = ((8, "u1"), ((2, 4), "u1"), (8, "i1"), (2, ">u4"), (2, "<u4"), ((), "c8"), ((0, 3), "u1"))
    with framebus.Publisher(channel_name, slots=4) as publisher:
        with framebus.Subscriber(channel_name, history=1) as subscriber:
            for shape, dtype in (kind for pair in product(kinds, kinds) for kind in pair for _ in range(4)):
                with publisher.loan(shape, dtype) as loan:
                    loan.array[...] = 100
                with subscriber.recv(timeout=30) as frame:
                    assert (frame.array.dtype, frame.array.shape) == (np.dtype(dtype), np.zeros(shape).shape)
                    assert (frame.array == 100).all()


def test_an_array_in_a_variable_stays_what_it_was(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        with publisher.loan((4, 6), "u2") as loan:
            kept = loan.array
            kept[...] = 1
        for _ in range(LOANS):
            lend(publisher, lambda array: pytest.fail("lent again") if array is kept else array.fill(2))
            assert not kept.flags.writeable


def test_an_array_that_a_weak_reference_knows_ends_with_its_loan(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        known: list[weakref.ref[np.ndarray]] = []
        lend(publisher, lambda array: known.append(weakref.ref(array)))
        assert known[0]() is None


def test_loans_at_the_same_time_have_arrays_of_their_own(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for _ in range(LOANS):
            with publisher.loan(64) as first, publisher.loan(64) as second:
                first.array.fill(1)
                second.array.fill(2)
                assert first.array[0] == 1
                assert not np.shares_memory(first.array, second.array)


def test_what_is_kept_holds_no_memory_of_the_channel(channel_name: str) -> None:
    """A store that a larger one replaces is unmapped, though arrays over it are kept."""

    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(" /dev/shm/")

    with framebus.Publisher(channel_name) as publisher:
        before = mapped()
        for _ in range(LOANS):
            lend(publisher, lambda array: array.fill(1))
        with_store = mapped()
        assert with_store > before
        with publisher.loan(1 << 22) as loan:
            loan.array.fill(1)
        assert mapped() == with_store


def test_an_array_that_was_kept_can_be_read_after_the_publisher(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        for _ in range(LOANS):
            lend(publisher, lambda array: array.fill(7))
        with publisher.loan((4, 6), "u2") as loan:
            kept = loan.array
            kept.fill(7)
    del publisher, loan
    assert (kept == 7).all()
