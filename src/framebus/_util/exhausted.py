# SPDX-License-Identifier: Apache-2.0
"""The error for a program that has no file descriptors left, and the check that enough are left before one is opened.

Promise: a call that finds none left raises SystemFailure with the limit and what to do. An OSError of EMFILE or ENFILE
never leaves an endpoint as it is.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from framebus._util import fds
from framebus.errors import EndpointError, Error, SystemFailure

_NONE_LEFT = (errno.EMFILE, errno.ENFILE)


def is_none_left(code: int | None) -> bool:
    """Whether `code`, an errno, says that this program, or the system, has no file descriptors left."""
    return code in _NONE_LEFT


def none_left(what: str, code: int | None, filename: object = None) -> SystemFailure:
    """Returns what to raise where `what` (such as "'ipc:///x' can't be opened") failed with such a `code`.

    `filename` is the file that was to be opened, if it was one.
    """
    if code == errno.ENFILE:
        message = f"{what}: the system has no file descriptors left (sysctl fs.file-max)"
        return SystemFailure(errno.ENFILE, message, filename)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return SystemFailure(
        errno.EMFILE,
        f"{what}: this program has no file descriptors left, it may have {limit}; close what it does not need, or "
        "raise the limit (ulimit -n)",
        filename,
    )


@contextmanager
def descriptors_told(what: str) -> Iterator[None]:
    """Turns an OSError that says that no descriptors are left into SystemFailure, also one behind an EndpointError.

    All other errors pass.
    """
    try:
        yield
    except EndpointError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError) or not is_none_left(cause.errno):
            raise
        raise none_left(what, cause.errno, cause.filename) from error
    except OSError as error:
        if isinstance(error, Error) or not is_none_left(error.errno):
            raise
        raise none_left(what, error.errno, error.filename) from error


def check_descriptors(count: int, what: str) -> None:
    """Raises SystemFailure unless `count` more descriptors can be opened now.

    For libraries that end the program where they get none: the check is made right before they are called. Another
    thread may take what was free in between; then the library behaves as it does.
    """
    with descriptors_told(what), ExitStack() as opened:
        for _ in range(count):
            opened.callback(os.close, fds.open_path("/", os.O_PATH))
