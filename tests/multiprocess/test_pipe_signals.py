# SPDX-License-Identifier: Apache-2.0
"""A program at the other end of a pipe that fails is reported, whatever this process does with its signals."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from tests.support.child_signals import ignore_sigchld, reap_every_child

import framebus

PICTURE = np.zeros((2, 2), np.uint8)


def block_everything() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - {signal.SIGALRM})


@pytest.fixture(params=[ignore_sigchld, reap_every_child, block_everything])
def signals(request: pytest.FixtureRequest) -> Iterator[None]:
    """Signals that a program has made its own; undone after the test."""
    mask, handler = signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getsignal(signal.SIGCHLD)
    spoil: Callable[[], None] = request.param
    spoil()
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(("script", "says"), [("exit 3", "status 3"), ("kill -9 $$", "SIGKILL")])
def test_program_that_fails_after_the_frames_is_reported(script: str, says: str) -> None:
    sink = framebus.sink("pipe:", argv=["sh", "-c", f"cat > /dev/null; {script}"])
    sink.send(PICTURE)
    with pytest.raises(framebus.EndpointError, match=says):
        sink.close()
    source = framebus.source("pipe:", argv=["sh", "-c", script])
    with pytest.raises(framebus.PublisherDied, match=says):
        source.recv(60)
    source.close()


@pytest.mark.usefixtures("signals")
def test_program_that_does_well_is_no_error_and_gets_all() -> None:
    with framebus.sink("pipe:", mode="byte", argv=["sh", "-c", f"test $(wc -c) -eq {3 * PICTURE.nbytes}"]) as sink:
        for _ in range(3):
            sink.send(PICTURE)
    assert sink.statistics().frames == 3


@pytest.mark.usefixtures("signals")
def test_program_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(framebus.EndpointError, match=r"can't start '/nowhere/program'.*No such file"):
        framebus.sink("pipe:", argv=["/nowhere/program"])


@pytest.mark.usefixtures("signals")
def test_program_that_goes_on_is_ended() -> None:
    source = framebus.source("pipe:", argv=["sleep", "600"])
    source.close()
    sink = framebus.sink("pipe:", argv=["sleep", "600"], linger=0.1)
    with pytest.raises(framebus.EndpointError, match="did not end"):
        sink.close()
