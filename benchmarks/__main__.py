# SPDX-License-Identifier: Apache-2.0
"""python -m benchmarks [NAME ...]: runs all benchmarks, or those named, and says where."""

import sys

from benchmarks import article, copies, handover, machine, memory, pipe, send, zeromq

ALL = {
    "send": send.main,
    "copies": copies.main,
    "handover": handover.main,
    "memory": memory.main,
    "article": article.main,
    "pipe": pipe.main,
    "zeromq": zeromq.main,
}


def main() -> None:
    chosen = sys.argv[1:] or list(ALL)
    unknown = [name for name in chosen if name not in ALL]
    if unknown:
        sys.exit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}")
    print(machine.describe())
    for name in chosen:
        ALL[name]()


if __name__ == "__main__":
    main()
