# SPDX-License-Identifier: Apache-2.0
"""A publisher that does what the test tells it; every frame is filled with one value."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

import framebus
from talk import Ticker, options, say, serve

OPTIONS = options()
PUBLISHER = framebus.Publisher(**OPTIONS)
TICKER = Ticker()
LOANS: dict[str, tuple[framebus.Loan, Any]] = {}


def send(
    shape: list[int],
    dtype: str = "uint8",
    fill: float = 0,
    count: int = 1,
    timeout: float | None = None,
    meta: dict[str, object] | None = None,
) -> int:
    """Send `count` frames that are all the same; gives the number of the last."""
    image = np.full(shape, fill, dtype)
    number = 0
    for _ in range(count):
        with TICKER.around():
            number = PUBLISHER.send(image, meta=meta, timeout=timeout)
    return number


def send_named(arrays: dict[str, tuple[list[int], str, float]]) -> int:
    """Send one frame of several arrays, each given as shape, dtype and value."""
    return PUBLISHER.send({name: np.full(shape, fill, dtype) for name, (shape, dtype, fill) in arrays.items()})


def send_until_full(shape: list[int], limit: int) -> dict[str, object]:
    """Send frames without waiting until one is refused; gives what was sent and the error's name and text."""
    image = np.zeros(shape, np.uint8)
    for sent in range(limit):
        try:
            PUBLISHER.send(image, timeout=0)
        except framebus.Error as error:
            return {"sent": sent, "error": type(error).__name__, "message": str(error)}
    return {"sent": limit, "error": None, "message": ""}


def send_and_count_ticks(shape: list[int], timeout: float | None) -> dict[str, object]:
    """Send one frame; gives how often the other thread ticked meanwhile and what came of the frame."""
    image = np.zeros(shape, np.uint8)
    before = TICKER.ticks
    error, number = None, None
    try:
        with TICKER.around():
            number = PUBLISHER.send(image, timeout=timeout)
    except framebus.Error as refused:
        error = type(refused).__name__
    return {"ticks": TICKER.ticks - before, "seq": number, "error": error}


def begin_loan(shape: list[int], fill: int, key: str = "loan") -> None:
    """Take a loan and fill the first half of it."""
    loan = PUBLISHER.loan(tuple(shape), "uint8")
    loan.__enter__()
    loan.array[: shape[0] // 2] = fill
    LOANS[key] = (loan, fill)


def end_loan(raises: bool = False, key: str = "loan") -> None:
    """Fill the second half and end the block, or end it as an exception does."""
    loan, fill = LOANS.pop(key)
    if raises:
        error = RuntimeError("the camera was unplugged")
        loan.__exit__(type(error), error, None)
        return
    loan.array[len(loan.array) // 2 :] = fill
    loan.__exit__(None, None, None)


def close() -> None:
    """Close the channel; the program goes on."""
    PUBLISHER.close()


def reopen() -> None:
    """Open the channel again after it was closed."""
    global PUBLISHER
    PUBLISHER = framebus.Publisher(**OPTIONS)


say("ready")
serve(
    send=send,
    send_named=send_named,
    send_until_full=send_until_full,
    send_and_count_ticks=send_and_count_ticks,
    begin_loan=begin_loan,
    end_loan=end_loan,
    statistics=lambda: asdict(PUBLISHER.statistics()),
    close=close,
    reopen=reopen,
)
PUBLISHER.close()
