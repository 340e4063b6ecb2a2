# SPDX-License-Identifier: Apache-2.0
"""The tables, as Markdown that reads well in a terminal too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.compare.plan import DEFAULT, FANOUT, LOOPS, OURS, RATE_HZ, SMALL
from benchmarks.compare.results import Results, Row
from benchmarks.compare.task import SIZES
from benchmarks.rounds import Spread

Show = Callable[[Row], str]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns padded to the same width."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(values: Spread) -> str:
    """The median, and the least and the most where the rounds differ."""
    if values.least == values.most:
        return number(values.median)
    return f"{number(values.median)} ({number(values.least)}–{number(values.most)})"


def figure(name: str, show: Callable[[Spread], str] = spread) -> Show:
    """Shows a figure of a row, or a dash."""
    return lambda row: show(row.figures[name]) if row.get(name) is not None else "–"


def by_size(results: Results, kind: str, show: Show, **equal: object) -> str:
    """A line for each contender, a column for each size."""
    rows = results.where(kind, **equal)
    lines = []
    for title in dict.fromkeys(row.title for row in rows):
        cells = []
        for size in SIZES:
            found = [row for row in rows if (row.title, row.size) == (title, size)]
            cells.append(show(found[0]) if found else "")
        lines.append([title, *cells])
    return table(["", *SIZES], lines)


TOUCHES = {"": "two elements touched", "all_": "every byte read"}


def latency(results: Results, in_place: bool) -> str:
    equal: dict[str, object] = {"in_place": in_place, "rate_hz": RATE_HZ}

    def part(title: str, show: Show) -> tuple[str, str]:
        return title, by_size(results, "latency", show, **equal)

    parts = []
    for prefix, touch in TOUCHES.items() if not in_place else (("", TOUCHES[""]),):
        p50, p99, cpu = (f"{prefix}{name}" for name in ("p50_us", "p99_us", "cpu_us"))
        parts += [
            part(f"p50 in µs, {touch}, median of the rounds (least–most)", figure(p50)),
            part(f"p50, {touch}: to the limit / to the best peer", ratios(results, p50)),
            part(f"p99 in µs, {touch}", figure(p99)),
            part(f"CPU of both programs for a frame, in µs, {touch}", figure(cpu)),
        ]
    return joined(parts)


def throughput(results: Results, in_place: bool) -> str:
    parts = [
        (
            "frames/s, median of the rounds (least–most)",
            by_size(results, "throughput", figure("rate_hz"), in_place=in_place),
        ),
        (
            "frames/s: to the limit / to the best peer",
            by_size(results, "throughput", ratios(results, "rate_hz"), in_place=in_place),
        ),
    ]
    return joined(parts)


def joined(parts: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{title}:\n\n{text}" for title, text in parts)


def ratios(results: Results, name: str) -> Show:
    """Shows a figure as a multiple of the limit and of the best peer at the same work."""

    def show(row: Row) -> str:
        value = row.get(name)
        if value is None:
            return "–"
        limit = limit_of(results, row, name)
        best = results.best_peer(name, row.kind, size=row.size, in_place=row.in_place)
        return " / ".join("–" if not other else f"{value / other:.2f}" for other in (limit, best and best[1]))

    return show


def limit_of(results: Results, row: Row, name: str) -> float | None:
    """What the machine could do: a parked futex hand-over, after a bare copy where there is something to copy.

    None where every byte is read, since how long reading takes depends on where the copy has left the bytes.
    """
    if name.startswith("all_"):
        return None
    copy = results.value("us", "copy", title=f"numpy.copyto, buffers of {row.kind}", size=row.size)
    if name == "rate_hz":
        return 1e6 / copy if copy and not row.in_place and row.size != SMALL else None
    futex = results.value("p50_us", "hand-over", title="C++ futex, park")
    if futex is None or row.in_place:
        return futex
    return None if copy is None else futex + copy


FANOUT_FIGURES = ("cpu_us", "all_cpu_us", "p50_us", "all_p50_us", "call_us")
FANOUT_COLUMNS = (
    "CPU µs a frame",
    "CPU µs, every byte read",
    "p50 µs",
    "p50 µs, every byte read",
    "`send` µs",
    "lost of",
)


def fan_out(results: Results) -> str:
    rows = results.where("fanout")
    counts = " / ".join(map(str, FANOUT))
    head = ["", *(f"{what}, {counts}" for what in FANOUT_COLUMNS)]
    lines = []
    for title in dict.fromkeys(row.title for row in rows):
        found = [next((row for row in rows if (row.title, row.receivers) == (title, n)), None) for n in FANOUT]
        shows = [*(figure(name, median) for name in FANOUT_FIGURES), lost]
        lines.append([title, *(" / ".join(show(row) if row else "–" for row in found) for show in shows)])
    return table(head, lines)


def median(values: Spread) -> str:
    return number(values.median)


def lost(row: Row) -> str:
    """Frames lost of those sent to all receivers together, in the median round."""
    gone, sent = row.get("lost"), row.get("sent")
    return "–" if gone is None or sent is None else f"{gone:.0f} of {sent * row.receivers:.0f}"


def limits(results: Results) -> str:
    lines = []
    for row in [row for kind in ("hand-over", "C++ API") for row in results.where(kind)]:
        share = row.get("receiver_share")
        shown = "–" if share is None else f"{share * 100:.1f} %"
        lines.append([row.title, figure("p50_us")(row), figure("p99_us")(row), shown])
    first = table([f"{SMALL} at {RATE_HZ:.0f} Hz in C++", "p50 µs", "p99 µs", "receiver's share of a core"], lines)
    copies = by_size(results, "copy", lambda row: f"{figure('us')(row)} in {row.get('buffers') or 0:.0f}")
    return f"{first}\n\nA bare copy, µs, and in how many buffers in turn:\n\n{copies}"


def one_process(results: Results) -> str:
    return by_size(
        results,
        "one process",
        figure("us", lambda values: f"{values.median:.2f} ({values.least:.2f}–{values.most:.2f})"),
    )


def waiting(results: Results) -> str:
    """framebus with 64 bytes: the policies of waiting, and event loops."""
    titles = [one.title for one in (*OURS.values(), *LOOPS)]
    rows = results.where("latency", size=SMALL, in_place=False, rate_hz=RATE_HZ, ours=True)
    base = results.value("p50_us", "latency", title=DEFAULT.title, size=SMALL, in_place=False, rate_hz=RATE_HZ)
    lines = []
    for row in sorted(rows, key=lambda row: titles.index(row.title)):
        p50 = row.get("p50_us")
        share = figure("receiver_share", lambda s: f"{s.median * 100:.1f} %")(row)
        to_default = "–" if p50 is None or not base else f"{p50 / base:.2f}"
        lines.append([row.title, figure("p50_us")(row), figure("p99_us")(row), to_default, share])
    head = [f"{SMALL} by send", "p50 µs", "p99 µs", "p50 to that of `adaptive`", "receiver's share of a core"]
    return table(head, lines)


def problems(results: Results) -> str:
    """Who could not be measured at what, and why; nothing if there is nobody."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in results.rows:
        text = row.problem or row.remark
        if text is not None:
            work = (
                f"{row.kind}{' by loan' if row.in_place else ''}, {row.size if row.kind != 'fanout' else row.receivers}"
            )
            found.setdefault((row.title, text), []).append(work)
    return "\n".join(f"- {title}: {'; '.join(works)}: {problem}" for (title, problem), works in found.items())
