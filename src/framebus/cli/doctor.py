# SPDX-License-Identifier: Apache-2.0
"""`framebus doctor`: what is wrong in shared memory, and putting it right."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.table import Table

import framebus
from framebus.channel.doctor import Treatment, clean, examine
from framebus.cli import output

WELL, FOUND, FAILED = 0, 1, 2


def doctor(
    *,
    clean_up: Annotated[bool, Parameter(name="--clean", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Look for what dead programs have left in shared memory, and remove it with --clean.

    It finds stale channels (publisher and subscribers are gone), orphaned stores (frames that nobody comes to any
    more) and foreign files (named like ours, but not usable by this release of framebus). --clean removes what nobody
    uses, also while other programs start and end. It never removes a file of a live channel, and nothing of another
    user, unless you are root.

    Exit status: 0 if nothing is wrong, or all that was has been removed; 1 if something was found and is still there;
    2 if it could not look, or could not remove what it wanted to. What belongs to other users is shown but does not
    count.

    Parameters
    ----------
    clean_up
        Remove what is dead.
    as_json
        Print a JSON list, an object for each finding, for scripts.
    """
    try:
        treatments = clean() if clean_up else [Treatment(finding, False) for finding in examine()]
    except framebus.Error as error:
        output.fail("doctor", str(error), FAILED)
    if as_json:
        output.print_json([_as_dict(treatment) for treatment in treatments])
    else:
        _print_table(treatments, clean_up)
    sys.exit(_status(treatments))


def _status(treatments: list[Treatment]) -> int:
    if any(treatment.problem for treatment in treatments):
        return FAILED
    return FOUND if any(treatment.finding.ours and not treatment.removed for treatment in treatments) else WELL


def _as_dict(treatment: Treatment) -> dict[str, object]:
    finding = treatment.finding
    return {**asdict(finding), "ours": finding.ours, "removed": treatment.removed, "problem": treatment.problem}


def _print_table(treatments: list[Treatment], cleaned: bool) -> None:
    if not treatments:
        print("All is well: nothing in shared memory is stale, orphaned or foreign.")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("file", overflow="fold", style="bold")
    table.add_column("what", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    table.add_column("then", overflow="fold")
    for treatment in treatments:
        finding = treatment.finding
        size = f"{finding.size_bytes / 1e6:.1f} MB"
        table.add_row(finding.path, finding.kind, size, finding.why, _then(treatment))
    output.console().print(table, highlight=False, markup=False)
    if not cleaned and any(treatment.finding.dead for treatment in treatments):
        print("framebus doctor --clean removes what nobody uses.")


def _then(treatment: Treatment) -> str:
    if treatment.removed:
        return "removed"
    if treatment.problem:
        return treatment.problem
    if not treatment.finding.ours:
        return f"belongs to user {treatment.finding.owner}"
    return "nobody uses it" if treatment.finding.dead else "look at it, and remove it by hand if nobody needs it"
