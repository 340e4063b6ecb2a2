# SPDX-License-Identifier: Apache-2.0
"""subprocess.run() for a Python program that is a fork: it is cheaper where its start is not what is tested."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence

from tests.support.waiting import WATCHDOG_S

from framebus.testing.forked import Forked


def run_forked(
    python: Sequence[str], command: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program without input to its end, whatever that is; the parameters are those of Forked.

    Its output is read to the end without a watchdog: that of pytest ends the test, and then the program is killed.
    """
    with tempfile.TemporaryFile() as errors:
        program = Forked(python, command, stderr=errors, env=env)
        try:
            program.stdin.close()
            output = program.stdout.read()
            program.wait(WATCHDOG_S)
        finally:
            program.kill()
            status = program.wait()
            program.stdout.close()
        errors.seek(0)
        return subprocess.CompletedProcess(command, status, output.decode(), errors.read().decode())
