# SPDX-License-Identifier: Apache-2.0
"""A publisher that comes and goes without end, and looks whether its files are where they belong while it is there.

A careless one takes away its own control block's name once in a while, as a person might, and may go on publishing for
a while without it. That leaves an orphaned store.
"""

from __future__ import annotations

import os
import random
import select
import sys
from pathlib import Path

import framebus
from talk import options, say

OPTIONS = options()
NAME = OPTIONS["name"]
CHANCE = random.Random(OPTIONS["seed"])
FILES = Path("/dev/shm")


def live_once() -> int:
    """Publish some frames, growing on the way; gives how many."""
    publisher = framebus.Publisher(NAME)
    count = CHANCE.randrange(1, 6)
    control = os.stat(FILES / f"framebus.{NAME}").st_ino
    nameless_after = CHANCE.randrange(1, 4 * count) if OPTIONS["careless"] else None
    for sent in range(count):
        if sent == nameless_after:
            (FILES / f"framebus.{NAME}").unlink()
            publisher.send(bytes(8 * 8), meta={"byte": 0})  # needs no new store
            break
        side = CHANCE.choice([8, 64, 256])
        with publisher.loan((side, side)) as loan:
            byte = CHANCE.randrange(256)
            loan.array.fill(byte)
            loan.meta = {"byte": byte}
        generation = publisher.statistics().generation
        assert os.stat(FILES / f"framebus.{NAME}").st_ino == control, "lost its control block"
        assert os.path.exists(FILES / f"framebus.{NAME}@{generation}"), "lost its store"
    publisher.close()
    return count


def hung_up() -> bool:
    """Whether the test has closed our standard input."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


say("ready")
LIVES = FRAMES = 0
while not hung_up():
    FRAMES += live_once()
    LIVES += 1
    if LIVES % 10 == 0:
        say("progress", lives=LIVES)
say("report", lives=LIVES, frames=FRAMES)
