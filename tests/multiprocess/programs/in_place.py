# SPDX-License-Identifier: Apache-2.0
"""Joins the mount namespace of another process, and then becomes another Python program.

    in_place.py PID FILE ...
    in_place.py PID -m MODULE ...

What nsenter does before a program starts, this does in one that was forked (framebus.testing.forked).
"""

from __future__ import annotations

import ctypes
import os
import runpy
import sys

CLONE_NEWNS = 0x00020000

process, program = sys.argv[1], sys.argv[2]
folder = os.getcwd()
namespace = os.open(f"/proc/{process}/ns/mnt", os.O_RDONLY)
if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNS) != 0:
    raise OSError(ctypes.get_errno(), f"cannot join the mount namespace of process {process}")
os.close(namespace)
os.chdir(folder)  # it is that of the namespace now, whose root it was
del sys.argv[1:3]
try:
    if program == "-m":
        runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(program, run_name="__main__")
except SystemExit as end:
    if end.code not in (None, 0):
        raise
