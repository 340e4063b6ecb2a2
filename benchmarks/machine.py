# SPDX-License-Identifier: Apache-2.0
"""What machine the figures come from, and how busy it was."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np

import framebus


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)


def cache_mib() -> float:
    """The largest cache of the first core, 0 if it is not known."""
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size.removesuffix("K")) / 1024 for size in sizes if size.endswith("K")), default=0.0)


def facts() -> dict[str, str | float]:
    """The machine for a file that others read: nothing that tells whose it is."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(memory_gib(), 1),
        "cache_mib": round(cache_mib(), 1),
        "system": f"Linux {platform.release()}",
        "python": platform.python_version(),
    }


def describe() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, framebus {framebus.__version__}, load {load}"
    )
