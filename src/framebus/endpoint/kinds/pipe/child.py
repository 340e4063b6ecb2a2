# SPDX-License-Identifier: Apache-2.0
"""A program at the other end of a pipe: started from an argument list, never through a shell, and always reaped."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from framebus._util import child
from framebus.endpoint.kinds.pipe import descriptors
from framebus.endpoint.kinds.pipe.descriptors import Descriptor, Role
from framebus.endpoint.kinds.pipe.reported import Reported, is_needed
from framebus.errors import EndpointError

GRACE_S = 2.0  # between being asked to end and being killed


class Child:
    """A running program, whose standard input (for a sink) or output (for a source) is the pipe.

    A program that frames are read from gets no standard input of ours; everything else it inherits. Its exit status is
    known also where this process ignores SIGCHLD or reaps every child, see reporter.py.
    """

    def __init__(self, argv: Sequence[str | os.PathLike[str]], role: Role, buffer: int) -> None:
        """Starts it. Raises TypeError for what is not a list of arguments, EndpointError if it can't be started."""
        if isinstance(argv, str | bytes) or not all(isinstance(word, str | os.PathLike) for word in argv) or not argv:
            raise TypeError(
                f"argv is the program and its arguments, as in ['ffmpeg', '-i', 'clip.mp4'], got {argv!r}; "
                "no shell looks at it"
            )
        self.words = [os.fspath(word) for word in argv]
        reading, writing = descriptors.pair()
        ours, theirs = (reading, writing) if role == "source" else (writing, reading)
        self.descriptor: Descriptor = descriptors.own(ours, role, buffer)
        try:
            stdin, stdout = (subprocess.DEVNULL, theirs) if role == "source" else (theirs, None)
            self._process: Reported | subprocess.Popen[bytes] = (
                Reported(self.words, stdin, stdout)
                if is_needed()
                else subprocess.Popen(self.words, stdin=stdin, stdout=stdout)
            )
        except (OSError, ValueError) as error:
            self.descriptor.file.close()
            raise EndpointError(f"can't start {self.words[0]!r}: {error}") from error
        finally:
            os.close(theirs)

    def __str__(self) -> str:
        return f"{self.words[0]!r} (pid {self._process.pid})"

    def wait(self, seconds: float) -> int | None:
        """Waits until it has ended; returns its status, negative for a signal, None if it still runs."""
        return child.wait(self._process, seconds)

    def end(self, seconds: float) -> int | None:
        """Waits for its end, then asks for it, then kills it; returns the status if it ended unasked."""
        status = self.wait(seconds)
        if status is None:
            self._process.terminate()
            if self.wait(GRACE_S) is None:
                self._process.kill()
                self._process.wait()
        return status

    def fate(self, status: int | None) -> str:
        """Says how it ended, for messages."""
        return f"{self} still runs" if status is None else f"{self} {child.fate(status)}"
