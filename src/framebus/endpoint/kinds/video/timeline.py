# SPDX-License-Identifier: Apache-2.0
"""When the pictures of a file are shown, whatever its clock does.

The clock of a file may start again or jump: transport streams that were joined or cut do both, and after 26.5 hours
their counter of 33 bits begins at 0 again. Pictures then go on at the distance they had:

    a step back of two pictures or more       the clock was set; the picture follows at the usual distance
    a smaller step back                       a picture out of order; it is shown right after the one before
    a step ahead of more than 10 s            the clock was set, in formats whose clock may (MPEG-TS, MPEG-PS, Ogg ...);
                                              elsewhere up to 30 hours are a pause
    no time at all                            the usual distance
"""

from __future__ import annotations

from typing import Final

LARGEST_STEP_S: Final = 10.0
LARGEST_PAUSE_S: Final = 30 * 3600.0


class Timeline:
    """Turns the clock of one run through a file into seconds that never go back.

    Attributes:
        shown_s: when the last picture was shown; the first one is at 0.
        distance_s: how long the last one is shown, were it the last of all: as long as the one before it.
    """

    def __init__(self, usual_s: float, *, clock_may_jump: bool, wraps_after_s: float | None = None) -> None:
        """`usual_s` is the distance of pictures as far as the file says."""
        self.shown_s, self.distance_s = 0.0, usual_s
        self._largest_step_s = LARGEST_STEP_S if clock_may_jump else LARGEST_PAUSE_S
        self._wraps_after_s = wraps_after_s
        self._zero_s: float | None = None  # what the clock shows at the first picture
        self._begun = False

    def next(self, time_s: float | None) -> float:
        """Returns when a picture is shown whose time by the file's clock is `time_s`."""
        if not self._begun:
            self._begun, self._zero_s = True, time_s
            return 0.0
        if time_s is None:
            self.shown_s += self.distance_s
            return self.shown_s
        if self._zero_s is None:
            self._zero_s = time_s - self.shown_s - self.distance_s
        step_s = self._step(time_s)
        if step_s > 0:
            self.distance_s = step_s
        self.shown_s += max(0.0, step_s)
        return self.shown_s

    def _step(self, time_s: float) -> float:
        """Returns how long after the one before; moves the zero of the clock where it was set."""
        assert self._zero_s is not None
        step_s = time_s - self._zero_s - self.shown_s
        wrap_s = self._wraps_after_s
        if wrap_s is not None and 0 <= step_s + wrap_s <= self._largest_step_s:
            self._zero_s -= wrap_s
            step_s += wrap_s
        if step_s <= -1.5 * self.distance_s or step_s > self._largest_step_s:
            self._zero_s += step_s - self.distance_s
            step_s = self.distance_s
        return step_s


class BestClock:
    """Chooses between the two times of a decoded picture, as FFmpeg's players do.

    One is when it is to be shown. Files that store none, such as H.264 in AVI, have a wrong one where pictures depend
    on later ones; the other, when it was to be decoded, then goes up evenly in the order of showing. The one that has
    gone back less often is right.
    """

    def __init__(self) -> None:
        """Trusts the first one until it goes back."""
        self._faults = [0, 0]
        self._last: list[int | None] = [None, None]

    def choose(self, shown: int | None, decoded: int | None) -> int | None:
        """Returns one of both; None where there is none."""
        for which, time in enumerate((shown, decoded)):
            if time is not None:
                last = self._last[which]
                self._faults[which] += last is not None and time <= last
                self._last[which] = time
        if shown is not None and (decoded is None or self._faults[0] <= self._faults[1]):
            return shown
        return decoded
