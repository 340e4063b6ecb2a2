# SPDX-License-Identifier: Apache-2.0
"""Where every core has something to do, adaptive waiting doesn't spin: that would keep the publisher from running."""

from __future__ import annotations

import os
import time

import pytest
from tests.support.harness import Programs

import framebus

FRESH_S = 0.02  # for so long it goes by an older answer to the question whether a core is idle


def wait_in_vain(subscriber: framebus.Subscriber) -> None:
    with pytest.raises(framebus.Timeout):
        subscriber.recv(timeout=0.001)


def test_adaptive_does_not_spin_where_every_core_is_busy(programs: Programs, channel_name: str) -> None:
    busy = [programs.start("busy") for _ in os.sched_getaffinity(0)]
    for program in busy:
        program.expect("busy")
    with (
        framebus.Publisher(channel_name, on_full="block") as publisher,
        framebus.Subscriber(channel_name, every=True, wait="adaptive") as subscriber,
    ):
        began = time.monotonic()
        while time.monotonic() - began <= 2 * FRESH_S:  # by then it has asked
            wait_in_vain(subscriber)
        before = subscriber.statistics()
        for _ in range(70):  # there are 63 waits between two tries
            wait_in_vain(subscriber)
        after = subscriber.statistics()
        assert after.spun_s == before.spun_s
        assert after.sleeps - before.sleeps >= 50
        publisher.send(b"still here")
        assert subscriber.recv(30.0).array.tobytes() == b"still here"
    for program in busy:
        program.kill()
