# SPDX-License-Identifier: Apache-2.0
"""Keeps one core busy until it is killed."""

from __future__ import annotations

from talk import say

say("busy")
while True:
    pass
