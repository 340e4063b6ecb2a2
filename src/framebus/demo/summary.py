# SPDX-License-Identifier: Apache-2.0
"""What came of a demo: the counts, and whether a frame was lost between player and worker."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from framebus import Frame, Statistics


@dataclass(frozen=True)
class Summary:
    """The last word of everyone involved; `pair` is a frame of the input with its result, if there was one."""

    source: str
    interrupted: bool
    played: Statistics
    fetched: Statistics
    processed: Statistics
    arrived: Statistics
    latency_p50_s: float
    latency_p99_s: float
    pair: tuple[Frame, Frame] | None

    @property
    def lost(self) -> int:
        """Frames that were played and are in no result."""
        return self.played.frames - self.processed.frames

    def lines(self) -> list[str]:
        """Returns it in words, a line a subject."""
        played, fetched, processed, arrived = self.played, self.fetched, self.processed, self.arrived
        if not played.frames:
            return ["played     no frame"]
        transport = f"{fetched.latency_p50_s * 1e3:.2f} ms median, {fetched.latency_p99_s * 1e3:.2f} ms p99"
        to_result = f"{self.latency_p50_s * 1e3:.1f} ms median, {self.latency_p99_s * 1e3:.1f} ms p99"
        megabytes = f"{fetched.memory_bytes / 1e6:.1f} MB", f"{arrived.memory_bytes / 1e6:.1f} MB"
        return [
            f"played     {played.frames} frames of {Path(self.source).name}{self._format()}",
            f"fetched    {fetched.frames} by the worker ({fetched.missed} missed, {fetched.dropped} dropped)",
            f"processed  {processed.frames}, {arrived.frames} of the results watched here",
            f"lost       {self.lost}",
            f"latency    from player to worker {transport}; from a frame to its result {to_result}",
            f"memory     {megabytes[0]} for the frames of the first channel, {megabytes[1]} for those of the second",
        ]

    def _format(self) -> str:
        if self.pair is None:
            return ""
        height, width = self.pair[0].array.shape[:2]
        return f", {width}x{height} {self.pair[0].pixel_format}"
