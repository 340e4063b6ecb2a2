"""The native core of framebus. Private: import framebus instead."""

from typing import Any, NoReturn

import numpy.typing


LAYOUT_VERSION: int = 2

def begin_exit() -> None:
    """At exit: other threads that wait in here stop for good."""

def end_long_calls() -> None:
    """At exit, after all ends are closed: waits until they have."""

class Memory:
    """Owns a loan's slot for the arrays made from it."""

class Loan:
    """A slot that the publisher fills in place."""

    def array(self, index: int) -> numpy.typing.NDArray[Any]:
        """The writable array of that index."""

    def names(self) -> tuple[str, ...]:
        """The names of the arrays, in order."""

    def kept(self) -> list[tuple[numpy.typing.NDArray[Any], int]]:
        """Arrays that others refer to, and by how many references."""

    def commit(self, meta: bytes | None, pixel_format: str, escaped: bool) -> int:
        """Sends the frame; returns its sequence number."""

    def drop(self, escaped: bool) -> None:
        """Gives the slot back; nobody ever sees what was in it."""

class Publisher:
    """The sending end of a channel."""

    def __init__(self, name: str, slots: int, max_bytes: int, mode: int, on_full: str) -> None: ...

    def send(self, frame: object, meta: bytes | None, pixel_format: str, timeout: float | None, timestamp_ns: int, wall_time_ns: int) -> int:
        """Copies arrays into a slot and publishes it."""

    def loan(self, specs: list[tuple[str, Any, Any]], timeout: float | None) -> Loan:
        """A slot for (name, shape, dtype) arrays."""

    def close(self) -> None:
        """Ends the channel for its subscribers."""

    def is_closed(self) -> bool:
        """Whether close() was called."""

    def statistics(self) -> dict[str, Any]:
        """Counts and figures, see framebus.Statistics."""

class FrameView:
    """A held frame; its arrays keep it."""

    def facts(self) -> tuple[int, int, int, str | None]:
        """
        Sequence number, CLOCK_MONOTONIC and CLOCK_REALTIME of capture, PFNC name or None.
        """

    @property
    def published_ns(self) -> int:
        """CLOCK_MONOTONIC of publication."""

    def meta(self) -> bytes:
        """The metadata as JSON bytes, empty for none."""

    def names(self) -> tuple[str, ...]:
        """The names of the arrays, in order."""

    def array(self, index: int) -> numpy.typing.NDArray[Any]:
        """The read-only array of that index."""

class Subscriber:
    """The receiving end of a channel."""

    def __init__(self, name: str, every: bool, hold: int, history: int, connect_timeout: float, wait: str, reconnect: bool, observer: bool, keeper: bool = False) -> None: ...

    def try_recv(self) -> FrameView | None:
        """The next frame or None."""

    def recv(self, timeout: float | None) -> FrameView:
        """The next frame; waits."""

    def next(self, timeout: float | None) -> FrameView | None:
        """The next frame, None at the end of the channel; waits."""

    def is_ended(self) -> bool:
        """Closed by its publisher, and nothing left to fetch."""

    def fileno(self) -> int:
        """A descriptor readable when there may be news."""

    def close(self) -> None:
        """Leaves the channel; frames that are kept stay valid."""

    def is_closed(self) -> bool:
        """Whether close() was called."""

    def statistics(self) -> dict[str, Any]:
        """Counts and figures, see framebus.Statistics."""

def wait(subscribers: list[Subscriber], timeout: float | None) -> list[int]:
    """The indices of those that have something new; waits for one."""

def fail_timeout(subscriber: Subscriber, timeout: float) -> NoReturn:
    """Raises what recv(timeout) does when its time is over."""

def channel_names() -> list[str]:
    """The names of all channels that have a control block."""

def inspect(name: str) -> dict[str, Any] | None:
    """What is going on in a channel, None where there is none."""

def examine() -> list[dict[str, Any]]:
    """What is wrong among the files of all channels, at this moment."""

def clean_channel(channel: str) -> list[str]:
    """
    Removes every file of the channel that only the dead have used; returns the paths.
    """
