# SPDX-License-Identifier: Apache-2.0
"""How much code and data one call of send(), a loan, recv() or .array needs: what has to come into the caches.

Two runs of the same program differ by a number of calls, and callgrind counts. Code: a line of 64 bytes or a page of
4 KiB counts if it has an instruction that every call executes, in framebus, Python, numpy or the C library; the
instructions counted are those of framebus itself, nanobind included. Data: callgrind simulates a first-level cache that
is larger than what a call needs, and the program reads bytes that fill it before each call; the misses are the lines
that the call touches. Needs valgrind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CALLS = 400
BASE = 100
WORKS = ("nothing", "send", "loan", "loan_array", "received", "looked_at", "warm_up")
COLD_CALLS = 20
CACHE = 1 << 20  # bytes of the simulated cache; a call touches less than a tenth
SCRUBBED = 4 * CACHE  # bytes that are read before each call
OURS = "framebus"  # in the name of the object with the instructions of framebus itself

_SETUP = """\
import os, sys
import numpy as np
import framebus
name = f"bench.instructions.{os.getpid()}"
image = np.zeros(64, np.uint8)
pub, sub = framebus.Publisher(name), framebus.Subscriber(name, hold=4)
def send():
    pub.send(image)
def loan():
    with pub.loan(64) as lent:
        pass
def loan_array():
    with pub.loan(64) as lent:
        lent.array
def received():
    pub.send(image)
    sub.recv().release()
def looked_at():
    pub.send(image)
    frame = sub.recv()
    frame.array
    frame.release()
def warm_up():
    pub.warm_up()
def nothing():
    pass
work = globals()[sys.argv[1]]
scrubbed = int(sys.argv[3])
scrubber = bytes(scrubbed)
send()
sub.recv().release()
for _ in range(int(sys.argv[2])):
    if scrubbed:
        scrubber.find(1)
    work()
pub.close()
"""


@dataclass(frozen=True)
class Code:
    """What one call executes."""

    instructions: float
    lines: int
    our_lines: int
    pages: int
    data_lines: float


def callgrind(work: str, calls: int, scrubbed: int, folder: Path, *options: str) -> Path:
    """Runs the program under callgrind, reading `scrubbed` bytes before each call. Returns the file of counts."""
    out = folder / f"{work}.{calls}.{scrubbed}"
    command = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={out}", *options]
    program = [sys.executable, "-c", _SETUP, work, str(calls), str(scrubbed)]
    subprocess.run([*command, *program], check=True, env=os.environ | {"PYTHONHASHSEED": "0"})
    return out


def run(work: str, calls: int, folder: Path) -> Counter[tuple[str, int]]:
    """How often each instruction was executed, by object and address."""
    options = ("--dump-instr=yes", "--dump-line=no", "--compress-pos=no", "--compress-strings=no")
    return parsed(callgrind(work, calls, 0, folder, *options))


def misses(work: str, calls: int, folder: Path) -> int:
    """Lines of data that came into the simulated cache."""
    out = callgrind(work, calls, SCRUBBED, folder, "--cache-sim=yes", f"--D1={CACHE},16,64")
    text = out.read_text(encoding="utf-8", errors="replace")
    events = text.split("events:", 1)[1].split("\n", 1)[0].split()
    counts = text.rsplit("totals:", 1)[1].split()
    totals = dict(zip(events, map(int, counts), strict=False))
    return totals["D1mr"] + totals["D1mw"]


def data_lines(work: str, folder: Path) -> float:
    """Lines of data that one call touches when none is in the cache."""
    return (misses(work, BASE + COLD_CALLS, folder) - misses(work, BASE, folder)) / COLD_CALLS - SCRUBBED / 64


def parsed(out: Path) -> Counter[tuple[str, int]]:
    """The costs of a file of callgrind, without those that calls include."""
    found: Counter[tuple[str, int]] = Counter()
    where, included = "", False
    with out.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("ob="):
                where = line[3:].strip()
            elif line.startswith("calls="):
                included = True
            elif line.startswith("0x"):
                address, cost = line.split()[:2]
                if not included:
                    found[where, int(address, 16)] += int(cost)
                included = False
    return rebased(found)


def rebased(found: Counter[tuple[str, int]]) -> Counter[tuple[str, int]]:
    """The same with addresses counted from the first page of the object, which may lie elsewhere in the next run."""
    first: dict[str, int] = {}
    for where, address in found:
        first[where] = min(address, first.get(where, address))
    return Counter({(where, address - first[where] // 4096 * 4096): n for (where, address), n in found.items()})


def measure(work: str, folder: Path) -> Code:
    few, many = run(work, BASE, folder), run(work, BASE + CALLS, folder)
    executed = {place: count - few[place] for place, count in many.items() if count - few[place] >= CALLS}
    lines = {(where, address // 64) for where, address in executed}
    return Code(
        sum(count for (where, _), count in executed.items() if OURS in where) / CALLS,
        len(lines),
        len({line for line in lines if OURS in line[0]}),
        len({(where, address // 4096) for where, address in executed}),
        data_lines(work, folder),
    )


def main() -> None:
    if shutil.which("valgrind") is None:
        sys.exit("instructions needs valgrind; run: apt-get install valgrind")
    print("\none call: instructions of framebus itself, lines of code (of framebus itself), their pages, lines of data")
    with tempfile.TemporaryDirectory() as folder:
        for work in WORKS:
            code = measure(work, Path(folder))
            lines = f"{code.lines:5d} ({code.our_lines})"
            print(f"{work:12s} {code.instructions:8.0f}  {lines}  {code.pages:4d}  {code.data_lines:5.0f}", flush=True)
