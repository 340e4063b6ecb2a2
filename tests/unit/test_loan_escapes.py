# SPDX-License-Identifier: Apache-2.0
"""Which references to a loan's array are harmless, so that the usual loan costs no copy."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest

import framebus

FRAME_BYTES = 1 << 20  # a copy needs another slot with as many bytes of memory


def nothing(publisher: framebus.Publisher) -> object:
    with publisher.loan(FRAME_BYTES) as loan:
        loan.array.fill(1)
    return None


def in_variables(publisher: framebus.Publisher) -> object:
    with publisher.loan(FRAME_BYTES) as loan:
        array = loan.array
        again = array
        again.fill(1)
    return array, again


def in_a_closure(publisher: framebus.Publisher) -> object:
    def size() -> int:
        return array.size

    with publisher.loan(FRAME_BYTES) as loan:
        array = loan.array
        assert size() == FRAME_BYTES
    return array


def in_a_memoryview(publisher: framebus.Publisher) -> object:
    with publisher.loan(FRAME_BYTES) as loan:
        kept = memoryview(loan.array)
    return [kept]


def in_a_list(publisher: framebus.Publisher) -> object:
    with publisher.loan(FRAME_BYTES) as loan:
        shelf = [loan.array]
    return tuple(shelf)


def in_a_slice(publisher: framebus.Publisher) -> object:
    with publisher.loan(FRAME_BYTES) as loan:
        part = loan.array[3:]
    return [part]


def in_a_variable_and_a_list(publisher: framebus.Publisher) -> object:
    with publisher.loan(FRAME_BYTES) as loan:
        array = loan.array
        shelf = [array]
    return tuple(shelf)


def slots_used(name: str, use: Callable[[framebus.Publisher], object]) -> int:
    """How many slots have memory after one loan: that of the frame, the next one, and that of a copy."""
    with framebus.Publisher(name) as publisher:
        kept = use(publisher)
        used = publisher.statistics().memory_bytes // FRAME_BYTES
        del kept
    return used


@pytest.mark.parametrize("use", [in_variables, in_a_closure])
def test_variables_of_the_function_are_harmless(channel_name: str, use: Callable[[framebus.Publisher], object]) -> None:
    assert slots_used(channel_name, use) == slots_used(channel_name, nothing)


@pytest.mark.parametrize("use", [in_a_memoryview, in_a_list, in_a_slice, in_a_variable_and_a_list])
def test_for_anything_else_a_copy_is_sent(channel_name: str, use: Callable[[framebus.Publisher], object]) -> None:
    assert slots_used(channel_name, use) == slots_used(channel_name, nothing) + 1


def test_looking_at_the_variables_keeps_none_of_them_alive(channel_name: str) -> None:
    class Something:
        pass

    with framebus.Publisher(channel_name) as pub:
        something = Something()
        gone = weakref.ref(something)
        with pub.loan((10,)) as loan:
            array = loan.array
            array.fill(1)
        del something
        gc.collect()
        assert gone() is None
        assert array.size == 10


def test_a_loan_that_its_metadata_refer_to_is_collected(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher:
        loan = publisher.loan(10)
        loan.meta = {"itself": loan}
        alive = [thing for thing in gc.get_objects() if isinstance(thing, framebus.Loan)]
        assert alive == [loan]
        del loan, alive
        gc.collect()
        assert not [thing for thing in gc.get_objects() if isinstance(thing, framebus.Loan)]
