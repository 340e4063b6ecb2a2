# SPDX-License-Identifier: Apache-2.0
"""Publisher: the sending side of a channel."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import DTypeLike

from framebus import _core
from framebus._util import names
from framebus._util.checks import check_choice, check_range
from framebus.channel.handle import Handle, natively
from framebus.channel.loan import Loan
from framebus.errors import Error
from framebus.frames import metadata, pixel_format as formats
from framebus.frames.arrays import as_arrays_and_format
from framebus.launch import ClosedByProgram, FirstFrame, FirstFramePin, Launched, Launcher, LaunchOption

OnFull = Literal["drop", "block", "raise"]
Shape = int | tuple[int, ...] | list[int]
_ON_FULL = ("drop", "block", "raise")

log = logging.getLogger("framebus.launch")


class Publisher(Handle[_core.Publisher]):
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
        native = _core.Publisher(name, slots, max_bytes or 0, mode, on_full)
        options: dict[str, Any] = {"slots": slots, "max_bytes": max_bytes, "mode": mode, "on_full": on_full}
        if self._launcher is not None:
            options["launch"] = self._launcher.launches
            self._launching = threading.Lock()
            begin = weakref.WeakMethod(self._begin_launch)
            self._native_itself = native
            self._begun = False
            native = cast(_core.Publisher, FirstFrame(native, lambda: _call(begin)))
        super().__init__(name, native, options)

    @property
    def launched(self) -> tuple[Launched, ...]:
        """What is known of the programs that launch= names: process id, starts, exit code, last lines."""
        return () if self._launcher is None else self._launcher.programs

    @natively(_core.quick_send)
    def send(
        self,
        image: object,
        *,
        meta: Mapping[str, object] | None = None,
        pixel_format: str | None = None,
        timeout: float | None = None,
        timestamp_ns: int | None = None,
        wall_time_ns: int | None = None,
        seq: int | None = None,  # noqa: ARG002 - as every sink has it
    ) -> int:
        """Copies one frame into shared memory, makes it visible to every subscriber, and returns its sequence number.

        Args:
            image: an array of bool, integer, float or complex numbers with 0 to 8 dimensions, of any strides and byte
                order; or a buffer (bytes are uint8), a Pillow image, a DLPack object in CPU memory; or a dict of 1 to 8
                of these by name (1 to 32 bytes of UTF-8). Subscribers get the same shapes and dtypes in C order. A
                Pillow image brings the pixel format of its mode, such as RGB8.
            meta: JSON values by str keys, at most 1 MiB as JSON.
            pixel_format: a PFNC name, for example "BGR8"; says how to read the first array, and is not checked
                against it, but for a Pillow image.
            timeout: seconds to wait where on_full="block"; None: no limit.
            timestamp_ns: when the frame was captured, CLOCK_MONOTONIC; None for now.
            wall_time_ns: the same by the wall clock; None for now.
            seq: of no effect; other sinks take the number that the frame has at its source, a channel counts for
                itself.

        Raises:
            TypeError: not an array of numbers, or metadata that is not JSON; says what to send instead.
            ValueError: more than 8 dimensions or arrays, a pixel format that is unknown or contradicts a Pillow image,
                a negative timeout.
            ChannelFull: on_full="raise".
            ChannelFullTimeout: on_full="block", and the timeout ran out; also a ChannelFull and a Timeout.
            FrameTooLarge: shared memory is full; says what was wanted and what is free.
            ChannelClosed: this Publisher has been closed.
        """
        frame: object = image
        if type(image) is not np.ndarray:
            frame, pixel_format = as_arrays_and_format(image, pixel_format)
        elif pixel_format is not None:
            formats.check(pixel_format)
        return self._native.send(
            frame,
            metadata.encode(meta) if meta is not None else None,
            pixel_format,
            timeout,
            timestamp_ns,
            wall_time_ns,
        )

    def loan(
        self,
        shape: Shape | Mapping[str, tuple[Shape, DTypeLike]],
        dtype: DTypeLike = "uint8",
        *,
        meta: Mapping[str, object] | None = None,
        pixel_format: str | None = None,
        timeout: float | None = None,
    ) -> Loan:
        """Lends a slot to be filled in place, for one array or, given a dict of (shape, dtype) by name, for several.

            with pub.loan((1080, 1920, 3), "uint8") as frame:
                camera.read_into(frame.array)

        The frame is sent at the end of the block and dropped if the block raises. What is in the array at the
        beginning is left over from earlier frames. Keep nothing of the array beyond the block but in a variable of the
        function: where something could still write to it (a slice, a memoryview, an attribute), a copy is sent.
        Raises what send() raises.
        """
        if isinstance(shape, (tuple, int, list)) or not isinstance(shape, Mapping):  # what is quick to tell first
            specs: list[tuple[str, Any, Any]] = [("image", shape, dtype)]
        else:
            specs = [(name, *spec) for name, spec in shape.items()]
        return Loan(self._native.loan(specs, timeout), meta, pixel_format)

    def close(self) -> None:
        """Closes the channel: subscribers get the frames they have not fetched, then ChannelClosed. May be repeated.

        With launch=, returns when the launched program has exited too, as one does that iterates, or was ended. With
        on_full="block" as well, waits first for a program that is still starting, so that it gets the frames it was
        started for.
        """
        if self._launcher is None:
            self._native.close()
            return
        try:
            if self._options["on_full"] == "block" and not self.closed:
                self._launcher.wait_until_fetched()
        finally:
            self._native.close()
            self._launcher.stop()

    def _begin_launch(self) -> None:
        """Starts the launched programs; after the first frame, in the thread that has sent it."""
        assert self._launcher is not None
        with self._launching:
            if self._begun:
                return
            self._begun = True
            self._native = self._native_itself
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
        with self._launching:
            self._native = cast(_core.Publisher, ClosedByProgram(self._native_itself, self._name, how))
        self._native_itself.close()
        self._launcher.let_go()


def _call(method: weakref.WeakMethod[Any], *arguments: object) -> None:
    """Calls a method of an object that is not to be kept alive for that."""
    bound = method()
    if bound is not None:
        bound(*arguments)
