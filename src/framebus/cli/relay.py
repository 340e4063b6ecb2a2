# SPDX-License-Identifier: Apache-2.0
"""`framebus relay SOURCE SINK`: moves frames from any source to any sink.

Standard output may be the sink: nothing is printed there but the report of --json, and that only for another sink.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, NoReturn

from cyclopts import Parameter

import framebus
from framebus.cli import output


def relay(
    source: str,
    sink: str,
    *,
    fps: float | None = None,
    limit: int | None = None,
    timeout: float | None = None,
    skip_errors: bool = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Move frames from SOURCE to SINK until the source ends.

    Both are channel names or URLs, such as pipe:stdout, tcp://127.0.0.1:7000, video:clip.mp4; `framebus endpoints`
    lists them with their options. Ctrl-C, SIGTERM and SIGHUP (the terminal was closed) end it properly: what has been
    written is complete; under nohup SIGHUP stays ignored. Exit status: 0 when the source has ended or the limit is
    reached, 1 for an error, 2 for a mistake in the arguments, 128 and the signal's number after a signal.

    Parameters
    ----------
    fps
        Frames per second at most.
    limit
        How many frames to move.
    timeout
        Seconds without a frame after which it ends; otherwise it waits without a limit.
    skip_errors
        Leave out frames that can't be sent, instead of ending there.
    as_json
        Print the report as JSON: to standard output, or to standard error if the sink is a pipe.
    """
    try:
        report = framebus.relay(
            source, sink, fps=fps, limit=limit, timeout=timeout, on_error="skip" if skip_errors else "raise"
        )
    except (framebus.InvalidUrl, framebus.InvalidName, ValueError) as error:
        _fail(str(error), status=2)
    except framebus.ChannelClosed as error:
        _fail(f"{sink!r} takes no more: {error}")
    except (framebus.Error, OSError) as error:
        _fail(str(error))
    if as_json:
        print(json.dumps(asdict(report)), file=sys.stderr if sink.lower().startswith("pipe:") else sys.stdout)
        return
    skipped = f", {report.failed} left out after errors" if report.failed else ""
    rate = f", {report.frames / report.seconds:.1f}/s" if report.seconds > 0 else ""
    why = {"limit": "the limit is reached", "closed": "the source has ended", "timeout": "no frame came in time"}
    output.say("relay", f"{report.frames} frames{rate}{skipped}; {why[report.reason]}")


def _fail(message: str, status: int = 1) -> NoReturn:
    output.fail("relay", message, status)
