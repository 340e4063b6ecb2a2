# SPDX-License-Identifier: Apache-2.0
"""Draws the results of `framebus bench mechanisms`: latency and frames per second, by mechanism and size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framebus.bench.measure import SIZES, Result

BAR = 0.26


def write_png(path: Path, results: Sequence[Result], title: str) -> None:
    """Writes the chart. Needs matplotlib; raises OSError where the file can't be written."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    if all(result.problem for result in results):
        raise ValueError("nothing was measured, so there is nothing to draw")
    names = list(dict.fromkeys(result.mechanism for result in results if result.problem is None))
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    for place, size in enumerate(SIZES):
        found = {result.mechanism: result for result in results if result.size == size and result.problem is None}
        at = [names.index(name) + (place - 1) * BAR for name in found]
        latency = [result.latency_p50_s * 1e3 for result in found.values()]
        worst = [(result.latency_p99_s - result.latency_p50_s) * 1e3 for result in found.values()]
        left.barh(at, latency, BAR, label=size, xerr=[[0] * len(worst), worst], error_kw={"linewidth": 0.8})
        right.barh(at, [result.rate_hz for result in found.values()], BAR, label=size)
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    left.set_xlabel("latency in ms: p50, and to p99 (log)")
    right.set_xlabel("frames per second (log)")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.grid(axis="x", alpha=0.3)
    figure.legend(*left.get_legend_handles_labels(), title="RGB8 images", loc="outside lower center", ncols=len(SIZES))
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
