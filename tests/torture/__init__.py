# SPDX-License-Identifier: Apache-2.0
"""Random publishers and subscribers, started, stopped, resumed, closed and killed at random, with every byte checked.

`python -m tests.torture --minutes N [--seed S]`, or `scripts/torture`; in rounds of a quarter of a minute:

- `plan`     draws what to do from one random generator; `rounds` does it, `program` is its handle on one program
- `publish`  is a publisher, `subscribe` a subscriber, each run in an interpreter of its own
- `payload`  says what bytes belong to a frame, `journal` what a program leaves behind even if it is killed
- `audit`    adds up the journals of a channel after all its programs have ended
"""
