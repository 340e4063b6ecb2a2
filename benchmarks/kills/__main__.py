# SPDX-License-Identifier: Apache-2.0
"""python -m benchmarks.kills [RIVAL ...]: plays all kills with all rivals and prints the table."""

from __future__ import annotations

import os
import sys

from benchmarks import machine
from benchmarks.kills.rival import RIVALS, load
from benchmarks.kills.scenarios import Outcome, play

COLUMNS = (
    "scenario", "rival", "kills", "torn / looked at", "hung", "new publisher", "subscribers",
    "files after a kill", "files at the end",
)  # fmt: skip


def row(title: str, rival: str, outcome: Outcome) -> str:
    hung = ", ".join(f"{outcome.hung.count(who)} × {who}" for who in dict.fromkeys(outcome.hung)) or "none"
    if outcome.remarks:
        hung += f" ({'; '.join(sorted(outcome.remarks))})"
    taken = f"{outcome.taken_over} of {outcome.tried}"
    if outcome.why_not:
        taken += f" ({'; '.join(sorted(outcome.why_not))})"
    subscribers = "hang" if "subscriber" in outcome.hung else "go on" if outcome.looked_at else "–"
    if outcome.reopened or outcome.cut_off:
        subscribers = f"{outcome.reopened} opened anew, {outcome.cut_off} cut off"
    cells = (
        title, rival, outcome.kills, f"{outcome.torn} / {outcome.looked_at}", hung, taken, subscribers,
        outcome.left_at_once, outcome.left_at_end,
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    unknown = [name for name in sys.argv[1:] if name not in RIVALS]
    if unknown:
        sys.exit(f"no such rival: {', '.join(unknown)}; there are {', '.join(RIVALS)}")
    print(machine.describe(), end="\n\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + " --- |" * len(COLUMNS), flush=True)
    for module in sys.argv[1:] or RIVALS:
        try:
            title = load(module).TITLE
        except ImportError as error:
            print(f"{module} is left out: {error}", file=sys.stderr)
            continue
        for scenario, outcome in play(module, f"kills{os.getpid()}{module[3:6]}"):
            print(row(scenario, title, outcome), flush=True)


if __name__ == "__main__":
    main()
