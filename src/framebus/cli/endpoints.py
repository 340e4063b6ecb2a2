# SPDX-License-Identifier: Apache-2.0
"""`framebus endpoints`: what frames can be read from and written to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.table import Table

import framebus
from framebus.cli import output
from framebus.endpoint.url import Option


def list_endpoints(
    scheme: str | None = None, /, *, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> None:
    """List the kinds of sources and sinks, or the options of one.

    Parameters
    ----------
    scheme
        Show this one with its options.
    as_json
        Print a JSON list, an object for each kind with its options and capabilities, for scripts.
    """
    found = [info for info in framebus.endpoints() if scheme is None or info.scheme == scheme.rstrip(":/")]
    if not found:
        known = ", ".join(info.scheme for info in framebus.endpoints())
        output.fail("endpoints", f"there is no {scheme!r}; there are {known}", 2)
    if as_json:
        output.print_json([_as_dict(info) for info in found])
        return
    output.console().print(_all(found) if scheme is None else _one(found[0]), highlight=False, markup=False)


def _as_dict(info: framebus.EndpointInfo) -> dict[str, object]:
    capabilities = asdict(info.capabilities)
    del capabilities["accepts"]  # a function; `dtypes` says the same
    return {
        "scheme": info.scheme,
        "summary": info.summary,
        "url_syntax": info.url_syntax,
        "form": info.url_syntax,  # the former name, for scripts; so is "abilities"
        "source": _options(info.source),
        "sink": _options(info.sink),
        "capabilities": capabilities,
        "abilities": capabilities,
        "installed": info.installed,
        "extra": info.extra,
        "problem": info.problem,
    }


def _options(options: dict[str, Option] | None) -> list[dict[str, object]] | None:
    if options is None:
        return None
    return [
        {
            "name": option.name,
            "type": option.kind,
            "default": None if option.required else _plain(option.default),
            "required": option.required,
            "meaning": option.meaning,
        }
        for option in options.values()
    ]


def _plain(default: object) -> object:
    return default if isinstance(default, str | int | float | bool | None) else str(default)


def _all(found: list[framebus.EndpointInfo]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for title in ("URL", "what it is for", "can be", "installed"):
        table.add_column(title, overflow="fold")
    for info in found:
        roles = [role for role, options in (("read", info.source), ("written", info.sink)) if options is not None]
        table.add_row(info.url_syntax, info.problem or info.summary, " and ".join(roles), _installed(info))
    return table


def _one(info: framebus.EndpointInfo) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title=f"{info.url_syntax}: {info.summary}", title_justify="left")
    for title in ("end", "option", "type", "default", "meaning"):
        table.add_column(title, overflow="fold")
    for role, options in (("source", info.source), ("sink", info.sink)):
        for option in (options or {}).values():
            default = "" if option.required else _text(option.default)
            table.add_row(role, option.name, option.kind, default, option.meaning)
    return table


def _installed(info: framebus.EndpointInfo) -> str:
    if info.installed:
        return "yes"
    return f'no: pip install "framebus[{info.extra}]"' if info.extra else "no"


def _text(default: object) -> str:
    """A default as it is written in a URL."""
    return str(default).lower() if isinstance(default, bool | None) else str(default)
