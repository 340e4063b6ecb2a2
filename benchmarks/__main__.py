# SPDX-License-Identifier: Apache-2.0
"""python -m benchmarks [--quick] [--rounds N] [--into FOLDER] [NAME ...]

Without names, the whole comparison of framebus with its peers; with names, only those benchmarks. `compare` is the
comparison, `page` writes its page anew from the last results. Results, charts and page go below FOLDER, which is the
checkout unless said otherwise.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

# Imported when they are wanted: the programs that benchmarks start import this file.
SINGLE = ("send", "copies", "handover", "memory", "article", "pipe", "zeromq")


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SINGLE)}, compare, page")
    parser.add_argument("--quick", action="store_true", help="the comparison in one short round")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of the comparison, however long they take")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="where the comparison writes its files")
    given = parser.parse_args()
    unknown = [name for name in given.names if name not in (*SINGLE, "compare", "page")]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(SINGLE)}, compare, page")
    from benchmarks import machine
    from benchmarks.compare import run

    print(machine.describe())
    root = given.into or run.ROOT
    for name in given.names or ["compare"]:
        if name == "compare":
            run.main(root, quick=given.quick, rounds=given.rounds)
        elif name == "page":
            run.rewrite(root)
        else:
            importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
