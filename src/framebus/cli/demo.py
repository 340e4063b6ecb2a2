# SPDX-License-Identifier: Apache-2.0
"""`framebus demo`: the main job, to be seen.

The imports of what it takes are in the function, so that the other subcommands start without them.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from cyclopts import Parameter
from rich.console import Console

import framebus
from framebus.cli.output import fail, print_json
from framebus.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from framebus.demo.summary import Summary


def demo(
    *,
    source: str = "pattern",
    seconds: float = 10.0,
    output: Path = Path("framebus-demo.png"),
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Play a clip through two programs and watch them.

    The player plays the clip, at its own frame rate, into a channel. The worker fetches every frame, looks for edges
    and motion, and publishes the result to a second channel. This program watches both. At the end it prints the
    counts and writes a picture of a frame and its result. Ctrl-C ends it early, with exit status 130.

    Parameters
    ----------
    source
        A video file, or "pattern" for a moving picture that needs no file. A file plays over and over.
    seconds
        How long to play.
    output
        Where to write the picture.
    as_json
        Print what came of it as JSON; what there is to see meanwhile goes to standard error.
    """
    from framebus.demo.run import run
    from framebus.demo.side_by_side import write_png
    from framebus.demo.table import display

    if not 0 < seconds <= 86400:
        _fail(f"--seconds must be more than 0 and at most 86400, got {seconds:g}", status=2)
    if not output.absolute().parent.is_dir():
        _fail(f"there is no folder {str(output.absolute().parent)!r} to write {output.name!r} to; see --output")
    sys.setswitchinterval(0.0005)  # drawing the table is not to delay the thread that fetches frames
    console = Console(stderr=as_json)
    try:
        with display(console) as shown:
            summary = run(source, seconds, shown.show, shown.interval_s)
        if summary.pair is not None:
            write_png(output, *summary.pair)
    except (framebus.Error, OSError) as error:
        _fail(str(error))
    if as_json:
        print_json(_as_dict(summary, output))
    else:
        for line in summary.lines():
            _print(console, line)
        if summary.pair is not None:
            _print(console, f"picture    {output}: frame {summary.pair[0].seq} and its result")
    if summary.interrupted:
        sys.exit(INTERRUPTED)
    if summary.lost:
        _fail(f"{summary.lost} frames were lost; please report this, with the lines above")


def _as_dict(summary: Summary, picture: Path) -> dict[str, object]:
    values = {field.name: getattr(summary, field.name) for field in fields(summary) if field.name != "pair"}
    found = {name: asdict(value) if isinstance(value, framebus.Statistics) else value for name, value in values.items()}
    return {**found, "lost": summary.lost, "picture": None if summary.pair is None else str(picture)}


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _fail(message: str, status: int = 1) -> NoReturn:
    fail("demo", message, status)
