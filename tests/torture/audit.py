# SPDX-License-Identifier: Apache-2.0
"""Adds up what the programs of one channel wrote down, after all of them have ended.

What must hold in each life of the control block (the channel may have been removed and made again):

- sequence numbers: each was given to one frame; publishers did not overlap; a gap is explained by a frame that a
  killed publisher had begun to send
- subscribers, also killed ones: frames came in order, none twice, each is the one that was sent under that number,
  and none was dropped, refused or never sent
- subscribers that ended in order: frames + missed + dropped + pending is exactly what was published while they were
  there, the gaps they saw are what they counted, and nothing was dropped unless a publisher was allowed to drop
- publishers that ended in order: what they counted is what they sent

When somebody came or asked for the counts is known to lie between two moments, hence the bounds.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.torture import journal
from tests.torture.journal import BEGIN, GOT, INTENT, OPENED, SENT
from tests.torture.program import Fault, Program

Records = NDArray[Any]


@dataclass
class Found:
    """What an audit looked at."""

    frames: int = 0
    counted: int = 0


@dataclass
class Member:
    """One program and its records."""

    program: Program
    records: Records
    life: int
    opened: int  # ns
    begun: int  # ns

    def of(self, kind: int) -> Records:
        found: Records = self.records[self.records["kind"] == kind]
        return found

    @property
    def ended_in_order(self) -> bool:
        return self.program.killed_while is None

    def require(self, fine: object, what: str) -> None:
        if not fine:
            raise Fault(f"{self.program}: {what}")


@dataclass
class Life:
    """What was published between the making and the removal of one control block."""

    publishers: list[Member] = field(default_factory=list)
    subscribers: list[Member] = field(default_factory=list)
    sent: Records = field(default_factory=lambda: np.zeros(0, journal.RECORD))  # sorted by sequence number
    # Tickets that a killed publisher began to send and did not live to write down.
    unknown: set[int] = field(default_factory=set)

    def newest_for_sure(self, moment: int) -> int:
        """A sequence number that had been published at that moment."""
        before = self.sent["a"][self.sent["time"] < moment]
        return int(before.max(initial=0))

    def newest_at_most(self, moment: int) -> int:
        """A sequence number of which no later one can have been published at that moment."""
        newest, unknown = 0, 0
        for publisher in sorted(self.publishers, key=lambda one: one.opened):
            intents = publisher.of(INTENT)
            begun = intents["b"][intents["time"] < moment]
            sent = publisher.of(SENT)
            mine = sent["a"][np.isin(sent["b"], begun)]
            if mine.size:
                newest, unknown = int(mine.max()), 0
            unknown += len(self.unknown.intersection(begun.tolist()))
        return newest + unknown


def audit(programs: list[Program]) -> Found:
    """Checks one channel. Raises Fault."""
    found = Found()
    for life in lives(programs).values():
        check_sequence(life)
        known: dict[int, int] = {}
        for subscriber in life.subscribers:
            found.frames += check_frames(life, subscriber, known)
            if subscriber.ended_in_order:
                check_counts(life, subscriber)
                found.counted += 1
        for publisher in life.publishers:
            if publisher.ended_in_order:
                check_publisher(publisher)
    return found


def lives(programs: list[Program]) -> dict[int, Life]:
    found: dict[int, Life] = defaultdict(Life)
    for program in programs:
        records = journal.read(program.paths.journal)
        opened = records[records["kind"] == OPENED]
        if opened.size == 0:
            if np.isin(records["kind"], (INTENT, GOT)).any():
                raise Fault(f"{program} has records without having opened the channel")
            continue
        begun = records["time"][records["kind"] == BEGIN]
        member = Member(program, records, int(opened["a"][0]), int(opened["time"][0]), int(begun[-1]))
        life = found[member.life]
        (life.publishers if program.role == "publisher" else life.subscribers).append(member)
    for life in found.values():
        sent = [publisher.of(SENT) for publisher in life.publishers]
        if sent:
            life.sent = np.sort(np.concatenate(sent), order="a")
        for publisher in life.publishers:
            resolved = publisher.records["b"][
                np.isin(publisher.records["kind"], (SENT, journal.REFUSED, journal.DROPPED))
            ]
            unresolved = set(publisher.of(INTENT)["b"].tolist()) - set(resolved.tolist())
            publisher.require(not unresolved or not publisher.ended_in_order, "it lost track of a frame")
            life.unknown |= unresolved
    return found


def check_sequence(life: Life) -> None:
    numbers = life.sent["a"].astype(np.int64)
    if numbers.size == 0:
        return
    steps = np.diff(numbers, prepend=0)
    if (steps == 0).any():
        raise Fault(f"sequence number {numbers[steps == 0][0]} was given to two frames")
    gaps = int((steps - 1).sum())
    if gaps > len(life.unknown):
        raise Fault(f"{gaps} sequence numbers were left out, but only {len(life.unknown)} frames were cut off by kills")
    spans = []
    for publisher in life.publishers:
        mine = publisher.of(SENT)["a"]
        if mine.size:
            spans.append((int(mine.min()), int(mine.max()), publisher))
    spans.sort(key=lambda span: span[0])
    for (_, last, one), (first, _, other) in itertools.pairwise(spans):
        other.require(first > last, f"it published {first} while {last} was published by {one.program}")


def check_frames(life: Life, subscriber: Member, known: dict[int, int]) -> int:
    """`known`: the tickets of frames that nobody wrote down as sent, by sequence number. Returns how many frames."""
    got = subscriber.of(GOT)
    for thread in np.unique(got["thread"]):
        steps = np.diff(got["a"][got["thread"] == thread].astype(np.int64))
        subscriber.require((steps > 0).all(), f"thread {thread} got frames out of order, or one twice")
    numbers, counts = np.unique(got["a"], return_counts=True)
    subscriber.require((counts == 1).all(), f"it got frame {numbers[counts > 1][:1]} twice")
    at = np.searchsorted(life.sent["a"], got["a"])
    sent = np.append(life.sent, np.zeros(1, journal.RECORD))
    written = sent["a"][at] == got["a"]
    wrong = written & (sent["b"][at] != got["b"])
    subscriber.require(
        not wrong.any(), f"under {got['a'][wrong][:1]} it got ticket {got['b'][wrong][:1]}, not what was sent"
    )
    for seq, ticket in got[~written][["a", "b"]].tolist():
        subscriber.require(ticket in life.unknown, f"it got frame {seq}, ticket {ticket}, which was never sent")
        subscriber.require(known.setdefault(seq, ticket) == ticket, f"two frames have the number {seq}")
    return int(got.size)


def check_counts(life: Life, subscriber: Member) -> None:
    report = subscriber.program.report()
    reason = report["reason"]
    if reason == "never attached":
        return
    statistics = report["statistics"]
    frames, missed, dropped, pending = (statistics[key] for key in ("frames", "missed", "dropped", "pending"))
    numbers = np.sort(subscriber.of(GOT)["a"]).astype(np.int64)
    said = f"its statistics say {frames} frames, {missed} missed, {dropped} dropped, {pending} pending"
    subscriber.require(frames == numbers.size, f"{said}; it got {numbers.size}")
    every = subscriber.program.options["every"]
    subscriber.require((missed if every else dropped) == 0, said)
    if dropped:
        droppers = [one for one in life.publishers if one.program.options["on_full"] == "drop"]
        subscriber.require(droppers, f"{said}; no publisher of this channel was allowed to drop")
    least_start, most_start = start_bounds(life, subscriber)
    least_end = life.newest_for_sure(report["before_ns"])
    most_end = life.newest_at_most(report["after_ns"])
    total = frames + missed + dropped + pending
    if frames:
        inner = int((np.diff(numbers) - 1).sum())
        start = int(numbers[0]) - 1 - (missed + dropped - inner)
        end = int(numbers[-1]) + pending
        subscriber.require(missed + dropped >= inner, f"{said}; it saw gaps of {inner}")
        subscriber.require(total == end - start, f"{said}; it was there from {start} to {end}")
        subscriber.require(
            least_start <= start <= most_start,
            f"{said}; so it began after {start}, but the channel stood at {least_start} to {most_start} when it came",
        )
        subscriber.require(
            least_end <= end <= most_end,
            f"{said}; so the newest was {end}, but that was {least_end} to {most_end} when it asked",
        )
    else:
        subscriber.require(missed == dropped == 0, said)
    bounds = (least_end - most_start, most_end - least_start)
    subscriber.require(
        bounds[0] <= total <= bounds[1], f"{said}: {total}, but published were {bounds[0]} to {bounds[1]}"
    )
    check_reason(life, subscriber, reason)


def start_bounds(life: Life, subscriber: Member) -> tuple[int, int]:
    """After which sequence number a subscriber may have begun."""
    options = subscriber.program.options
    least, most = life.newest_for_sure(subscriber.begun), life.newest_at_most(subscriber.opened)
    back = options["history"] or (0 if options["every"] else 1)
    return max(0, least - back), most


def check_reason(life: Life, subscriber: Member, reason: str) -> None:
    """Why it ended, beside being asked: the end it was told of must have happened."""

    def any_publisher(what: Callable[[Member], bool]) -> bool:
        return any(what(publisher) for publisher in life.publishers)

    if reason == "died":
        subscriber.require(not subscriber.program.options["reconnect"], "PublisherDied with reconnect=True")
        subscriber.require(any_publisher(lambda one: not one.ended_in_order), "PublisherDied, but none was killed")
    if reason in ("closed", "ended"):
        subscriber.require(any_publisher(lambda one: one.ended_in_order), f"{reason}, but no publisher closed")


def check_publisher(publisher: Member) -> None:
    report = publisher.program.report()
    sent = publisher.of(SENT).size
    frames = report["statistics"]["frames"]
    publisher.require(frames == sent, f"its statistics say {frames} frames; it sent {sent}")
    if publisher.program.options["on_full"] != "drop":
        dropped = report["statistics"]["dropped"]
        publisher.require(dropped == 0, f"its statistics say {dropped} dropped, which it was not allowed to")
