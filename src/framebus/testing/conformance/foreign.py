# SPDX-License-Identifier: Apache-2.0
"""Bytes of a foreign sender: nothing crashes, hangs or allocates without bound, and good frames come through again."""

from __future__ import annotations

import contextlib
import os
import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from framebus.endpoint import OutgoingFrame, wire
from framebus.testing import specimen
from framebus.testing.conformance.dying import check_order
from framebus.testing.conformance.pair import Base, Facts, Link, Pair, info_of
from framebus.testing.peers import Receiver
from framebus.testing.process import Refused

PIECES = 60
SEED = 5
ROOM_BYTES = 128 << 20  # memory that a receiver may take beyond what it had; nothing thrown at it is over a few KB
WAIT_S = 0.05
WAIT_ON_ONE_LINK_S = 0.02  # where what comes later is found with the next piece
SAID = {"Timeout", "EndpointError", "PublisherDied", "ChannelClosed"}

Throw = Callable[[bytes], None]


class Foreign(Base):
    """Tests of a receiver whose sender is not framebus."""

    def garbage(self, link: Link) -> Throw | None:  # noqa: ARG002 - for subclasses
        """Returns a function that sends bytes to the source as a foreign program would, or None where it can't.

        It is asked for before the source is opened if link.sink_first, else after. A function with an attribute `close`
        has that called when no more will be thrown.
        """
        return None

    def messages(self) -> list[bytes]:
        """Returns valid messages, from which garbage is made; those of framebus.endpoint.wire by default."""
        return wire_messages()

    def test_garbage_of_a_foreign_sender_is_refused(self, pair: Pair, tmp_path: Path) -> None:
        pieces = mutations(self.messages())
        if self.resynchronises and not pair.able.stored:
            self.check_one_link_takes_all(pair, pieces)
        else:
            self.check_each_on_a_link_of_its_own(tmp_path, pieces[: PIECES // 2])

    def check_one_link_takes_all(self, pair: Pair, pieces: Sequence[bytes]) -> None:
        """All of it is thrown at one receiver, which then receives what a real sender sends."""
        throw = self.garbage(pair.link) if pair.link.sink_first else None
        if throw is None and pair.link.sink_first:
            return  # no foreign program can get at it
        source = pair.start_source()
        throw = throw or self.garbage(pair.link)
        if throw is None:
            return
        before = source.peak_bytes()
        for piece in pieces:
            throw_at(throw, piece)
            ended = drained(source, WAIT_ON_ONE_LINK_S)
            assert ended["error"] == "Timeout", f"{ended} after {piece[:64]!r} of {len(piece)} bytes"
        assert source.peak_bytes() - before < ROOM_BYTES
        assert source.statistics()["refused"] > 0, "garbage came, and was not counted in `refused`"
        close(throw)
        pair.start_sink()
        pair.greet()
        _, dtype, shape, _ = self.standard(pair)[0]
        source.begin_collect(5, timeout=10.0)
        pair.sink.flood(specimen.FIRST, 5 if pair.every else 100, dtype=dtype, shapes=[shape], pause=0.01)
        report = source.answer()
        check_order(report)
        assert len(report["numbers"]) == 5, f"after garbage, good frames no longer arrive: {report['ended']}"

    def check_each_on_a_link_of_its_own(self, tmp_path: Path, pieces: Sequence[bytes]) -> None:
        """Each piece is thrown at a fresh link, all of which one program receives from, one after the other."""
        links = []
        for i in range(len(pieces)):
            folder = tmp_path / f"garbage{i}"
            folder.mkdir()
            links.append(self.link(folder))
        try:
            if self.garbage(links[0]) is not None:
                stored = info_of(links[0].sink).capabilities.stored
                (self.store_each if stored else self.throw_each)(links, pieces)
        finally:
            for link in links:
                for fd in {*link.source_fds, *link.sink_fds}:
                    with contextlib.suppress(OSError):
                        os.close(fd)
                if link.cleanup is not None:
                    link.cleanup()

    def throw_each(self, links: Sequence[Link], pieces: Sequence[bytes]) -> None:
        """Throws each piece; the receiver must say something that fits, and have had a bounded amount of memory."""
        fds = [fd for link in links for fd in link.source_fds]
        wrong = []
        with Receiver(links[0].source, pass_fds=fds, env=links[0].env) as source:
            before = source.peak_bytes()
            for i, (link, piece) in enumerate(zip(links, pieces, strict=True)):
                throw = self.garbage(link)
                assert throw is not None
                if i:
                    source.reopen(link.source)
                throw_at(throw, piece)
                said = drained(source)
                close(throw)
                if not SAID & set(said["kinds"]):
                    wrong.append(f"{said} after {piece[:64]!r} of {len(piece)} bytes")
            assert source.peak_bytes() - before < ROOM_BYTES
        assert wrong == []

    def store_each(self, links: Sequence[Link], pieces: Sequence[bytes]) -> None:
        """The same where the bytes are there before the source is opened, which then may be refused at once."""
        for link, piece in zip(links, pieces, strict=True):
            throw = self.garbage(link)
            assert throw is not None
            throw_at(throw, piece)
            close(throw)
        wrong = []
        with Receiver(links[0].source, env=links[0].env, wait=False) as source:
            said = source.expect("answer")
            before = source.peak_bytes()
            for i, (link, piece) in enumerate(zip(links, pieces, strict=True)):
                if i:
                    source.tell("open", url=link.source, given={})
                    said = source.expect("answer")
                if "error" not in said:
                    said = drained(source)
                if not (SAID - {"Timeout"}) & set(said["kinds"]):
                    wrong.append(f"{said} after {piece[:64]!r} of {len(piece)} bytes")
            assert source.peak_bytes() - before < ROOM_BYTES
        assert wrong == []


def drained(source: Receiver, wait: float = WAIT_S) -> Facts:
    """Has everything received that there is; returns how it ended, be it with an error that it should not be."""
    try:
        ended: Facts = source.ask("drain", timeout=wait)["ended"]
    except Refused as refused:
        return {"error": refused.error, "message": refused.message, "kinds": refused.kinds}
    return ended


def throw_at(throw: Throw, piece: bytes) -> None:
    """Throws; a peer that has hung up is not a fault."""
    with contextlib.suppress(OSError):
        throw(piece)


def close(throw: Throw) -> None:
    """Says to a function that throws that no more will come."""
    closer = getattr(throw, "close", None)
    if closer is not None:
        closer()


def wire_messages() -> list[bytes]:
    """Returns a frame with everything in it, a plain one, and an end, as framebus.endpoint.wire writes them."""
    messages = []
    for arrays, meta in (
        ([("image", "|u1", (48, 64, 3), "C")], {}),
        ([("colour", "|u1", (6, 4, 3), "C"), ("depth", "<u2", (6, 4), "C")], {"exposure_us": 900, "list": [1, 2.5]}),
    ):
        frame = OutgoingFrame(specimen.arrays_of(1, arrays), 1, 2, 3, meta, "BGR8")
        head, bodies = wire.encode(frame)
        messages.append(head + b"".join(wire.pieces(bodies)))
    return [*messages, wire.end()]


def mutations(messages: Sequence[bytes], count: int = PIECES, seed: int = SEED) -> list[bytes]:
    """Returns pieces of garbage: cut off, with bits flipped, with huge lengths, doubled, and plain noise.

    None of them is a message as it was given, nor begins with a whole one that ends a stream.
    """
    chance = random.Random(seed)
    frames = [message for message in messages if len(message) > wire.HEAD.size] or list(messages)
    makers = (_cut, _flip, _huge, _noise, _shuffle, _deep)
    pieces = [b"\0", bytes(24), b"FBUS" + b"\xff" * 20]
    while len(pieces) < count:
        message = chance.choice(frames)
        piece = makers[len(pieces) % len(makers)](message, chance)
        if piece and piece not in messages:
            pieces.append(piece)
    return pieces


def _cut(message: bytes, chance: random.Random) -> bytes:
    return message[: chance.randrange(1, len(message))]


def _flip(message: bytes, chance: random.Random) -> bytes:
    changed = bytearray(message)
    for _ in range(chance.choice((1, 1, 8))):
        changed[chance.randrange(min(len(changed), 256))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _huge(message: bytes, chance: random.Random) -> bytes:
    size = chance.choice((1, 2, 4, 8))
    number = chance.choice(((1 << size * 8) - 1, (1 << size * 8 - 1) - 1, 1 << size * 4))
    changed = bytearray(message)
    at = chance.randrange(min(64, max(1, len(changed) - size)))
    changed[at : at + size] = number.to_bytes(size, "little")
    return bytes(changed)


def _noise(message: bytes, chance: random.Random) -> bytes:  # noqa: ARG001 - one of several of this form
    return chance.randbytes(chance.choice((1, 23, 24, 25, 100, 5000)))


def _shuffle(message: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(1, len(message))
    return message[at:] + message[:at]


def _deep(message: bytes, chance: random.Random) -> bytes:  # noqa: ARG001 - one of several of this form
    description = chance.choice(
        (
            b"[" * 50_000,
            b'{"arrays":[{"name":"x","dtype":"<f8","shape":[4611686018427387904,4611686018427387904,8]}]}',
            b'{"arrays":[{"name":"x","dtype":"|O8","shape":[1]}],"seq":1}',
            b'{"arrays":' + b"9" * 6000 + b"}",
        )
    )
    return struct.pack("<4sBBHIIQ", wire.MAGIC, wire.VERSION, wire.FRAME, 0, len(description), 0, 64) + description
