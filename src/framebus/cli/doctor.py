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
from framebus.channel.doctor import CleanupResult, clean, examine
from framebus.cli import output

WELL, FOUND, FAILED = 0, 1, 2


def doctor(
    *,
    clean_up: Annotated[bool, Parameter(name="--clean", negative="")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Look for what dead programs have left in shared memory, and remove it with --clean.

    It finds stale channels (publisher and subscribers are gone), orphaned stores (frames that no program can reach any
    more) and foreign files (named like ours, but not usable by this release of framebus). --clean removes what no
    program uses, also while other programs start and end. It never removes a file of a live channel, and nothing of
    another user, unless you are root.

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
        results = clean() if clean_up else [CleanupResult(finding, False) for finding in examine()]
    except framebus.Error as error:
        output.fail("doctor", str(error), FAILED)
    if as_json:
        output.print_json([_as_dict(result) for result in results])
    else:
        _print_table(results, clean_up)
    sys.exit(_status(results))


def _status(results: list[CleanupResult]) -> int:
    if any(result.problem for result in results):
        return FAILED
    return FOUND if any(result.finding.ours and not result.removed for result in results) else WELL


def _as_dict(result: CleanupResult) -> dict[str, object]:
    finding = result.finding
    return {**asdict(finding), "ours": finding.ours, "removed": result.removed, "problem": result.problem}


def _print_table(results: list[CleanupResult], cleaned: bool) -> None:
    if not results:
        print("All is well: nothing in shared memory is stale, orphaned or foreign.")
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("file", overflow="fold", style="bold")
    table.add_column("what", no_wrap=True)
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("why", overflow="fold")
    table.add_column("then", overflow="fold")
    for result in results:
        finding = result.finding
        size = f"{finding.size_bytes / 1e6:.1f} MB"
        table.add_row(finding.path, finding.kind, size, finding.why, _then(result))
    output.console().print(table, highlight=False, markup=False)
    if not cleaned and any(result.finding.dead for result in results):
        print("framebus doctor --clean removes what no program uses.")


def _then(result: CleanupResult) -> str:
    if result.removed:
        return "removed"
    if result.problem:
        return result.problem
    if not result.finding.ours:
        return f"belongs to user {result.finding.owner}"
    return "no program uses it" if result.finding.dead else "look at it, and remove it by hand if it is not needed"
