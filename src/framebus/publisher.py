# SPDX-License-Identifier: Apache-2.0
"""Program A: Publisher, and Loan for filling shared memory in place."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal

from numpy.typing import DTypeLike, NDArray

from framebus import _core, convert, metadata, pixel_format as formats
from framebus.statistics import Statistics

OnFull = Literal["drop", "block", "raise"]
Shape = int | tuple[int, ...] | list[int]
_ON_FULL = ("drop", "block", "raise")

_open: weakref.WeakSet[Publisher] = weakref.WeakSet()


class Publisher:
    """The sending end of a channel. There can be one for a name at a time.

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
        launch: None = None,
    ) -> None:
        """Makes the channel, or takes it over from a publisher that has closed it or died.

        Args:
            name: 1 to 128 of A-Z a-z 0-9 . _ - beginning with a letter or digit.
            slots: frames to have room for, 2 to 1024; more are made when subscribers hold more.
            max_bytes: bytes of the largest frame, if known: saves moving to a larger store later. Not a limit.
            mode: file mode, 0o600 to 0o666: who else may subscribe.
            on_full: what send() does when a subscriber with every=True is a ring behind: "drop" the oldest frame it
                still needs, "block" until it has moved on or died, or "raise" ChannelFull.
            launch: reserved for starting program B; must be None.

        Raises:
            InvalidName: not a channel name.
            ChannelInUse: another live program publishes it; the message names it.
            PermissionDenied: the channel belongs to another user.
            ValueError: slots, max_bytes, mode or on_full out of range.
        """
        if on_full not in _ON_FULL:
            raise ValueError(f"on_full must be one of {', '.join(map(repr, _ON_FULL))}, got {on_full!r}")
        if launch is not None:
            raise ValueError("launch= must be None: this release does not start programs; start program B by hand")
        _check_integer("slots", slots, 2, 1024)
        _check_integer("max_bytes", 0 if max_bytes is None else max_bytes, 0, 1 << 40)
        _check_integer("mode", mode, 0, 0o777)
        self._options: dict[str, Any] = {"slots": slots, "max_bytes": max_bytes, "mode": mode, "on_full": on_full}
        self._name = name
        self._core = _core.Publisher(name, slots, max_bytes or 0, mode, on_full)
        _open.add(self)

    @property
    def name(self) -> str:
        """The channel's name."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._core.is_closed()

    def send(
        self,
        image: object,
        *,
        meta: Mapping[str, object] | None = None,
        pixel_format: str | None = None,
        timeout: float | None = None,
        timestamp_ns: int | None = None,
        wall_time_ns: int | None = None,
    ) -> int:
        """Copies one frame into shared memory, makes it visible to every subscriber, and returns its sequence number.

        Args:
            image: an array of bool, integer, float or complex numbers with 0 to 8 dimensions, of any strides and byte
                order; or a buffer (bytes are uint8), a Pillow image, a DLPack object in CPU memory; or a dict of 1 to 8
                of these by name (1 to 32 bytes of UTF-8). Subscribers get the same shapes and dtypes in C order.
            meta: JSON values by str keys, at most 1 MiB as JSON.
            pixel_format: a PFNC name, for example "BGR8"; says how to read the first array, and is not checked
                against it.
            timeout: seconds to wait where on_full="block"; None for ever.
            timestamp_ns: when the frame was captured, CLOCK_MONOTONIC; None for now.
            wall_time_ns: the same by the wall clock; None for now.

        Raises:
            TypeError: not an array of numbers, or metadata that is not JSON; says what to send instead.
            ValueError: more than 8 dimensions or arrays, an unknown pixel format, a negative timeout.
            ChannelFull: on_full="raise", or "block" that ran into its timeout.
            FrameTooLarge: shared memory is full; says what was wanted and what is free.
            ChannelClosed: this Publisher has been closed.
        """
        return self._core.send(
            convert.to_frame(image),
            metadata.encode(meta) if meta is not None else None,
            formats.check(pixel_format) if pixel_format is not None else "",
            timeout,
            timestamp_ns or 0,
            wall_time_ns or 0,
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
        beginning is left over from earlier frames. Raises what send() raises.
        """
        if isinstance(shape, Mapping):
            specs: list[tuple[str, Any, Any]] = [(name, *spec) for name, spec in shape.items()]
        else:
            specs = [("image", shape, dtype)]
        return Loan(self._core.loan(specs, timeout), meta, pixel_format)

    def statistics(self) -> Statistics:
        """Returns counts and figures; also after close()."""
        return Statistics(**self._core.statistics())

    def close(self) -> None:
        """Ends the channel: subscribers get the frames they have not fetched, then ChannelClosed. May be repeated."""
        self._core.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Publisher {self._name!r}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._name, self._options)


class Loan:
    """A slot that is being filled. Made by Publisher.loan(), used in a with block.

    Attributes:
        meta: metadata to send with the frame; may be set inside the block.
        pixel_format: PFNC name to send with the frame; may be set inside the block.
        seq: the frame's sequence number once it was sent, None before.
    """

    __slots__ = ("_arrays", "_core", "meta", "pixel_format", "seq")

    def __init__(self, core: _core.Loan, meta: Mapping[str, object] | None, pixel_format: str | None) -> None:
        """Use Publisher.loan()."""
        self._core = core
        self._arrays: dict[str, NDArray[Any]] | None = None
        self.meta = meta
        self.pixel_format = pixel_format
        self.seq: int | None = None

    @property
    def array(self) -> NDArray[Any]:
        """The first array: shared memory, writable until the end of the block, C order, 64-byte aligned.

        Raises LoanEnded after the block. An array that was kept can't be written any more.
        """
        return self._core.array(0)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name. Raises LoanEnded after the block."""
        return {name: self._core.array(i) for i, name in enumerate(self._core.names())}

    def __enter__(self) -> Loan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._core.drop()
            return
        try:
            meta = metadata.encode(self.meta) if self.meta is not None else None
            name = formats.check(self.pixel_format) if self.pixel_format is not None else ""
        except (TypeError, ValueError):
            self._core.drop()
            raise
        self.seq = self._core.commit(meta, name)


def close_all() -> None:
    """Closes what the program left open; called at exit, so that subscribers see an end and not a death."""
    for publisher in list(_open):
        publisher.close()


def _reopen(name: str, options: dict[str, Any]) -> Publisher:
    return Publisher(name, **options)


def _check_integer(name: str, value: int, least: int, most: int) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int from {least} to {most}, got {value!r} ({type(value).__name__})")
    if not least <= value <= most:
        raise ValueError(f"{name} must be {least} to {most}, got {value}")
