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


def describe() -> str:
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return (
        f"{processor()}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}, "
        f"numpy {np.__version__}, framebus {framebus.__version__}, load {load}"
    )
