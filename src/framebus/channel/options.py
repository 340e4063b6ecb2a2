# SPDX-License-Identifier: Apache-2.0
"""What a subscriber can be asked for: the one place of the defaults and of the checks.

Subscriber, shm: and VideoCapture have the same keyword parameters with these defaults; Subscriber documents them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from framebus._util.checks import check_choice, check_range

Wait = Literal["adaptive", "park", "spin", "predictive"]


@dataclass(frozen=True)
class SubscriberOptions:
    """The options of one subscriber, checked; raises ValueError or TypeError for what is out of range.

    vars() of it are the keyword arguments of Subscriber and _core.SubscriberBase. The latter checks connect_timeout.
    """

    every: bool = False
    hold: int = 2
    history: int = 0
    connect_timeout: float = 0.0
    wait: Wait = "adaptive"
    max_spin: float = 0.0005
    reconnect: bool = True

    def __post_init__(self) -> None:
        check_choice("wait", self.wait, ("adaptive", "park", "spin", "predictive"))
        check_range("hold", self.hold, 1, 64)
        check_range("history", self.history, 0, 1024)
        if not 0 <= self.max_spin <= 1:
            raise ValueError(f"max_spin must be 0 to 1 seconds, got {self.max_spin}")


DEFAULTS: Final = SubscriberOptions()
