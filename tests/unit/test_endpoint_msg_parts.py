# SPDX-License-Identifier: Apache-2.0
"""Frames in parts: any mixture is put together again, and what is incomplete or garbage never arrives."""

from __future__ import annotations

import random

import pytest
from tests.support.msg_parts import message_of, parts_of

from framebus.endpoint import wire
from framebus.endpoint.kinds.msg import parts


def whole(assembler: parts.Assembler, *some: bytes) -> list[bytes]:
    """Returns the messages that these parts complete."""
    return [found.data.tobytes() for part in some if (found := assembler.add(part)) is not None]


@pytest.mark.parametrize("part_bytes", [256, 257, 1000, 8192])
def test_a_message_in_parts_of_any_length_is_put_together_again(part_bytes: int) -> None:
    for size in (0, 1, 215, 216, 217, 5000):
        message = message_of(1, size)
        pieces = [message[:7], memoryview(message)[7:300], b"", message[300:]]
        made = list(parts.split(pieces, len(message), place=1, stream=5, number=1, part_bytes=part_bytes))
        assert len(made) == parts.count_of(len(message), part_bytes)
        assert {len(part) for part in made[:-1]} <= {part_bytes}
        assert len(made[-1]) <= part_bytes
        assert whole(parts.Assembler(), *made) == [message]


def test_parts_of_many_senders_may_come_in_any_mixture() -> None:
    chance = random.Random(1)
    waiting = {
        place: [part for number in (1, 2, 3) for part in parts_of(message_of(place, 900), number, place=place)]
        for place in range(1, parts.MAX_SENDERS + 1)
    }
    assembler, found = parts.Assembler(), []
    while waiting:
        place = chance.choice(list(waiting))
        found += whole(assembler, waiting[place].pop(0))
        if not waiting[place]:
            del waiting[place]
    assert sorted(found) == sorted(
        message_of(place, 900) for place in range(1, parts.MAX_SENDERS + 1) for _ in range(3)
    )
    assert assembler.lost == 0


@pytest.mark.parametrize("missing", range(6))
def test_a_message_with_a_part_missing_never_arrives_and_the_next_one_does(missing: int) -> None:
    first, second, third = (parts_of(message_of(number, 900), number) for number in (1, 2, 3))
    assert len(second) == 6
    assembler = parts.Assembler()
    found = whole(assembler, *first, *second[:missing], *second[missing + 1 :], *third)
    assert found == [message_of(1, 900), message_of(3, 900)]
    assert assembler.lost == 1


def test_a_sender_that_takes_a_dead_ones_place_loses_it_its_half_message() -> None:
    assembler = parts.Assembler()
    old = parts_of(message_of(1, 900), 1, stream=5)
    assert whole(assembler, *old[:3], *parts_of(message_of(9, 900), 1, stream=6), *old[3:]) == [message_of(9, 900)]
    assert assembler.lost == 1


def test_joining_in_the_middle_of_a_message_loses_only_that_one() -> None:
    assembler = parts.Assembler()
    found = whole(assembler, *parts_of(message_of(7, 900), 7)[2:], *parts_of(message_of(8, 900), 8))
    assert found == [message_of(8, 900)]
    assert assembler.lost == 0


def test_what_is_announced_is_bounded_before_memory_is_taken() -> None:
    assembler = parts.Assembler(max_bytes=3_000_000)
    with pytest.raises(wire.Malformed, match="the source takes at most 3000000"):
        assembler.add(parts_of(message_of(1, 4_000_000), 1)[0])
    first, second = (parts_of(message_of(1, 2_900_000), 1, place=place) for place in (1, 2))
    assert assembler.add(first[0]) is None
    with pytest.raises(wire.Malformed, match=r"while 29\d+ are under way"):
        assembler.add(second[0])
    assert len(whole(assembler, *first[1:])) == 1
    assert len(whole(assembler, *second)) == 1


def test_no_change_of_any_bits_gives_anything_but_whole_messages_or_malformed() -> None:
    chance = random.Random(2)
    good = parts_of(message_of(1, 900), 1)
    refused = 0
    for _ in range(3000):
        assembler = parts.Assembler(max_bytes=1 << 20)
        changed = [bytearray(part) for part in good]
        victim = chance.choice(changed)
        for _ in range(chance.choice((1, 1, 4))):
            victim[chance.randrange(min(len(victim), 72))] ^= 1 << chance.randrange(8)
        del victim[len(victim) - chance.choice((0, 0, 0, 1, 200)) :]
        for part in changed:
            try:
                found = assembler.add(bytes(part))
            except wire.Malformed:
                refused += 1
            else:
                assert found is None or found.data.nbytes == len(message_of(1, 900))
    assert refused > 100
