# SPDX-License-Identifier: Apache-2.0
"""Becomes another user, started by root, and then runs another program of this folder.

All that the other program imports is loaded before: the other user may not be allowed to read it. What framebus
refuses is told as `refused`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np  # noqa: F401

import framebus
import numbered  # noqa: F401 - loaded before the user changes
from talk import options, say

OPTIONS = options()
PATH = Path(__file__).with_name(f"{OPTIONS['program']}.py")
CODE = compile(PATH.read_bytes(), PATH, "exec")

os.setgroups(OPTIONS.get("groups", []))
os.setgid(OPTIONS["gid"])
os.setuid(OPTIONS["uid"])
sys.argv[1] = json.dumps(OPTIONS["options"])
try:
    exec(CODE, {"__name__": "__main__", "__file__": str(PATH)})
except framebus.Error as error:
    say("refused", error=type(error).__name__, message=str(error))
