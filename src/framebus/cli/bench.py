# SPDX-License-Identifier: Apache-2.0
"""`framebus bench mechanisms`: the same frames through every mechanism, compared."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

from cyclopts import App, Parameter
from rich import box
from rich.table import Table

import framebus
from framebus.bench.links import MECHANISMS
from framebus.bench.measure import SIZES, Result, measure
from framebus.cli import output

bench = App(name="bench", help="Measure how fast frames get from one program to another.")


@bench.command
def mechanisms(
    *,
    seconds: float = 3.0,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    sizes: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    chart: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Send the same frames through all seven mechanisms, each between two programs, and compare.

    Latency is taken at 20 frames a second, from just before send() until the receiver has read first and last byte;
    frames per second as fast as it goes, with nothing lost where the mechanism can do that. Exit status 1 where a
    mechanism that is installed could not be measured.

    Parameters
    ----------
    seconds
        How long to measure each figure.
    only
        Schemes, such as pipe shm; all where nothing is said.
    sizes
        Of 640x480, 1080p and 4K; all where nothing is said.
    chart
        Write a PNG chart there; takes matplotlib (pip install "framebus[chart]").
    as_json
        Print JSON instead of the table.
    """
    if not seconds > 0:
        _fail(f"--seconds must be above 0, got {seconds:g}")
    chosen = [mechanism for mechanism in MECHANISMS if not only or mechanism.scheme in only]
    unknown = [*(set(only or ()) - {mechanism.scheme for mechanism in MECHANISMS}), *(set(sizes or ()) - set(SIZES))]
    if unknown:
        known = ", ".join([*(mechanism.scheme for mechanism in MECHANISMS), *SIZES])
        _fail(f"there is no {unknown[0]!r}; there are {known}")
    results = []
    for mechanism in chosen:
        for size in sizes or SIZES:
            output.say("bench", f"{mechanism.name}, {size} ...")
            results.append(measure(mechanism, size, seconds))
    if as_json:
        output.print_json([asdict(result) for result in results])
    else:
        output.console().print(_table(results), highlight=False, markup=False)
    if chart is not None and not all(result.problem for result in results):
        from framebus.bench.chart import write_png

        write_png(chart, results, _machine())
        output.say("bench", f"chart: {chart}")
    sys.exit(any(result.problem for result in results))


def _table(results: list[Result]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), caption=_machine(), caption_justify="left")
    table.add_column("mechanism")
    for title in ("image", "p50 ms", "p99 ms", "frames/s", "lost", "CPU ms/frame", "memory in frames"):
        table.add_column(title, justify="right")
    for result in results:
        if result.problem is not None:
            table.add_row(result.mechanism, result.size, result.problem)
            continue
        table.add_row(
            result.mechanism,
            result.size,
            f"{result.latency_p50_s * 1e3:.2f}",
            f"{result.latency_p99_s * 1e3:.2f}",
            f"{result.rate_hz:.0f}" if result.rate_hz >= 10 else f"{result.rate_hz:.1f}",
            f"{result.lost:.0%}",
            f"{result.cpu_s * 1e3:.2f}",
            f"{result.memory_bytes / result.frame_bytes:.1f}",
        )
    return table


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"framebus {framebus.__version__}, Python {platform.python_version()}, {platform.system()} "
        f"{platform.release()}, {os.cpu_count()} cores, load {load:.1f}"
    )


def _fail(message: str) -> NoReturn:
    output.fail("bench", message, 2)
