# SPDX-License-Identifier: Apache-2.0
"""Names for channels, queues, services and everything else that processes find by name."""

from __future__ import annotations

import os
import uuid


def fresh_name() -> str:
    """Returns a valid name that no other test and no other run uses; leftovers.py finds this process by it."""
    return f"test-{os.getpid()}-{uuid.uuid4().hex[:12]}"
