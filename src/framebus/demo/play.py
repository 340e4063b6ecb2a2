# SPDX-License-Identifier: Apache-2.0
"""The player: plays a clip, or the moving pattern, into a channel, at its own frame rate.

    python -m framebus.demo.play camera0 --source FILE

Each picture is filled into the channel's memory in place. Nothing is left out: a subscriber that wants every frame is
waited for (on_full="block"), and the pictures that are late for that come one right after the other.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import framebus
from framebus.demo import pattern
from framebus.demo.lifeline import Lifeline
from framebus.demo.report import Report, Reporter
from framebus.endpoint.kinds.video.reader import Reader

PATTERN = "pattern"
PATIENCE_S = 10.0  # for an audience to come, and for one that has stopped fetching


class Picture(Protocol):
    """What can be played."""

    @property
    def number(self) -> int: ...  # noqa: D102 - from 0
    @property
    def time_s(self) -> float: ...  # noqa: D102 - when to show it, counted from the first
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102 - rows, columns, and blue, green, red
    def draw_into(self, target: NDArray[np.uint8], /) -> None: ...  # noqa: D102 - fills an array of this shape


def pictures_of(source: str) -> Iterator[Picture]:
    """Returns the pictures of a file, or of the pattern, without end."""
    return pattern.pictures() if source == PATTERN else _clip(source)


def _clip(path: str) -> Iterator[Picture]:
    """Yields the pictures of a file, over and over. Raises EndpointError for what can't be played."""
    try:
        yield from Reader(path, form="BGR8", loop=True).pictures()
    except ModuleNotFoundError as error:
        raise framebus.EndpointError(
            f'playing a file needs PyAV ({error}); install it: pip install "framebus[video]", or play --source pattern'
        ) from error
    except framebus.EndpointError as error:
        raise framebus.EndpointError(f"{error}, or --source pattern") from error


def play(
    channel: framebus.Publisher, source: str, seconds: float, audience: int, lifeline: Lifeline, reporter: Reporter
) -> None:
    """Plays `seconds` of `source`, or until the lifeline is cut, once `audience` subscribers are there.

    Where playing is too slow for its own rate, it ends a second late at most, wherever it has got to.
    """
    pictures = pictures_of(source)
    picture = next(pictures)
    if not _wait_for(channel, audience, lifeline):
        return
    began = time.monotonic()
    while picture.time_s < seconds and time.monotonic() - began < seconds + 1:
        if lifeline.is_cut(began + picture.time_s - time.monotonic()):
            return
        loan = _borrow(channel, picture.shape, lifeline)
        if loan is None:
            return
        with loan as frame:
            picture.draw_into(frame.array)
            frame.meta = {"source": source, "picture": picture.number, "time_s": picture.time_s}
        if reporter.due():
            reporter.write(Report(channel.statistics()))
        picture = next(pictures)


def _borrow(channel: framebus.Publisher, shape: tuple[int, ...], lifeline: Lifeline) -> framebus.Loan | None:
    """Returns a slot, or None if the lifeline is cut meanwhile. Raises ChannelFull if no subscriber makes room."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return channel.loan(shape, pixel_format="BGR8", timeout=0.25)
        except framebus.ChannelFull:
            if lifeline.is_cut():
                return None
            if time.monotonic() > deadline:
                raise


def _wait_for(channel: framebus.Publisher, audience: int, lifeline: Lifeline) -> bool:
    """Returns whether to begin. Raises Timeout if the audience does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while (there := channel.statistics().subscribers) < audience:
        if lifeline.is_cut(0.01):
            return False
        if time.monotonic() > deadline:
            raise framebus.Timeout(
                f"waited {PATIENCE_S:g} s for {audience} subscribers of {channel.name!r}, {there} came; "
                "start them, or leave out --audience"
            )
    return True


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m framebus.demo.play", description="Plays a clip into a channel.")
    parser.add_argument("channel", help="name of the channel to publish")
    parser.add_argument("--source", default=PATTERN, help="a video file, or 'pattern' (default)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="how long to play; default: until Ctrl-C")
    parser.add_argument("--audience", type=int, default=0, help="begin when that many subscribers are there")
    parser.add_argument("--lifeline", action="store_true", help="end when standard input does")
    parser.add_argument("--reports", action="store_true", help="write figures to standard output, as lines of JSON")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Runs the program. Ctrl-C ends it like the end of the clip; an error with a message and status 1."""
    options = _arguments(given)
    reporter = Reporter(options.reports)
    try:
        with framebus.Publisher(options.channel, on_full="block") as channel:
            try:
                play(channel, options.source, options.seconds, options.audience, Lifeline(options.lifeline), reporter)
            finally:
                reporter.write(Report(channel.statistics()))
    except framebus.Error as error:
        sys.exit(f"framebus.demo.play: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
