# SPDX-License-Identifier: Apache-2.0
"""`framebus list`: what channels there are on this machine, and who uses them."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table

import framebus

WIDE = 200  # columns where the output is no terminal


def list_channels() -> None:
    """List the channels of this machine with their publishers and subscribers."""
    found = framebus.channels()
    if not found:
        print("No channels: no program publishes one now.")
        return
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column("channel", no_wrap=True, style="bold")
    for title in ("state", "frame", "number", "rate", "memory"):
        table.add_column(title, justify="right" if title in ("number", "rate", "memory") else "left")
    table.add_column("programs", overflow="fold")
    for channel in found:
        table.add_row(
            channel.name,
            _state(channel),
            _frame(channel),
            str(channel.seq),
            f"{channel.rate_hz:.1f}/s",
            f"{channel.size_bytes / 1e6:.1f} MB",
            "\n".join(_programs(channel)),
        )
    console.print(table, highlight=False, markup=False)


def _state(channel: framebus.ChannelInfo) -> str:
    if channel.problem is not None:
        return "unreadable"
    return "alive" if channel.alive else "stale"


def _frame(channel: framebus.ChannelInfo) -> str:
    arrays = [f"{array.name} {'x'.join(map(str, array.shape)) or 'scalar'} {array.dtype}" for array in channel.arrays]
    return "\n".join([*arrays, *([channel.pixel_format] if channel.pixel_format else [])])


def _programs(channel: framebus.ChannelInfo) -> list[str]:
    if channel.problem is not None:
        return [channel.problem]
    lines = []
    if channel.publisher is not None:
        role = "publisher" if channel.alive else "died"
        lines.append(f"{role} {channel.publisher.pid}: {channel.publisher.command}")
    for reader in channel.subscribers:
        wants = f"every frame, {reader.dropped} dropped" if reader.every else f"newest frame, {reader.missed} missed"
        counts = f"{wants}, {reader.frames} received, {reader.held} held"
        lines.append(f"subscriber {reader.pid}: {reader.command} ({counts})")
    return lines
