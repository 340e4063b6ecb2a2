# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md: the method in words (method.md), and the tables and charts of one run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare import tables
from benchmarks.compare.charts import NAMES
from benchmarks.compare.results import Results

METHOD = Path(__file__).with_name("method.md")


def words(results: Results) -> str:
    """Machine, versions and effort in a few lines."""
    machine, effort = results.machine, results.effort
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, largest cache"
        f" {machine['cache_mib']} MiB, {machine['system']}, Python {machine['python']}.\n"
        f"Load {machine['load_before']} when it began and {machine['load_after']} at the end (its own included); "
        f"{effort['rounds']} rounds in {effort['minutes']} minutes, a measurement\n"
        f"takes {effort['latency_s']} s (latency), {effort['throughput_s']} s (throughput), "
        f"{effort['fanout_s']} s (fan-out).\n\n"
        f"Versions: {versions}."
    )


def sections(results: Results) -> list[tuple[str, str]]:
    """Titles and tables, for the terminal and for the page."""
    return [
        ("Limits of the machine", tables.limits(results)),
        ("Latency at 100 Hz, by send", tables.latency(results, in_place=False)),
        ("Latency at 100 Hz, by loan", tables.latency(results, in_place=True)),
        ("The predictive policy", tables.others(results)),
        ("Throughput with nothing lost, by send", tables.throughput(results, in_place=False)),
        ("Throughput with nothing lost, by loan", tables.throughput(results, in_place=True)),
        ("Fan-out, 1080p at 60 Hz", tables.fan_out(results)),
        ("Loan, commit, recv, `.array`, release in one process, µs", tables.one_process(results)),
        ("Not measured, and why", tables.problems(results) or "Everything was measured."),
    ]


PICTURES = {
    "Latency at 100 Hz, by send": (NAMES[0], "Latency of all frames, as a distribution"),
    "Latency at 100 Hz, by loan": (NAMES[1], "Latency by size"),
    "Throughput with nothing lost, by loan": (NAMES[2], "Frames per second by size"),
    "Fan-out, 1080p at 60 Hz": (NAMES[3], "CPU by subscribers"),
}


def text(results: Results) -> str:
    """The whole page."""
    parts = [METHOD.read_text(encoding="utf-8"), f"## The machine, and what ran on it\n\n{words(results)}\n"]
    for title, body in sections(results):
        parts.append(f"## {title}\n\n{body}\n")
        if title in PICTURES:
            name, caption = PICTURES[title]
            parts.append(f"![{caption}](images/{name}.png)\n")
    return "\n".join(parts)
