# SPDX-License-Identifier: Apache-2.0
"""Helpers for tests of programs that use framebus, and the conformance suite for sources and sinks.

Crash helpers, which need nothing beyond framebus:

    with framebus.testing.Sender("camera0") as sender:          # a program of its own
        sender.send(1)
        sender.freeze(); sender.resume(); sender.interrupt()    # SIGSTOP, SIGCONT, Ctrl-C
        sender.kill()                                           # kill -9

Receiver is its counterpart, Program runs any program of yours that speaks framebus.testing.talk.

The conformance suite, which needs pytest, checks that a source and a sink of yours keep what framebus.endpoint says
that all of them do; see framebus.testing.conformance.
"""

from framebus._util.public import present
from framebus.testing.peers import Receiver, Sender
from framebus.testing.process import Program, Refused
from framebus.testing.specimen import is_whole, number_of

__all__ = [
    "Program",
    "Receiver",
    "Refused",
    "Sender",
    "is_whole",
    "number_of",
]

__dir__ = present(__name__, __all__)
