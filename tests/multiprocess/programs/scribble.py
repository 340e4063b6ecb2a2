# SPDX-License-Identifier: Apache-2.0
"""A subscriber that writes to a frame with all means a Python program has: the kernel ends it."""

from __future__ import annotations

import ctypes

import framebus
from talk import options, say

SUBSCRIBER = framebus.Subscriber(**options())
FRAME = SUBSCRIBER.recv()
say("has a frame", seq=FRAME.seq)
ctypes.memset(FRAME.array.ctypes.data, 255, FRAME.array.nbytes)
say("has written")
