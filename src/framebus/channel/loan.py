# SPDX-License-Identifier: Apache-2.0
"""Loan: a slot of shared memory that the publisher's program fills in place.

Promise: what was sent never changes, whatever the program keeps of a loan's arrays. Views that numpy derives are
counted natively. Everything else that can write (a memoryview, a DLPack capsule, a tensor) refers to the array itself,
and so does a harmless variable; the two are told apart by looking at the variables of the function with the block.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any

from numpy.typing import NDArray

from framebus import _core
from framebus.frames import metadata, pixel_format as formats

_CO_OPTIMIZED = 1  # the code object of a function: f_locals is a snapshot, or from Python 3.13 on a proxy


class Loan:
    """A slot that is being filled. Made by Publisher.loan(), used in a with block.

    Attributes:
        meta: metadata to send with the frame; may be set inside the block.
        pixel_format: PFNC name to send with the frame; may be set inside the block.
        seq: the frame's sequence number once it was sent, None before.
    """

    __slots__ = ("_native", "meta", "pixel_format", "seq")

    def __init__(self, native: _core.Loan, meta: Mapping[str, object] | None, pixel_format: str | None) -> None:
        """Use Publisher.loan()."""
        self._native = native
        self.meta = meta
        self.pixel_format = pixel_format
        self.seq: int | None = None

    @property
    def array(self) -> NDArray[Any]:
        """The first array: shared memory, writable until the end of the block, C order, 64-byte aligned.

        Raises LoanEnded after the block. An array that was kept can't be written any more.
        """
        return self._native.array(0)

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name. Raises LoanEnded after the block."""
        return {name: self._native.array(i) for i, name in enumerate(self._native.names())}

    def __enter__(self) -> Loan:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        kept = self._native.kept()
        escaped = bool(kept) and _has_escaped(kept, sys._getframe(1))
        if kind is not None:
            self._native.drop(escaped)
            return
        try:
            meta = metadata.encode(self.meta) if self.meta is not None else None
            name = formats.check(self.pixel_format) if self.pixel_format is not None else None
        except (TypeError, ValueError):
            self._native.drop(escaped)
            raise
        self.seq = self._native.commit(meta, name, escaped)


def _has_escaped(kept: list[tuple[NDArray[Any], int]], frame: FrameType) -> bool:
    """Whether an array has more references than the variables of `frame` account for."""
    variables = frame.f_locals
    values = list(variables.values())
    if type(variables) is dict and frame.f_code.co_flags & _CO_OPTIMIZED:
        variables.clear()  # Python before 3.13 would keep this snapshot, and with it every frame it refers to
    return any(count > sum(value is array for value in values) for array, count in kept)
