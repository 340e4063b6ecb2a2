# SPDX-License-Identifier: Apache-2.0
"""python -m tests.torture --minutes N [--seed S]: tortures framebus, and exits with 1 at the first fault.

The seed is printed first. The last line says how much was checked; a run that checked no frame or killed nobody counts
as a fault.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import payload
from tests.torture.plan import Plan
from tests.torture.program import Fault
from tests.torture.rounds import ROUND_S, SHARED_MEMORY, Round, Tally

ROOM_FOR_4K = 6 << 30  # bytes; three channels, all budgets in use, two stores each while growing


def largest_here() -> str:
    """What frames there is room for."""
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free >= ROOM_FOR_4K:
        return "4k"
    print(f"torture: {free >> 20} MiB are free in {SHARED_MEMORY}, so frames stay below 1080p", flush=True)
    return "vga"


def counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(kinds.items(), key=lambda item: -item[1]))


def run(seed: int, seconds: float, folder: Path, tally: Tally) -> None:
    """Runs rounds until the time is over. Raises Fault."""
    payload.write_file(folder / "bytes")
    steps = Plan(seed, largest_here())
    end = time.monotonic() + seconds
    number = 0
    while (left := end - time.monotonic()) > 0 or number == 0:
        number += 1
        inside = folder / str(number)
        inside.mkdir()
        one = Round(number, f"torture.{os.getpid()}", inside, steps, tally)
        try:
            one.run(min(left, ROUND_S))
        except BaseException as reason:
            one.abandon()
            if isinstance(reason, Fault):
                raise Fault(f"round {number}, step {one.done}, {one.describe()}:\n{reason}") from None
            raise
        shutil.rmtree(inside)
        print(f"torture: round {number}: {tally.frames} frames, {sum(tally.killed.values())} kills so far", flush=True)
    if tally.frames == 0 or sum(tally.killed.values()) == 0 or tally.counted == 0:
        raise Fault("nothing was tortured: no frame checked, nobody killed, or no counts added up")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats the decisions of the run that printed it")
    chosen = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if chosen.seed is None else chosen.seed
    print(f"torture: seed {seed}, {chosen.minutes:g} minutes", flush=True)
    tally = Tally()
    folder = Path(tempfile.mkdtemp(prefix="framebus-torture."))
    faults = 0
    try:
        run(seed, 60 * chosen.minutes, folder, tally)
        shutil.rmtree(folder)
    except Fault as fault:
        faults = 1
        print(f"torture: FAULT with seed {seed}, {fault}\ntorture: the journals are in {folder}", flush=True)
    except KeyboardInterrupt:
        shutil.rmtree(folder)
        print("torture: interrupted", flush=True)
        faults = 1
    print(f"torture: {tally.stops} stops, {tally.counted} subscribers counted; killed: {counted(tally.killed_while)}")
    print(
        f"torture: SEED {seed}, {tally.frames} frames checked, {sum(tally.killed.values())} kills "
        f"({counted(tally.killed) or 'none'}), {tally.started['publisher']} publishers, "
        f"{tally.started['subscriber']} subscribers, {faults} faults",
        flush=True,
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
