# SPDX-License-Identifier: Apache-2.0
"""docs/benchmarks.md: the method in words (method.md), and the tables and charts of one run."""

from __future__ import annotations

from pathlib import Path

from benchmarks.compare import tables
from benchmarks.compare.charts import NAMES
from benchmarks.compare.plan import FANOUT_SIZE, RATE_HZ
from benchmarks.compare.results import Results

METHOD = Path(__file__).with_name("method.md")
BY_SEND = f"Latency at {RATE_HZ:.0f} Hz, by send"
BY_LOAN = f"Latency at {RATE_HZ:.0f} Hz, by loan"
THROUGHPUT_BY_LOAN = "Throughput with nothing lost, by loan"
FAN_OUT = f"Fan-out, {FANOUT_SIZE} at {RATE_HZ:.0f} Hz"


def words(results: Results) -> str:
    """Machine, versions and effort in a few lines."""
    machine, effort = results.machine, results.effort
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, largest cache"
        f" {machine['cache_mib']} MiB, {machine['system']}, Python {machine['python']}.\n"
        f"Load {machine['load_before']} when it began and {machine['load_after']} at the end (its own included); "
        f"{effort['rounds']} rounds in {effort['minutes']} minutes. A half\n"
        f"takes {effort['latency_s']} s (latency) or {effort['fanout_s']} s (fan-out), a measurement of throughput "
        f"{effort['throughput_s']} s.\n\n"
        f"Versions: {versions}."
    )


def sections(results: Results) -> list[tuple[str, str]]:
    """Titles and tables, for the terminal and for the page."""
    return [
        ("Limits of the machine", tables.limits(results)),
        (BY_SEND, tables.latency(results, in_place=False)),
        (BY_LOAN, tables.latency(results, in_place=True)),
        ("Policies of waiting, and event loops", tables.waiting(results)),
        ("Throughput with nothing lost, by send", tables.throughput(results, in_place=False)),
        (THROUGHPUT_BY_LOAN, tables.throughput(results, in_place=True)),
        (FAN_OUT, tables.fan_out(results)),
        ("Loan, commit, recv, `.array`, release in one process, µs", tables.one_process(results)),
        ("Not measured, and why", tables.problems(results) or "Everything was measured."),
    ]


PICTURES = {
    BY_SEND: (NAMES[0], "Latency of all frames, as a distribution"),
    BY_LOAN: (NAMES[1], "Latency by size"),
    THROUGHPUT_BY_LOAN: (NAMES[2], "Frames per second by size"),
    FAN_OUT: (NAMES[3], "CPU by subscribers"),
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
