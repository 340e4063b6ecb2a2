# SPDX-License-Identifier: Apache-2.0
"""python -m benchmarks [--quick] [--rounds N] [--into FOLDER] [--check] [NAME ...]

Without names, the whole comparison of framebus with its peers; with names, only those benchmarks. `compare` is the
comparison, `page` writes its page anew from the last results. Results, charts and page go below FOLDER, which is the
checkout unless said otherwise.

--check compares the last results with the targets in benchmarks/targets.json, and measures nothing unless benchmarks
are named. The exit status is 0 if every target is met, else 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

# Imported when they are wanted: the programs that benchmarks start import this file.
SINGLE = ("send", "copies", "handover", "memory", "article", "pipe", "zeromq", "warm_up", "instructions")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SINGLE)}, compare, page")
    parser.add_argument("--quick", action="store_true", help="the comparison in one short round")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of the comparison, however long they take")
    parser.add_argument("--check", action="store_true", help="compare the last results with the project's targets")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where the comparison writes its files")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in (*SINGLE, "compare", "page")]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(SINGLE)}, compare, page")
    from benchmarks import machine
    from benchmarks.compare import run, targets

    print(machine.describe())
    root = given.into or run.ROOT
    for name in given.names or ([] if given.check else ["compare"]):
        if name == "compare":
            run.main(root, quick=given.quick, rounds=given.rounds)
        elif name == "page":
            run.rewrite(root)
        else:
            importlib.import_module(f"benchmarks.{name}").main()
    if given.check:
        sys.exit(targets.check(root / run.RESULTS))


if __name__ == "__main__":
    main()
