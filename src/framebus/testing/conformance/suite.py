# SPDX-License-Identifier: Apache-2.0
"""The suite as a whole."""

from __future__ import annotations

from framebus.testing.conformance.carrying import Carrying
from framebus.testing.conformance.dying import Dying
from framebus.testing.conformance.ending import Ending
from framebus.testing.conformance.foreign import Foreign


class Suite(Carrying, Ending, Dying, Foreign):
    """All tests; a subclass whose name begins with Test defines link()."""
