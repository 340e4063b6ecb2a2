# SPDX-License-Identifier: Apache-2.0
"""Where this checkout is, and the programs that tests of several processes start."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests/multiprocess/programs"
