# SPDX-License-Identifier: Apache-2.0
"""Cleans shared memory again and again until the test hangs up, and reports what it found and removed."""

from __future__ import annotations

import select
import sys
from collections import Counter

from framebus.channel import doctor
from talk import say

ROUNDS = 0
REMOVED: Counter[str] = Counter()
PROBLEMS: list[str] = []
say("ready")
while not select.select([sys.stdin], [], [], 0)[0]:
    for result in doctor.clean():
        REMOVED[result.finding.kind] += result.removed
        if result.problem:
            PROBLEMS.append(result.problem)
    ROUNDS += 1
say("report", rounds=ROUNDS, removed=REMOVED, problems=PROBLEMS)
