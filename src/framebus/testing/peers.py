# SPDX-License-Identifier: Apache-2.0
"""Receiver and Sender: another program with a source or a sink, in an interpreter of its own.

    with framebus.testing.Sender("camera0") as sender, framebus.Subscriber("camera0") as sub:
        sender.send(1)
        assert framebus.testing.is_whole(sub.recv(1).array)
        sender.kill()               # kill -9, anywhere in what it is doing

An error that the other program meets is raised here as Refused, with the names of its types in `kinds`.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from framebus.testing.process import Program
from framebus.testing.specimen import ArraySpec

Self = TypeVar("Self", bound="_Peer")
IMAGE = (48, 64, 3)


class _Peer(Program):
    """What both have in common."""

    _role: ClassVar[Literal["source", "sink"]]

    def __init__(
        self,
        url: str,
        *,
        pass_fds: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        wait: bool = True,
        hold: bool = False,
        **options: object,
    ) -> None:
        """Starts the program and, unless wait=False or hold=True, waits until the source or sink is open.

        Args:
            url: of the source or sink.
            pass_fds: descriptors that the program inherits, by the same numbers.
            env: environment variables beside those of this process.
            wait: with False, answer() tells when the source or sink is open.
            hold: only start the program; begin() opens the URL. So several can start at the same time.
            options: of the source or sink, beside those in the URL.
        """
        super().__init__(["-m", "framebus.testing.endpoint_program"], {"role": self._role}, pass_fds=pass_fds, env=env)
        self.title = f"the {self._role} of {url!r}"
        self._url, self._given = url, options
        if not hold:
            self.begin(wait)

    def begin(self, wait: bool = True) -> None:
        """Opens the end, of which a program was started with hold=True."""
        try:
            self.expect("ready")
            self.tell("open", url=self._url, given=self._given)
            if wait:
                self.answer()
        except BaseException:  # the caller never gets this program to stop it
            self.stop()
            raise

    def reopen(self, url: str, **options: object) -> None:
        """Opens another end in place of this one, in the same program."""
        self.ask("open", url=url, given=options)

    def close(self) -> None:
        """Closes the end; the program goes on."""
        self.ask("close")

    def freeze(self) -> None:
        """Stops the program where it is (SIGSTOP); returns when it is stopped."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a frozen program go on."""
        self.signal(signal.SIGCONT)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.signal(signal.SIGINT)

    def statistics(self) -> dict[str, int]:
        """Returns what the end counts: frames, bytes, dropped, refused, as far as it counts them."""
        found: dict[str, int] = self.ask("statistics")
        return found

    def peak_bytes(self) -> int:
        """Returns the most memory that the program has had."""
        found: int = self.ask("peak_bytes")
        return found


class Receiver(_Peer):
    """A program that receives from a URL."""

    _role = "source"

    def recv(self, timeout: float | None) -> dict[str, Any]:
        """Receives one frame there; returns all that it carries, see specimen.frame_facts()."""
        found: dict[str, Any] = self.ask("recv", timeout=timeout)
        return found

    def begin_collect(
        self, count: int | None = None, *, timeout: float | None = 5.0, pause: float = 0.0, report_every: int = 100
    ) -> None:
        """Begins to receive; answer() has the end of it: numbers, seqs, not_whole, ended.

        Says "progress" after the first frame and after every `report_every`.
        """
        self.tell("collect", count=count, timeout=timeout, pause=pause, report_every=report_every)

    def collect(self, count: int | None = None, *, timeout: float | None = 5.0, pause: float = 0.0) -> dict[str, Any]:
        """Receives until `count` frames have come or something is raised, and checks every byte of them."""
        self.begin_collect(count, timeout=timeout, pause=pause)
        found: dict[str, Any] = self.answer()
        return found


class Sender(_Peer):
    """A program that sends to a URL."""

    _role = "sink"

    def send(
        self,
        number: int,
        arrays: Sequence[ArraySpec] = (("image", "|u1", IMAGE, "C"),),
        **given: object,
    ) -> int:
        """Sends the frame of that number there; `given` is what Sink.send() takes by keyword. Returns its seq."""
        seq: int = self.ask("send", number=number, arrays=arrays, given=given)
        return seq

    def begin_flood(
        self,
        first: int,
        count: int,
        *,
        dtype: str = "|u1",
        shapes: Sequence[Sequence[int]] = (IMAGE,),
        timeout: float | None = 5.0,
        pause: float = 0.0,
        report_every: int = 100,
    ) -> None:
        """Begins to send images of consecutive numbers; answer() has the end of it: sent, ended.

        Says "progress" after the first frame and after every `report_every`.
        """
        self.tell(
            "flood",
            numbers=[first, first + count],
            dtype=dtype,
            shapes=shapes,
            timeout=timeout,
            pause=pause,
            report_every=report_every,
        )

    def flood(self, first: int, count: int, **options: Any) -> dict[str, Any]:
        """Sends images of consecutive numbers until something is raised."""
        self.begin_flood(first, count, **options)
        found: dict[str, Any] = self.answer()
        return found
