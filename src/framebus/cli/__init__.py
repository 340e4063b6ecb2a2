# SPDX-License-Identifier: Apache-2.0
"""The command `framebus`: one file for each subcommand, which parses, calls and prints.

What it needs beyond numpy comes with an extra, so that the channel itself stays light; main() says which.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C has ended
EXTRAS = {"matplotlib": "bench", "cyclopts": "cli", "rich": "cli", "psutil": "cli", "PIL": "video", "av": "video"}


def main() -> None:
    """Runs the command with the arguments of this process. Ends with exit status 0 exactly if all went well."""
    try:
        from framebus.cli.app import app

        app()
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        sys.exit(f'framebus: this needs {error.name}, which is not installed; run: pip install "framebus[{extra}]"')
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # whoever read our output, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
