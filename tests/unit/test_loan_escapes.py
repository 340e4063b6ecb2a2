# SPDX-License-Identifier: Apache-2.0
"""Which references to a loan's array are harmless, so that the usual loan costs no copy."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import framebus
from framebus.channel.loan import _has_escaped


def in_variables() -> bool:
    array = np.zeros(10)
    again = array
    assert again is not None
    return _has_escaped([(array, 2)], sys._getframe())


def in_a_closure() -> bool:
    array = np.zeros(10)

    def user() -> int:
        return array.size

    assert user() == 10
    return _has_escaped([(array, 1)], sys._getframe())


def in_a_memoryview() -> bool:
    array = np.zeros(10)
    view = memoryview(array)
    assert view.nbytes == 80
    return _has_escaped([(array, sys.getrefcount(array) - 1)], sys._getframe())


def in_a_list() -> bool:
    array = np.zeros(10)
    shelf = [array]
    assert shelf
    return _has_escaped([(array, sys.getrefcount(array) - 1)], sys._getframe())


@pytest.mark.parametrize(
    ("keep", "escaped"),
    [(in_variables, False), (in_a_closure, False), (in_a_memoryview, True), (in_a_list, True)],
)
def test_only_variables_of_the_function_are_harmless(keep: Callable[[], bool], escaped: bool) -> None:
    assert keep() is escaped


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
