# SPDX-License-Identifier: Apache-2.0
"""A publisher's program with launch=: sends one frame, then what it is asked for, and may close the channel."""

from __future__ import annotations

import os
import time
import warnings
from dataclasses import asdict
from typing import Any

import numpy as np

import framebus
from talk import options, say, serve

OPTIONS: dict[str, Any] = options()
LAUNCH = [framebus.Launch(**launch) for launch in OPTIONS.pop("launch")]
CLOSES = OPTIONS.pop("closes", True)
PUBLISHER = framebus.Publisher(**OPTIONS, launch=LAUNCH)


def send() -> int:
    """Send a small frame."""
    return PUBLISHER.send(np.zeros(10, np.uint8))


def fork() -> int:
    """Leave a forked child that does nothing; return its process id."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads; the child only sleeps
        child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    return child


send()
say("sent")
serve(send=send, fork=fork, launched=lambda: [asdict(status) for status in PUBLISHER.launched])
if CLOSES:
    PUBLISHER.close()
    say("closed", launched=[asdict(status) for status in PUBLISHER.launched])
