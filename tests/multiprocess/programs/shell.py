# SPDX-License-Identifier: Apache-2.0
"""Does for a program in a fork what a shell and the start of an interpreter do for one in an interpreter of its own.

    shell.py OPTIONS

OPTIONS is JSON. `words` are "-m" and a module, or a file, then arguments. `redirect` has pairs of a standard
descriptor and what it is to be: a path, the number of a descriptor that is then closed, or null where it is closed.
`cwd` is the current folder. `session` starts a session.
"""

from __future__ import annotations

import json
import os
import runpy
import sys

from framebus._util import fds

STREAMS = ("stdin", "stdout", "stderr")


def redirect(number: int, target: str | int | None) -> None:
    """Gives a standard descriptor another target. A stream of a closed one is None, as Python has it at its start."""
    if target is None:
        os.close(number)
        setattr(sys, STREAMS[number], None)
        setattr(sys, f"__{STREAMS[number]}__", None)
    elif isinstance(target, int):
        os.dup2(target, number)
        os.close(target)
    else:
        opened = os.open(target, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)


def main() -> None:
    """Runs the program as `__main__`."""
    options = json.loads(sys.argv[1])
    os.chdir(options["cwd"])
    if options["session"]:
        os.setsid()
    # Those that are closed come last, so that nothing is opened at their numbers.
    for number, target in sorted(options["redirect"], key=lambda each: each[1] is None):
        redirect(number, target)
    fds.fill_standard()  # as the import of framebus does
    first, *others = options["words"]
    if first == "-m":
        module, *others = others
        sys.argv[1:], sys.path[0] = others, os.getcwd()
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv[1:], sys.path[0] = others, os.path.dirname(os.path.abspath(first))
        runpy.run_path(first, run_name="__main__")


main()
