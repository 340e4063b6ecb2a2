# SPDX-License-Identifier: Apache-2.0
"""The charts: latency as a distribution and by size, frames per second by size, CPU by subscribers, by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.compare.plan import FANOUT, FANOUT_SIZE, RATE_HZ, SMALL
from benchmarks.compare.results import Results, Row
from benchmarks.compare.task import SIZES

NAMES = ("bench-latency-distribution", "bench-latency-size", "bench-throughput-size", "bench-fanout-cpu")
WIDTHS = {2: 13.4, 3: 16.5}  # inches, by the number of pictures side by side
OURS_COLOURS = ("#b30000", "#e34a33", "#7a0177", "#fc8d59", "#dd1c77", "#67001f", "#d7b5d8")


def write_all(results: Results, folder: Path) -> list[Path]:
    """Draws what there is figures for; returns the files."""
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in zip(NAMES, (distribution, latency_by_size, throughput_by_size, cpu_by_subscribers), strict=True):
        path = folder / f"{name}.png"
        draw(results, path)
        written.append(path)
    return written


class Colours:
    """framebus in reds with thick lines, peers in the other colours; a contender keeps its own."""

    def __init__(self, results: Results) -> None:
        from matplotlib import colormaps

        ours = list(dict.fromkeys(row.title for row in results.rows if row.ours))
        peers = list(dict.fromkeys(row.title for row in results.rows if not row.ours))
        cycle = colormaps["tab20"](range(20))
        cool = [colour for colour in cycle if colour[0] < 0.75]
        self._styles = {
            title: {"color": OURS_COLOURS[i % len(OURS_COLOURS)], "linewidth": 2.2} for i, title in enumerate(ours)
        }
        self._styles |= {title: {"color": cool[i % len(cool)], "linewidth": 1.1} for i, title in enumerate(peers)}

    def of(self, title: str) -> dict[str, Any]:
        return self._styles[title]


def distribution(results: Results, path: Path) -> None:
    colours = Colours(results)
    figure, sides = _figure(3)
    pictures = ((SMALL, False), ("1080p", False), ("1080p", True))
    for axes, (size, every_byte) in zip(sides, pictures, strict=True):
        for row in results.where("latency", size=size, in_place=False, rate_hz=RATE_HZ):
            values = row.all_quantiles if every_byte else row.quantiles
            if values:
                shares = [i / (len(values) - 1) for i in range(len(values))]
                axes.plot(values, shares, label=row.title, **colours.of(row.title))
        axes.set_xscale("log")
        touch = "every byte read" if every_byte else "two elements touched"
        axes.set_xlabel(f"latency in µs, {size} by send at {RATE_HZ:.0f} Hz,\n{touch}")
        axes.set_ylabel("share of the frames")
    _save(figure, sides, path)


def latency_by_size(results: Results, path: Path) -> None:
    colours = Colours(results)
    figure, sides = _figure(3)
    pictures = (
        (False, "p50_us", "by send, two elements touched"),
        (False, "all_p50_us", "by send, every byte read"),
        (True, "p50_us", "by loan, two elements touched"),
    )
    for axes, (in_place, name, how) in zip(sides, pictures, strict=True):
        _by_size(axes, results.where("latency", in_place=in_place, rate_hz=RATE_HZ), name, colours)
        axes.set_ylabel(f"p50 in µs at {RATE_HZ:.0f} Hz, {how}")
    _save(figure, sides, path)


def throughput_by_size(results: Results, path: Path) -> None:
    colours = Colours(results)
    figure, sides = _figure(2)
    for axes, in_place in zip(sides, (False, True), strict=True):
        _by_size(axes, results.where("throughput", in_place=in_place), "rate_hz", colours)
        axes.set_ylabel(f"frames per second, by {'loan' if in_place else 'send'}, nothing lost")
        if not in_place:
            copies = results.where("copy", title="numpy.copyto, buffers of throughput")
            limits = [1e6 / (row.get("us") or 1) for row in copies if row.size != SMALL]
            sizes = [row.size for row in copies if row.size != SMALL]
            axes.plot([list(SIZES).index(size) for size in sizes], limits, "k--", label="bare copy")
    _save(figure, sides, path)


def cpu_by_subscribers(results: Results, path: Path) -> None:
    colours = Colours(results)
    figure, sides = _figure(2)
    rows = results.where("fanout")
    pictures = (("cpu_us", "two elements touched"), ("all_cpu_us", "every byte read"))
    for axes, (name, touch) in zip(sides, pictures, strict=True):
        for title in dict.fromkeys(row.title for row in rows):
            found = [(row.receivers, row.get(name)) for row in rows if row.title == title]
            points = [(n, value / 1e3) for n, value in found if value is not None]
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=title, **colours.of(title))
        axes.set_yscale("log")
        axes.set_xticks(FANOUT)
        axes.set_xlabel(f"subscribers, {FANOUT_SIZE} at {RATE_HZ:.0f} Hz, {touch}")
        axes.set_ylabel("CPU of all programs for a frame, in ms")
    _save(figure, sides, path)


def _by_size(axes: Any, rows: list[Row], name: str, colours: Colours) -> None:
    sizes = list(SIZES)
    for title in dict.fromkeys(row.title for row in rows):
        found = [(sizes.index(row.size), row.get(name)) for row in rows if row.title == title]
        points = [(place, value) for place, value in found if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=title, **colours.of(title))
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set_yscale("log")


def _figure(count: int) -> tuple[Any, list[Any]]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, count, figsize=(WIDTHS[count], 5.4), layout="constrained", squeeze=False)
    return figure, list(axes[0])


def _save(figure: Any, sides: list[Any], path: Path) -> None:
    from matplotlib import pyplot

    handles: dict[str, Any] = {}
    for axes in sides:
        axes.grid(alpha=0.3, which="both")
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
