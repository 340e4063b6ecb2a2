# SPDX-License-Identifier: Apache-2.0
"""Publisher: the sending side of a channel."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from framebus import _core
from framebus._util import names
from framebus._util.checks import check_choice, check_range
from framebus.channel.handle import Handle
from framebus.channel.loan import Loan
from framebus.errors import Error
from framebus.frames import metadata, pixel_format as formats
from framebus.frames.arrays import as_arrays_and_format
from framebus.launch import FirstFramePin, Launched, Launcher, LaunchOption

OnFull = Literal["drop", "block", "raise"]
_ON_FULL = ("drop", "block", "raise")

log = logging.getLogger("framebus.launch")


class Publisher(_core.PublisherBase[Loan], Handle):
    """Sends frames into a channel. A channel has one publisher at a time.

        with framebus.Publisher("camera0") as pub:
            pub.send(image)

    Threads may share a Publisher. A forked child may not use its parent's.
    """

    def __init__(
        self,
        name: str,
        *,
        slots: int = 8,
        max_bytes: int | None = None,
        mode: int = 0o600,
        on_full: OnFull = "drop",
        launch: LaunchOption | None = None,
    ) -> None:
        """Makes the channel, or takes it over from a publisher that has closed it or died.

        Args:
            name: 1 to 128 of A-Z a-z 0-9 . _ - beginning with a letter or digit.
            slots: frames to have room for, 2 to 1024; more are made when subscribers hold more.
            max_bytes: bytes of the largest frame, if known: saves moving to a larger store later. Not a limit.
            mode: file mode, 0o600 to 0o666: which other users may subscribe. Both files have it, and this program's
                group, from now on, whatever an earlier publisher asked for; subscribers that it shuts out get
                PermissionDenied.
            on_full: what send() does when a subscriber with every=True is a ring behind: "drop" the oldest frame it
                still needs, "block" until it has moved on or died, or "raise" ChannelFull.
            launch: the subscriber's program, to be started when the first frame is sent and restarted when it exits:
                program and arguments as ["python", "algo.py"], a framebus.Launch with options, or a list of these for
                several. It ends with this Publisher. If it asks for history=, it gets the first frame.

        Raises:
            InvalidName: not a channel name.
            ChannelInUse: another live program publishes it; the message names it.
            PermissionDenied: the channel belongs to another user.
            ProgramNotFound: there is no such program to launch; says where it was looked for.
            ValueError: slots, max_bytes, mode or on_full out of range; or mode lets others write but not read,
                with which they can't subscribe.
        """
        names.channel(name)
        check_choice("on_full", on_full, _ON_FULL)
        check_range("slots", slots, 2, 1024)
        check_range("max_bytes", 0 if max_bytes is None else max_bytes, 0, 1 << 40)
        check_range("mode", mode, 0, 0o777)
        self._launcher: Launcher | None = None
        if launch is not None:
            ended = weakref.WeakMethod(self._end_by_program)
            self._launcher = Launcher(launch, name, on_stop=lambda how: _call(ended, how))
        _core.PublisherBase.__init__(self, name, slots, max_bytes or 0, mode, on_full)
        options: dict[str, Any] = {"slots": slots, "max_bytes": max_bytes, "mode": mode, "on_full": on_full}
        if self._launcher is not None:
            options["launch"] = self._launcher.launches
            self._launching = threading.RLock()  # a signal handler may send
            self._begun = False
            begin = weakref.WeakMethod(self._begin_launch)
            self._call_after_first_frame(lambda: _call(begin))
        Handle.__init__(self, name, options)

    @property
    def launched(self) -> tuple[Launched, ...]:
        """What is known of the programs that launch= names: process id, starts, exit code, last lines."""
        return () if self._launcher is None else self._launcher.programs

    def close(self) -> None:
        """Closes the channel: subscribers get the frames they have not fetched, then ChannelClosed. May be repeated.

        With launch=, returns when the launched program has exited too, as one does that iterates, or was ended. With
        on_full="block" as well, waits first for a program that is still starting, so that it gets the frames it was
        started for.
        """
        if self._launcher is None:
            self._leave()
            return
        try:
            if self._options["on_full"] == "block" and not self.closed:
                self._launcher.wait_until_fetched()
        finally:
            self._leave()
            self._launcher.stop()

    def _begin_launch(self) -> None:
        """Starts the launched programs; after the first frame, in the thread that has sent it."""
        assert self._launcher is not None
        with self._launching:  # other threads wait, so that not many frames come before the pin
            if self._begun:
                return
            self._begun = True
            pin = None
            try:
                pin = FirstFramePin(self._name, every=self._options["on_full"] == "block")
                pin.keep(0.0)
            except Error as error:  # the frame has been sent, and that is what the caller is to know
                log.warning("the first frame of %r can't be held for the launched program: %s", self._name, error)
            self._launcher.start(pin)

    def _end_by_program(self, how: str) -> None:
        """Closes the channel because a launched program has exited; in the thread of its supervisor."""
        assert self._launcher is not None
        self._say_closed_by(
            f"this Publisher of {self._name!r} is closed, because {how} and on_exit='stop'; make a new one"
        )
        self._leave()
        self._launcher.let_go()


def _call(method: weakref.WeakMethod[Any], *arguments: object) -> None:
    """Calls a method of an object that is not to be kept alive for that."""
    bound = method()
    if bound is not None:
        bound(*arguments)


def _prepare(
    image: object, meta: Mapping[str, object] | None, pixel_format: str | None
) -> tuple[object, bytes | None, str | None]:
    """What send() does before the native part where it is given more than an ndarray."""
    frame: object = image
    if type(image) is not np.ndarray:
        frame, pixel_format = as_arrays_and_format(image, pixel_format)
    elif pixel_format is not None:
        formats.check(pixel_format)
    return frame, metadata.encode(meta) if meta is not None else None, pixel_format


def _specs(shape: object) -> list[tuple[object, object, object]] | None:
    """What loan() does before the native part where it is given a mapping; None for anything else."""
    if not isinstance(shape, Mapping):
        return None
    specs = []
    for name, spec in shape.items():
        try:
            its_shape, its_dtype = spec
        except (TypeError, ValueError):
            raise TypeError(
                f"loan() needs (shape, dtype) for each array, got {spec!r} for {name!r}; for example "
                "{'image': ((1080, 1920, 3), 'uint8')}"
            ) from None
        specs.append((name, its_shape, its_dtype))
    return specs


_core.set_prepare(_prepare, _specs)
