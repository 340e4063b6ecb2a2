# SPDX-License-Identifier: Apache-2.0
"""`framebus list`: the channels of this machine, with the programs that use them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.table import Table

import framebus
from framebus.cli import output


def list_channels(*, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """List the channels of this machine with their publishers and subscribers.

    Parameters
    ----------
    as_json
        Print a JSON list, an object for each channel as framebus.channels() has it, for scripts.
    """
    found = framebus.channels()
    if as_json:
        output.print_json([_as_dict(channel) for channel in found])
        return
    if not found:
        print("No channels: no program publishes one now.")
        return
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
    output.console().print(table, highlight=False, markup=False)


def _as_dict(channel: framebus.ChannelInfo) -> dict[str, object]:
    arrays = [{"name": array.name, "shape": array.shape, "dtype": array.dtype.str} for array in channel.arrays]
    return {**asdict(channel), "arrays": arrays}


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
