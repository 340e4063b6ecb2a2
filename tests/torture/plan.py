# SPDX-License-Identifier: Apache-2.0
"""What to do next: every decision of the driver, drawn from one generator.

Promise: each step takes the same number of draws whatever the programs are doing, so a seed gives the same sequence of
steps and options each time. When a step meets a program, and what that program is doing then, is up to the machine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from tests.torture import payload

Options = dict[str, Any]

PUBLISHER_SEATS = 2  # of which one at a time has the name
SUBSCRIBER_SEATS = 4


@dataclass(frozen=True)
class Theme:
    """What all publishers of one channel in one round have in common."""

    kinds: tuple[str, ...]
    on_full: tuple[str, ...]
    pace_s: float


@dataclass(frozen=True)
class Step:
    """One decision. Which of `start` and `verb` counts depends on whether there is a program in the seat."""

    pause_s: float
    refill: bool  # go to an empty seat if there is one
    pick: float  # else to this one, 0 to 1
    patient: bool  # leaves a program alone that is still starting
    verb: str
    lasting_s: float  # of a stop
    publisher: Options
    subscriber: Options


class Plan:
    def __init__(self, seed: int, largest: str = "4k") -> None:
        self._rng = random.Random(seed)
        self._kinds = [kind for kind in payload.KINDS if largest == "4k" or kind not in _too_large(largest)]

    def themes(self) -> list[Theme]:
        """The channels of the next round."""
        return [self._theme() for _ in range(self._rng.choice((2, 3)))]

    def step(self) -> Step:
        rng = self._rng
        return Step(
            pause_s=rng.random() * 0.5,
            refill=rng.random() < 0.6,
            pick=rng.random(),
            patient=rng.random() < 0.95,
            verb=rng.choices(("kill", "stop", "stop and kill", "close", "kill all"), (50, 25, 8, 14, 3))[0],
            lasting_s=rng.choice((0.05, 0.3, 1.0, 2.0)),
            publisher=self._publisher(),
            subscriber=self._subscriber(),
        )

    def _theme(self) -> Theme:
        rng = self._rng
        kinds = tuple(rng.sample(self._kinds, rng.choice((1, 2, 4))))
        on_full = rng.choice((("drop",), ("block",), ("raise",), ("block", "raise"), ("drop", "block", "raise")))
        return Theme(kinds, on_full, rng.choice((0.0, 0.002, 0.002, 0.01, 0.05)))

    def _publisher(self) -> Options:
        rng = self._rng
        return {
            "seed": rng.getrandbits(32),
            "slots": rng.choice((2, 3, 4, 8, 16)),
            "max_bytes": rng.choice((None, None, 64, 1 << 20, 7 << 20)),
            "on_full": rng.random(),  # a place in what the theme allows
            "timeout_s": rng.choice((None, 0.0, 0.05, 0.5)),
            "loans": rng.choice((0.0, 0.5, 1.0)),
            "threads": rng.choice((1, 1, 1, 2, 3)),
            "at_least": 0,
        }

    def _subscriber(self) -> Options:
        rng = self._rng
        return {
            "seed": rng.getrandbits(32),
            "every": rng.random() < 0.5,
            "hold": (hold := rng.choice((1, 2, 2, 3, 4, 8))),
            "history": rng.choice((0, 0, 0, 1, 5, 100)),
            "connect_timeout": rng.choice((0.0, 0.0, 0.3)),
            "wait": rng.choices(("adaptive", "park", "predictive", "spin"), (40, 30, 25, 5))[0],
            "reconnect": rng.random() < 0.7,
            "style": rng.choice(("recv", "recv", "try_recv", "iterate", "async", "select")),
            "threads": min(hold, rng.choice((1, 1, 1, 2))),
            "keeps": rng.choice((0.0, 0.5, 0.9)),
            "slowness_s": rng.choice((0.0, 0.0, 0.002, 0.02, 0.1)),
        }


def publisher_options(theme: Theme, drawn: Options) -> Options:
    """What a publisher of this channel gets."""
    mode = theme.on_full[int(drawn["on_full"] * len(theme.on_full))]
    return {**drawn, "on_full": mode, "kinds": theme.kinds, "pace_s": theme.pace_s}


def closing_publisher_options() -> Options:
    """One that sends three small frames and closes, so that whoever waits for a frame or for the end gets it."""
    return {
        "seed": 0,
        "slots": 4,
        "max_bytes": None,
        "on_full": "drop",
        "timeout_s": None,
        "loans": 0.0,
        "threads": 1,
        "at_least": 3,
        "kinds": ("tiny",),
        "pace_s": 0.001,
    }


def _too_large(largest: str) -> set[str]:
    """The kinds of layout above `largest`, which is vga or 4k."""
    return {"hd", "4k", "growing"} if largest == "vga" else set()
