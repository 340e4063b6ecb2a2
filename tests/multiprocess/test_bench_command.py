# SPDX-License-Identifier: Apache-2.0
"""`framebus bench mechanisms`, as a shell runs it, with two mechanisms and small images."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "framebus", "bench", "mechanisms", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_mechanisms_are_measured_and_drawn(tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    done = bench("--only", "shm", "pipe", "--sizes", "640x480", "--seconds", "0.5", "--json", "--chart", str(chart))
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [result["mechanism"] for result in results] == ["anonymous pipe", "shared memory"]
    for result in results:
        assert result["problem"] is None
        assert result["frame_bytes"] == 640 * 480 * 3
        assert result["samples"] >= 2
        assert 0 < result["latency_p50_s"] <= result["latency_p99_s"]
        assert result["rate_hz"] > 0
        assert result["lost"] == 0, "both deliver every frame"
        assert result["cpu_s"] > 0
    with Image.open(chart) as picture:
        assert min(picture.size) > 300


def test_an_unknown_mechanism_or_size_is_refused_with_the_known_ones() -> None:
    done = bench("--only", "carrier-pigeon")
    assert done.returncode == 2
    assert "there is no 'carrier-pigeon'; there are pipe, msg, ipc, clipboard, dde, mailslot, shm" in done.stderr
