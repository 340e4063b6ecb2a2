# SPDX-License-Identifier: Apache-2.0
"""Starts and supervises the subscriber's program. From the bottom: program, guard; child, pin; supervisor; launcher.

This module re-exports and does nothing else.
"""

from framebus.launch.first_frame_pin import FirstFramePin as FirstFramePin
from framebus.launch.launcher import Launcher as Launcher, has_closed as has_closed
from framebus.launch.program import Launch as Launch, LaunchOption as LaunchOption, OnExit as OnExit
from framebus.launch.supervisor import Launched as Launched
