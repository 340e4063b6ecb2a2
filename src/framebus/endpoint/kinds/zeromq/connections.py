# SPDX-License-Identifier: Apache-2.0
"""Which connections of a socket are peers: an account of what ZeroMQ's monitor says.

A peer is a connection whose handshake has succeeded. Everything else that connects to a bound socket is a stranger:
a port scan, random bytes, another protocol. What a stranger sends must change nothing for the peers, so a connection
that ends without having been a peer counts as refused, never as a peer that was lost.

The monitor names the descriptor of a connection that begins or ends, but not that of the handshake which has succeeded,
and of some strangers (bytes that ZeroMQ's decoder can't read) it tells the end alone, without a failure before it. So:

- A handshake that succeeded while one connection alone was undecided belongs to that one. If as many have succeeded as
  are undecided, all of these are peers. This decides everything while no strangers are there.
- A failure is followed at once by the end of its connection; both come from one function of ZeroMQ's I/O thread.
- A message names the descriptor it came through, and only peers send messages: heard().
- A connection that is undecided when it ends counts as a stranger while there are enough other connections for all
  successes.
  A peer that ends in the middle of an attack is therefore missed until the strangers are gone; `peers` is too large
  then, never too small.
"""

from __future__ import annotations


class Connections:
    """The connections of one socket. Not safe for threads.

    Attributes:
        lost: peers whose connection has ended.
        refused: connections that ended without having been peers.
    """

    def __init__(self) -> None:
        self.lost = self.refused = 0
        self._peers: set[int] = set()  # descriptors, which are ZeroMQ's
        self._undecided: set[int] = set()
        self._successes = 0  # handshakes that succeeded, of connections that are undecided
        self._has_just_failed = False

    @property
    def peers(self) -> int:
        """Connections whose handshake has succeeded."""
        return len(self._peers) + self._successes

    @property
    def are_decided(self) -> bool:
        """Whether every connection is known to be a peer."""
        return not self._undecided

    @property
    def descriptors(self) -> set[int]:
        """Descriptors of all connections that may be a peer's: of the undecided ones while one of them is a peer."""
        return self._peers | self._undecided if self._successes else set(self._peers)

    def begun(self, descriptor: int) -> None:
        """A connection was accepted, or made."""
        self._has_just_failed = False
        self._peers.discard(descriptor)  # a new one of this number: the old one must have ended
        self._undecided.add(descriptor)

    def succeeded(self) -> None:
        """Some handshake has succeeded."""
        self._has_just_failed = False
        self._successes += 1
        self._decide()

    def failed(self) -> None:
        """A handshake has failed; the next end is that of its connection."""
        self._has_just_failed = True

    def heard(self, descriptor: int) -> None:
        """A message came through this connection, so it is a peer."""
        if descriptor in self._undecided and self._successes:
            self._successes -= 1
            self._undecided.discard(descriptor)
            self._peers.add(descriptor)
            self._decide()

    def ended(self, descriptor: int) -> bool:
        """A connection has ended; says whether it was a peer."""
        has_failed, self._has_just_failed = self._has_just_failed, False
        was_peer = descriptor in self._peers
        self._peers.discard(descriptor)
        self._undecided.discard(descriptor)
        if not was_peer and not has_failed and self._successes > len(self._undecided):
            self._successes -= 1
            was_peer = True
        self.lost += was_peer
        self.refused += not was_peer
        self._decide()
        return was_peer

    def _decide(self) -> None:
        if self._successes >= len(self._undecided):
            self._peers |= self._undecided
            self._successes -= len(self._undecided)
            self._undecided.clear()
