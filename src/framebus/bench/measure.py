# SPDX-License-Identifier: Apache-2.0
"""Starts the two programs of a link, lets them work, and sums up what they found."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from framebus._util.child import Child, fate
from framebus.bench.links import Link, Mechanism, Missing, reason_missing
from framebus.errors import EndpointError

SIZES = {"640x480": (640, 480), "1080p": (1920, 1080), "4K": (3840, 2160)}
LATENCY_RATE_HZ = 20.0
STOP_S = 5.0  # for a program to close its end


@dataclass(frozen=True)
class Result:
    """What a mechanism does with images of one size, RGB8.

    Attributes:
        mechanism: its name.
        size: name of the size.
        frame_bytes: of one image.
        latency_p50_s, latency_p99_s: from just before send() until first and last byte have been read, at 20 frames a
            second.
        samples: frames that these come from.
        rate_hz: frames received per second, sent as fast as it goes.
        lost: share of the sent frames that did not arrive then.
        cpu_s: CPU seconds of both programs per frame received then, without those of servers (display, bus).
        memory_bytes: memory that both programs take for it together, shared memory counted once.
        problem: why there are no figures, None where all is well.
    """

    mechanism: str
    size: str
    frame_bytes: int
    latency_p50_s: float = 0.0
    latency_p99_s: float = 0.0
    samples: int = 0
    rate_hz: float = 0.0
    lost: float = 0.0
    cpu_s: float = 0.0
    memory_bytes: int = 0
    problem: str | None = None


class _End(Child):
    """One of the two programs."""

    def __init__(self, role: str, link: Link, task: dict[str, Any]) -> None:
        told = json.dumps({"role": role, "url": link.source if role == "source" else link.sink, **task})
        super().__init__(
            [sys.executable, "-m", "framebus.bench.endpoint_program", told],
            pass_fds=link.source_fds if role == "source" else link.sink_fds,
            env=link.env,
        )

    def go(self) -> None:
        """Has it do its work."""
        self._write(b"")

    def stop(self) -> None:
        """Ends it, by SIGTERM first, so that it leaves no files, wherever it is."""
        self._stop(STOP_S, signal.SIGTERM)

    def report(self) -> dict[str, Any]:
        """Waits for its next report. Raises EndpointError with its last line where it has ended."""
        found = self._read()
        if found is None:
            status = self._process.wait()
            *_, last = ["", *self.errors().splitlines()]
            raise EndpointError(last.strip().removeprefix("framebus.errors.") or f"the program {fate(status)}")
        return found


def _run(link: Link, task: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the receiver and the sender report."""
    ends: dict[str, _End] = {}
    try:
        for role in ("source", "sink") if link.source_first else ("sink", "source"):
            ends[role] = _End(role, link, task)
            ends[role].report()
        for role in ("source", "sink"):
            ends[role].go()
        try:
            received = ends["source"].report()
        except EndpointError:
            if ends["sink"].status is not None:
                ends["sink"].report()  # its error came first
            raise
        return received, ends["sink"].report()
    finally:
        for end in ends.values():
            end.stop()


def measure(mechanism: Mechanism, size: str, seconds: float) -> Result:
    """Measures one mechanism with images of one size: latency first, then how many get through."""
    width, height = SIZES[size]
    frame_bytes = width * height * 3
    missing = reason_missing(mechanism)
    if missing is not None:
        return Result(mechanism.name, size, frame_bytes, problem=missing)
    task = {"width": width, "height": height, "seconds": seconds}
    try:
        with mechanism.link(False) as link:
            paced, _ = _run(link, {**task, "period_s": 1 / LATENCY_RATE_HZ})
        with mechanism.link(True) as link:
            received, sent = _run(link, {**task, "period_s": 0})
    except (Missing, EndpointError) as error:
        return Result(mechanism.name, size, frame_bytes, problem=str(error))
    ages, times = paced["ages"], received["times"]
    if len(ages) < 2 or len(times) < 2:
        return Result(mechanism.name, size, frame_bytes, problem=f"only {min(len(ages), len(times))} frames arrived")
    cuts = quantiles(ages, n=100, method="inclusive")
    return Result(
        mechanism.name,
        size,
        frame_bytes,
        latency_p50_s=cuts[49] * 1e-9,
        latency_p99_s=cuts[98] * 1e-9,
        samples=len(ages),
        rate_hz=(len(times) - 1) / ((times[-1] - times[0]) * 1e-9),
        lost=1 - len(times) / max(1, sent["sent"]),
        cpu_s=(received["cpu_s"] + sent["cpu_s"]) / len(times),
        memory_bytes=received["memory"] + sent["memory"],
    )
