# SPDX-License-Identifier: Apache-2.0
"""Helpers of the tests, one idea a file. `benchmarks/` uses compiler.py, which needs no pytest."""
