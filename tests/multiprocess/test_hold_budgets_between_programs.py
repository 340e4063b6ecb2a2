# SPDX-License-Identifier: Apache-2.0
"""Every subscriber may sit on its whole budget for ever, and the publisher still never lacks a slot."""

from __future__ import annotations

import pytest
from tests.support.harness import Program, Programs, Refused

BUDGETS = (1, 2, 5, 16)


def fill_budgets(publisher: Program, subscribers: dict[int, Program]) -> None:
    """Make each subscriber hold as many different frames as its budget allows."""
    for number in range(1, max(subscribers) + 1):
        publisher.ask("send", shape=[120, 160], fill=number)
        for budget, subscriber in subscribers.items():
            if number <= budget:
                assert subscriber.ask("recv", timeout=30.0, keep=True)["seq"] == number


def test_publisher_never_lacks_a_slot_while_every_subscriber_holds_its_full_budget(
    programs: Programs, channel_name: str
) -> None:
    publisher = programs.publisher(channel_name, slots=2, on_full="raise")
    subscribers = {budget: programs.subscriber(channel_name, hold=budget) for budget in BUDGETS}
    fill_budgets(publisher, subscribers)

    assert publisher.ask("send", shape=[120, 160], fill=255, count=2000) == max(BUDGETS) + 2000
    publisher.ask("begin_loan", shape=[120, 160], fill=254, key="first")
    publisher.ask("begin_loan", shape=[120, 160], fill=254, key="second")
    publisher.ask("send", shape=[120, 160], fill=255, count=100)
    publisher.ask("end_loan", key="second")
    publisher.ask("end_loan", key="first")

    statistics = publisher.ask("statistics")
    assert statistics["dropped"] == 0
    assert statistics["subscribers"] == len(BUDGETS)
    assert statistics["slots"] >= sum(BUDGETS) + 2
    for budget, subscriber in subscribers.items():
        assert subscriber.ask("statistics")["held"] == budget
        assert subscriber.ask("kept_unchanged") == [True] * budget


@pytest.mark.parametrize("every", [False, True], ids=["latest", "every"])
def test_one_more_than_the_budget_is_refused_until_something_is_let_go(
    programs: Programs, channel_name: str, every: bool
) -> None:
    publisher = programs.publisher(channel_name)
    subscriber = programs.subscriber(channel_name, hold=3, every=every)
    for _ in range(3):
        publisher.ask("send", shape=[120, 160])
        subscriber.ask("recv", timeout=30.0, keep=True)
    publisher.ask("send", shape=[120, 160])
    for command in ("recv", "try_recv"):
        with pytest.raises(Refused, match="hold") as refusal:
            subscriber.ask(command)
        assert refusal.value.error == "TooManyHeld"
    subscriber.ask("forget")
    assert subscriber.ask("recv", timeout=30.0)["seq"] == 4


def test_holds_of_a_killed_subscriber_are_void(programs: Programs, channel_name: str) -> None:
    publisher = programs.publisher(channel_name, slots=2, on_full="raise")
    for _ in range(8):
        subscriber = programs.subscriber(channel_name, hold=8)
        for _ in range(8):
            publisher.ask("send", shape=[120, 160])
            subscriber.ask("recv", timeout=30.0, keep=True)
        subscriber.kill()
    publisher.ask("send", shape=[120, 160], count=200)
    statistics = publisher.ask("statistics")
    assert (statistics["subscribers"], statistics["held"], statistics["dropped"]) == (0, 0, 0)
    assert statistics["slots"] < 8 * 8, "the dead ones' budgets added up instead of being used again"
