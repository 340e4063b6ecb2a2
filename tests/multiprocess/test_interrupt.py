# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C gets a program out of every call that waits. The delay is printed (`pytest -s`), not judged."""

from __future__ import annotations

import signal
import time

import pytest
from tests.support.harness import Programs

import framebus

CALLS = {
    "recv": {"call": "recv"},
    "recv that spins": {"call": "recv", "wait": "spin"},
    "recv that parks": {"call": "recv", "wait": "park"},
    "recv of a frame that is not due": {"call": "recv_paced", "url": "pattern:bars?fps=0.001"},
    "iteration": {"call": "iterate"},
    "async iteration": {"call": "iterate_async"},
    "recv_async": {"call": "await"},
    "recv_async in trio": {"call": "await_in_trio"},
    "wait for several": {"call": "wait"},
    "wait for several that spin": {"call": "wait", "wait": "spin"},
    "send with on_full='block'": {"call": "send"},
    "loan with on_full='block'": {"call": "loan"},
    "connect_timeout": {"call": "connect"},
    "relay that waits for a frame": {"call": "relay"},
    "relay that waits for the time of the next frame": {"call": "relay_slowly"},
    "recv of a base image": {"call": "receive_base_image"},
    "send with wait_for_reader=True": {"call": "send_base_image"},
    "connect_timeout of a base image": {"call": "connect_to_base_image"},
    "recv from pipe:": {"call": "receive_from_pipe"},
    "send to pipe:": {"call": "send_to_pipe"},
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS.keys())
def test_ctrl_c_ends_the_call_with_keyboard_interrupt(
    programs: Programs, channel_name: str, options: dict[str, str], request: pytest.FixtureRequest
) -> None:
    program = programs.start("interrupt", name=channel_name, **options)
    program.expect("waiting")
    sent_ns = time.monotonic_ns()
    program.signal(signal.SIGINT)
    delay_ms = (program.expect("interrupted")["at_ns"] - sent_ns) / 1e6
    print(f"\n{request.node.callspec.id}: out of the call {delay_ms:.1f} ms after Ctrl-C")
    assert program.wait() == -signal.SIGINT
    assert "KeyboardInterrupt" in program.errors()
    with pytest.raises(framebus.ChannelNotFound):
        framebus.Subscriber(channel_name)
