# SPDX-License-Identifier: Apache-2.0
"""What programs that are gone, or that are not framebus, have left in shared memory, and its removal.

    from framebus.channel import doctor

    for finding in doctor.examine():
        print(finding.path, finding.why)
    doctor.clean()

Kernel locks alone decide which participants are alive, as everywhere in framebus (docs/design.md, "Who is alive").
examine() changes nothing. clean() removes only what is dead, under locks that keep out programs that are attaching.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Literal

from framebus import _core
from framebus.errors import Error

# Between two looks: far longer than a program that leaves takes from dropping its lock to removing the files.
SECOND_LOOK_S = 0.05

IssueKind = Literal["stale channel", "orphaned store", "foreign file"]


@dataclass(frozen=True)
class Finding:
    """One file that should not be there.

    Attributes:
        kind: "stale channel": its publisher and all its subscribers are gone. "orphaned store": frames that no
            program can reach any more. "foreign file": it is named like ours, but this release can't use it.
        path: the file; for a stale channel its control block, and its stores are meant as well.
        channel: the channel its name belongs to, None where it is not a name of ours.
        why: what is wrong with it.
        size_bytes: shared memory that it takes.
        owner: user id of its owner.
        inode: tells it from another file that takes its name later.
        dead: clean() removes it. No program uses it, and it is this user's (root may remove every user's).
    """

    kind: IssueKind
    path: str
    channel: str | None
    why: str
    size_bytes: int
    owner: int
    inode: int
    dead: bool

    @property
    def ours(self) -> bool:
        """Whether it is for this user to do something about it."""
        return os.geteuid() in (0, self.owner)


@dataclass(frozen=True)
class CleanupResult:
    """What clean() has done about one finding.

    Attributes:
        finding: what was found.
        removed: whether it is gone.
        problem: why it could not be removed, None where that was not tried or went well.
    """

    finding: Finding
    removed: bool
    problem: str | None = None


def examine() -> list[Finding]:
    """Returns what is wrong among the files of all channels of this machine, sorted by path.

    Raises:
        SystemFailure, PermissionDenied: there is no shared memory, or this user may not look into it.
    """
    first = _look()
    if not first:
        return []
    time.sleep(SECOND_LOOK_S)  # a program that was detaching has detached by then
    seen = {(finding.path, finding.inode) for finding in first}
    return [finding for finding in _look() if (finding.path, finding.inode) in seen]


def clean() -> list[CleanupResult]:
    """Removes what is dead. Returns what was found and what became of it, sorted by path.

    What came to life again meanwhile is left alone and is not in the list.

    Raises:
        SystemFailure, PermissionDenied: there is no shared memory, or this user may not look into it.
    """
    found = _look()
    removed: set[str] = set()
    problems: dict[str | None, str] = {}
    for channel in sorted({finding.channel for finding in found if finding.dead and finding.channel}):
        try:
            removed.update(_core.clean_channel(channel))
        except Error as error:
            problems[channel] = str(error)
    wrong_still = {(finding.path, finding.inode) for finding in _look()} if found else set()
    return [
        CleanupResult(finding, finding.path in removed, problems.get(finding.channel) if finding.dead else None)
        for finding in found
        if finding.path in removed or (finding.path, finding.inode) in wrong_still
    ]


def _look() -> list[Finding]:
    return [Finding(**entry) for entry in _core.examine()]
