# SPDX-License-Identifier: Apache-2.0
"""The worker: fetches every frame of one channel, looks for edges and motion, and publishes what it found to another.

    python -m framebus.demo.process camera0 edges0

The metadata of each result say which frame it was made from, and how much of it is edge and motion:

    {"source": {"channel": "camera0", "seq": 17, "timestamp_ns": 81204411223}, "edges": 0.113, "motion": 0.009}
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

import framebus
from framebus.demo.algorithm import EdgesAndMotion
from framebus.demo.lifeline import Lifeline
from framebus.demo.report import INTERVAL_S, Report, Reporter


def process(source: framebus.Subscriber, results: framebus.Publisher, lifeline: Lifeline, reporter: Reporter) -> None:
    """Works until the source is closed, or the lifeline is cut. Raises PublisherDied where it ends otherwise."""
    algorithm = EdgesAndMotion()
    for frame in _frames(source, lifeline):
        if frame is not None:
            _answer(frame, source.name, results, algorithm)
        if reporter.due():
            reporter.write(Report(results.statistics(), source.statistics()))


def _frames(source: framebus.Subscriber, lifeline: Lifeline) -> Iterator[framebus.Frame | None]:
    """Yields each frame, and None now and then where nothing comes."""
    while not lifeline.is_cut():
        try:
            frame = source.recv(timeout=INTERVAL_S)
        except framebus.ChannelClosed:
            return
        except framebus.Timeout:
            yield None
        else:
            yield frame


def _answer(frame: framebus.Frame, channel: str, results: framebus.Publisher, algorithm: EdgesAndMotion) -> None:
    with frame, results.loan((*frame.array.shape[:2], 3), pixel_format="BGR8") as result:
        found = algorithm.process(frame.array, result.array)
        result.meta = {
            "source": {"channel": channel, "seq": frame.seq, "timestamp_ns": frame.timestamp_ns},
            "edges": found.edges,
            "motion": found.motion,
        }


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m framebus.demo.process", description="Shows edges and motion.")
    parser.add_argument("source", metavar="IN", help="channel to fetch from")
    parser.add_argument("results", metavar="OUT", help="channel to publish to")
    parser.add_argument("--patience", type=float, default=10.0, help="seconds to wait for IN (default 10)")
    parser.add_argument("--lifeline", action="store_true", help="end when standard input does")
    parser.add_argument("--reports", action="store_true", help="write figures to standard output, as lines of JSON")
    return parser.parse_args(given)


def _join(channel: str, patience_s: float, lifeline: Lifeline) -> framebus.Subscriber | None:
    """Waits for the channel; None if the lifeline is cut meanwhile. Raises ChannelNotFound when patience ends."""
    deadline = time.monotonic() + patience_s
    while not lifeline.is_cut():
        try:
            return framebus.Subscriber(channel, every=True, connect_timeout=INTERVAL_S, reconnect=False)
        except framebus.ChannelNotFound:
            if time.monotonic() > deadline:
                raise
    return None


def main(given: Sequence[str] | None = None) -> None:
    """Runs the program. Ctrl-C ends it like the end of its input; an error with a message and status 1."""
    options = _arguments(given)
    reporter = Reporter(options.reports)
    lifeline = Lifeline(options.lifeline)
    try:
        with framebus.Publisher(options.results) as results:
            source = _join(options.source, options.patience, lifeline)
            if source is None:
                return
            with source:
                try:
                    process(source, results, lifeline, reporter)
                finally:
                    reporter.write(Report(results.statistics(), source.statistics()))
    except (framebus.Error, ValueError) as error:
        sys.exit(f"framebus.demo.process: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
