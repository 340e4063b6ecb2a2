# SPDX-License-Identifier: Apache-2.0
"""Loan: a slot of shared memory that the publisher's program fills in place.

Promise: what was sent never changes, whatever the program keeps of a loan's arrays (bindings/loan.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping

from framebus import _core
from framebus.frames import metadata, pixel_format as formats


class Loan(_core.LoanBase):
    """A slot that is being filled. Made by Publisher.loan(), used in a with block.

    Attributes:
        array: the first array: shared memory, writable until the end of the block, C order, 64-byte aligned. Raises
            LoanEnded after the block. An array that was kept can't be written any more.
        arrays: all arrays by name. Raises LoanEnded after the block.
        meta: metadata to send with the frame; may be set inside the block.
        pixel_format: PFNC name to send with the frame; may be set inside the block.
        seq: the frame's sequence number once it was sent, None before.
    """

    __slots__ = ()


def _encode(meta: Mapping[str, object] | None, pixel_format: str | None) -> bytes | None:
    if pixel_format is not None:
        formats.check(pixel_format)
    return metadata.encode(meta) if meta is not None else None


_core.set_loan_class(Loan, _encode)
