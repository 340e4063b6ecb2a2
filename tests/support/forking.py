# SPDX-License-Identifier: Apache-2.0
"""Work in a forked child of the test's process."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from typing import Any

import framebus


def in_forked_child(work: Callable[[], object]) -> Any:
    """Does some work in a forked child; returns what it returns as "value", or what it raises as "text"."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy may have threads; the child only does this
        child = os.fork()
    if child == 0:
        try:
            result: object = {"value": work()}
        except BaseException as error:
            result = {"is_ours": isinstance(error, framebus.ForkedChild), "text": f"{type(error).__name__}: {error}"}
        os.write(writing, json.dumps(result, default=str).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        result = json.loads(pipe.read())
    os.waitpid(child, 0)
    return result
