# SPDX-License-Identifier: Apache-2.0
"""The warning of docs/concurrency.md: recv() stops the hub of gevent."""

from __future__ import annotations

import subprocess
import sys

STOPPED = """
import sys, gevent, framebus
with framebus.Publisher(sys.argv[1]), framebus.Subscriber(sys.argv[1]) as sub:
    ran = []
    gevent.spawn(ran.append, True)
    try:
        sub.recv(0.1)
    except framebus.Timeout:
        print(ran)
    gevent.sleep(0)
    print(ran)
"""


def test_a_plain_recv_stops_the_hub_as_the_page_warns(channel_name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, channel_name], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "[]\n[True]\n"
