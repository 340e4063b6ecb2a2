# SPDX-License-Identifier: Apache-2.0
"""The command `framebus`: one file for each subcommand, which parses, calls and prints.

What it needs beyond numpy comes with an extra, so that the channel itself stays light; main() says which. output.py
has what all subcommands print with, signals.py the signals that end them.
"""

from __future__ import annotations

import re
import sys

from framebus.cli import output
from framebus.cli.signals import INTERRUPTED, UNREAD, exit_at_signals
from framebus.errors import Error

EXTRAS = {"matplotlib": "chart", "cyclopts": "cli", "rich": "cli", "psutil": "cli", "PIL": "video", "av": "video"}


def main() -> None:
    """Runs the command with the arguments of this process. Ends with exit status 0 exactly if all went well.

    Otherwise with 2 for a mistake in the arguments, 128 and a signal's number where one ended it, 141 where the reader
    of its output has gone, and 1 for any other error; a subcommand may say more.
    """
    output.take_over()
    exit_at_signals()
    try:
        try:
            _run()
        finally:
            sys.stdout.flush()
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        sys.exit(f'framebus: this needs {error.name}, which is not installed; run: pip install "framebus[{extra}]"')
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except output.OutputFailed as error:
        if error.unread:
            sys.exit(UNREAD)
        output.fail(_subcommand(), str(error))
    except Error as error:
        output.fail(_subcommand(), str(error))


def _run() -> None:
    from cyclopts import CycloptsError

    from framebus.cli.app import app

    try:
        app(exit_on_error=False, print_error=False)
    except CycloptsError as error:
        command = _subcommand()
        output.fail(command, f"{error} See: framebus {'' if command == 'command' else command + ' '}--help", 2)


def _subcommand() -> str:
    """The subcommand of this process, for messages."""
    return sys.argv[1] if len(sys.argv) > 1 and re.fullmatch("[a-z]+", sys.argv[1]) else "command"
