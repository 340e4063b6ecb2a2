# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the public API, each beside a limit measured in the same run. Run by scripts/bench."""
