# SPDX-License-Identifier: Apache-2.0
"""What every program here shares: framebus.testing.talk, by a short name."""

from framebus.testing.talk import (
    Ticker as Ticker,
    options as options,
    say as say,
    serve as serve,
    wait_for as wait_for,
)
