# SPDX-License-Identifier: Apache-2.0
"""A program with both ends of a channel open that starts a child of its own, which outlives it.

`how="fork"` forks this interpreter; `how="exec"` starts another program that is given every inheritable descriptor.
The child ends when the pipe they share for their standard input does.
"""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

import framebus
from talk import options, say

OPTIONS = options()
NAME = OPTIONS["name"]
PUBLISHER = framebus.Publisher(NAME)
SUBSCRIBER = framebus.Subscriber(NAME, hold=4)
PUBLISHER.send(np.zeros((48, 64), np.uint8))
FRAME = SUBSCRIBER.recv(5)

if OPTIONS["how"] == "fork":
    CHILD = os.fork()
    if CHILD == 0:
        say("child_runs", pid=os.getpid())
        sys.stdin.read()
        os._exit(0)
else:
    CHILD_CODE = (
        'import os, sys; os.write(1, b\'{"kind": "child_runs", "pid": %d}\\n\' % os.getpid()); sys.stdin.read()'
    )
    subprocess.Popen([sys.executable, "-c", CHILD_CODE], close_fds=False)
say("ready")
sys.stdin.read()
del FRAME
SUBSCRIBER.close()
PUBLISHER.close()
