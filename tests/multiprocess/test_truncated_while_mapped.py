# SPDX-License-Identifier: Apache-2.0
"""Files of a channel made shorter while programs read and write them: an error at both ends, and no signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.started import Started

import framebus

READS_FOR_EVER = """
import sys, framebus
said = False
subscriber = framebus.Subscriber(sys.argv[1], every=sys.argv[2] == "every")
try:
    while True:
        frame = subscriber.recv(10)
        total = sum(int(frame.array.sum()) for _ in range(20))
        if not said:
            said = not print("reading", flush=True)
except framebus.CorruptChannel as error:
    print("CorruptChannel", error)
except framebus.ChannelClosed:
    # The publisher was faster to notice, and we were waiting: nothing that is gone has been touched yet.
    frame.array.sum()
    try:
        subscriber.try_recv()
    except framebus.CorruptChannel as error:
        print("CorruptChannel", error)
"""

SENDS_FOR_EVER = """
import sys, framebus, numpy
said = False
publisher = framebus.Publisher(sys.argv[1])
image = numpy.full((480, 640), 7, "uint8")
try:
    while True:
        if sys.argv[2] == "send":
            publisher.send(image)
        else:
            with publisher.loan(image.shape) as loan:
                loan.array[:] = image
        if not said:
            said = not print("sending", flush=True)
except framebus.CorruptChannel as error:
    print("CorruptChannel", error)
"""


def check_a_new_channel_works(name: str) -> None:
    with framebus.Publisher(name) as publisher, framebus.Subscriber(name) as subscriber:
        publisher.send(np.full((48, 64), 7, np.uint8))
        assert (subscriber.recv(5).array == 7).all()


class Worker(Started):
    """A program that works until the files are spoilt; everything it says is read."""

    def __init__(self, code: str, *arguments: str) -> None:
        super().__init__(sys.executable, "-c", code, *arguments, stderr=None)

    def last_words(self) -> str:
        """The last line; it must have ended by itself."""
        status, output, _ = self.finish()
        last = output.splitlines()[-1:]
        assert status == 0, f"ended with status {status} after {last}"
        return last[0]


@pytest.mark.parametrize("which", ["control block", "store", "both"])
@pytest.mark.parametrize("how", ["send", "loan"])
def test_files_truncated_while_programs_work_end_both_with_an_error_and_without_a_signal(
    channel_name: str, which: str, how: str
) -> None:
    workers = [Worker(SENDS_FOR_EVER, channel_name, how)]
    try:
        assert workers[0].line()
        workers.append(Worker(READS_FOR_EVER, channel_name, "every" if how == "send" else "latest"))
        assert workers[1].line()
        (store,) = Path("/dev/shm").glob(f"framebus.{channel_name}@*")
        control_block = Path(f"/dev/shm/framebus.{channel_name}")
        spoilt = {"control block": [control_block], "store": [store]}
        for path in spoilt.get(which, [store, control_block]):
            os.truncate(path, 0)
        for worker in workers:
            words = worker.last_words()
            assert words.startswith("CorruptChannel")
            assert channel_name in words
    finally:
        for worker in workers:
            worker.end()
    check_a_new_channel_works(channel_name)


def test_an_array_kept_beyond_the_truncation_reads_zeros_where_its_pages_are_gone(channel_name: str) -> None:
    with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
        publisher.send(np.full(1 << 20, 7, np.uint8))
        frame = subscriber.recv(5)
        array = frame.array
        assert (array == 7).all()
        os.truncate(f"/dev/shm/framebus.{channel_name}@1", 4096)
        assert (array == 0).all()
        with pytest.raises(framebus.CorruptChannel, match="made shorter while it was in use"):
            subscriber.try_recv()
        with pytest.raises(framebus.CorruptChannel, match="made shorter while it was in use"):
            publisher.send(array)


TOUCHES_WHAT_IS_GONE = """
import os, sys, framebus, numpy
{before}
with framebus.Publisher(sys.argv[1]) as publisher, framebus.Subscriber(sys.argv[1]) as subscriber:
    publisher.send(numpy.full(100_000, 7, "uint8"))
    array = subscriber.recv(10).array
    {between}
    os.truncate("/dev/shm/framebus." + sys.argv[1] + "@1", 4096)
    print(int(array[-1]), flush=True)
    try:
        subscriber.try_recv()
    except framebus.CorruptChannel:
        print("CorruptChannel")
"""
OFF, ON = "framebus.handle_sigbus(False)", "framebus.handle_sigbus(True)"
WAYS = {
    "on without a word": (None, "", "", True),
    "off by the environment": ("off", "", "", False),
    "another word in the environment": ("on", "", "", True),
    "off before the first mapping": (None, OFF, "", False),
    "off while mapped": (None, "", OFF, False),
    "off by the environment, on by call": ("off", "", ON, True),
    "off and on again": (None, OFF, ON, True),
}


@pytest.mark.parametrize(("environment", "before", "between", "survives"), WAYS.values(), ids=WAYS)
def test_the_handler_is_on_until_it_is_switched_off_and_without_it_the_signal_ends_the_program(
    channel_name: str, environment: str | None, before: str, between: str, survives: bool
) -> None:
    variables = {name: value for name, value in os.environ.items() if name != "FRAMEBUS_SIGBUS"}
    if environment is not None:
        variables["FRAMEBUS_SIGBUS"] = environment
    code = TOUCHES_WHAT_IS_GONE.format(before=before, between=between or "pass")
    run = subprocess.run(
        [sys.executable, "-c", code, channel_name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=variables,
    )
    if survives:
        assert (run.returncode, run.stdout) == (0, "0\nCorruptChannel\n"), run.stderr
    else:
        assert (run.returncode, run.stdout) == (-signal.SIGBUS, ""), run.stderr
        framebus.Publisher(channel_name).close()  # takes over what the dead program has left, and removes it


def test_a_value_that_is_not_a_bool_does_not_switch_the_handler() -> None:
    with pytest.raises(TypeError):
        framebus.handle_sigbus("off")  # type: ignore[arg-type]
