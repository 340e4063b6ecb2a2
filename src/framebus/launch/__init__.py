# SPDX-License-Identifier: Apache-2.0
"""Starting program B and keeping it alive. From the bottom: program, guard; child, keeper; supervisor; launcher.

This module re-exports and does nothing else.
"""

from framebus.launch.first_frame import EndedByProgram as EndedByProgram, FirstFrame as FirstFrame
from framebus.launch.keeper import Keeper as Keeper
from framebus.launch.launcher import Launcher as Launcher, has_closed as has_closed
from framebus.launch.program import Launch as Launch, LaunchOption as LaunchOption, OnExit as OnExit
from framebus.launch.supervisor import Launched as Launched
