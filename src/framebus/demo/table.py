# SPDX-License-Identifier: Apache-2.0
"""What the demo shows while it runs: a live table on a terminal, one line a second anywhere else."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from types import TracebackType

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from framebus import Statistics
from framebus.demo.child import Memory

CAPTION = """\
latency  player: filling one frame; channel: publication to receipt; worker: a frame's publication to its result's
memory   program: what it has alone, and what it shares (frames, libraries); channel: its frames
"""


@dataclass(frozen=True)
class Row:
    """One program, or one channel as its reader sees it. NaN and None are unknown."""

    title: str
    frames: int
    rate_hz: float
    latency_p50_s: float
    latency_p99_s: float
    missed: int
    dropped: int
    private_bytes: int | None
    shared_bytes: int | None

    @staticmethod
    def of(
        title: str,
        found: Statistics | None,
        *,
        latency: tuple[float, float] | None = None,
        memory: Memory | None = None,
    ) -> Row:
        """Makes a row of statistics; of a program if its memory is given, and with another latency if that is."""
        if found is None:
            return Row(
                title, 0, math.nan, math.nan, math.nan, 0, 0, memory and memory.private, memory and memory.shared
            )
        p50_s, p99_s = latency or (found.latency_p50_s, found.latency_p99_s)
        private, shared = memory or (None, found.memory_bytes)
        return Row(title, found.frames, found.rate_hz, p50_s, p99_s, found.missed, found.dropped, private, shared)

    def cells(self) -> tuple[str, ...]:
        """Returns the texts of the columns."""
        return (
            self.title,
            str(self.frames),
            number(self.rate_hz, 1),
            number(self.latency_p50_s * 1e3, 2),
            number(self.latency_p99_s * 1e3, 2),
            str(self.missed),
            str(self.dropped),
            megabytes(self.private_bytes),
            megabytes(self.shared_bytes),
        )


def number(value: float, digits: int) -> str:
    """Returns `value` with that many decimals, or a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def megabytes(count: int | None) -> str:
    """Returns bytes as megabytes, or nothing for None."""
    return "" if count is None else f"{count / 1e6:.1f}"


class LiveTable:
    """A table that is drawn over itself; the last state stays on the screen."""

    interval_s = 0.5

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._began = time.monotonic()

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, rows: list[Row]) -> None:
        """Draws the table."""
        table = Table(box=box.SIMPLE_HEAD)
        table.add_column(f"{time.monotonic() - self._began:.1f} s", style="bold", no_wrap=True)
        for title, style in (
            ("frames", "cyan"), ("rate\n1/s", "cyan"), ("p50\nms", "green"), ("p99\nms", "green"),
            ("missed", "magenta"), ("dropped", "magenta"), ("private\nMB", "yellow"), ("shared\nMB", "yellow"),
        ):  # fmt: skip
            table.add_column(title, style=style, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row.cells())
        self._live.update(Group(table, Text(CAPTION, style="dim")), refresh=True)


class PlainLines:
    """One line each time, for logs and pipes."""

    interval_s = 1.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pass

    def show(self, rows: list[Row]) -> None:
        """Prints the line."""
        parts = [f"{time.monotonic() - self._began:5.1f} s", *map(plain, rows)]
        self._console.print(" | ".join(parts), soft_wrap=True, highlight=False, markup=False)


def plain(row: Row) -> str:
    """Returns a row as words."""
    _, frames, rate, p50, p99, missed, dropped, private, shared = row.cells()
    memory = f"{private}+{shared} MB" if private else f"{shared} MB"
    lost = f"missed {missed} dropped {dropped}"
    return f"{' '.join(row.title.split())}: {frames} at {rate}/s, {p50}/{p99} ms, {lost}, {memory}"


def display(console: Console) -> LiveTable | PlainLines:
    """Returns what suits where the output goes."""
    return LiveTable(console) if console.is_terminal else PlainLines(console)
