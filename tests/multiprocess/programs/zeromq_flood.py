# SPDX-License-Identifier: Apache-2.0
"""A foreign sender that floods its receivers with messages that are not frames, and never pauses.

It is a plain ZeroMQ socket. One message in a hundred has more parts than a frame, all others have one. It says
`flooding` when the receiver has taken a thousand.
"""

from __future__ import annotations

import itertools

import zmq

from talk import options, say

OPTIONS = options()

with zmq.Context() as CONTEXT, CONTEXT.socket(zmq.PUSH if OPTIONS["mode"] == "every" else zmq.XPUB) as SOCKET:
    SOCKET.linger = 0
    SOCKET.bind(OPTIONS["address"])
    say("ready")
    if OPTIONS["mode"] == "latest":
        SOCKET.recv()  # the receiver subscribes
    for COUNT in itertools.count(1):
        SOCKET.send_multipart([b"no frame"] * (1 if COUNT % 100 else 50))
        if COUNT == 1000:
            say("flooding")
