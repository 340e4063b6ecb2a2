# SPDX-License-Identifier: Apache-2.0
"""One program of a pipeline: frames from standard input, inverted, to standard output.

In between it prints in every way that leads to standard output, as libraries do. Options: `die_after` frames, without
closing anything; `read` frames at most; `status` to end with.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import framebus

OPTIONS = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}

print("printed before the stream begins")
with framebus.source("pipe:stdin") as SOURCE, framebus.sink("pipe:stdout") as SINK:  # type: ignore[attr-defined]
    for count, frame in enumerate(SOURCE, start=1):
        print("printed by Python")
        os.write(1, b"written by C\n")
        subprocess.run(["echo", "printed by a child"], check=True)
        SINK.send({name: ~array for name, array in frame.arrays.items()}, meta=frame.meta, seq=frame.seq)
        if count == OPTIONS.get("die_after"):
            os.kill(os.getpid(), signal.SIGKILL)
        if count == OPTIONS.get("read"):
            break
assert sys.stdin.read() == "", "something is left of standard input"
sys.exit(OPTIONS.get("status", 0))
