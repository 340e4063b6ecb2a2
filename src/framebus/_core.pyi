"""The native core of framebus. Private: import framebus instead."""

import asyncio
from collections.abc import Callable, Generator
import contextvars
from typing import Any, NoReturn

import numpy.typing


LAYOUT_VERSION: int = 3

MAX_ARRAYS: int = 8

MAX_DIMENSIONS: int = 8

MAX_NAME_BYTES: int = 32

MAX_META_BYTES: int = 1048576

def begin_exit() -> None:
    """At exit: other threads that wait in this module stop permanently."""

def end_long_calls() -> bool:
    """
    At exit, after all handles are closed: waits until those threads have stopped. False if they took too long.
    """

def leave_sessions() -> None:
    """
    At the end of a process that ends by os._exit(): gives up the reader records that frames still hold. Those frames stay readable, and their slots may be reused.
    """

def fill_standard_fds() -> None:
    """Opens /dev/null at each of the descriptors 0, 1 and 2 that is closed."""

def is_filler(fd: int) -> bool:
    """
    Whether a descriptor is what fill_standard_fds() opened, here or in the program that started this one.
    """

def handle_sigbus(on: bool) -> None:
    """Switches the handler for SIGBUS on or off; see framebus.handle_sigbus."""

class Hold:
    """Holds a slot for the arrays made from it."""

class FrameBase:
    """The native half of framebus.Frame."""

    def __init__(self, arrays: dict[str, numpy.typing.NDArray[Any]], seq: int, timestamp_ns: int, wall_time_ns: int, pixel_format: str | None) -> None: ...

    @property
    def seq(self) -> int:
        """Sequence number in its channel, from 1, without repeats."""

    @property
    def timestamp_ns(self) -> int:
        """
        Time of capture, CLOCK_MONOTONIC, in nanoseconds; the time of publication unless the sender set it.
        """

    @property
    def wall_time_ns(self) -> int:
        """The same time by the wall clock, nanoseconds since 1970 UTC."""

    @property
    def pixel_format(self) -> str | None:
        """PFNC name such as "BGR8", or None."""

    @property
    def array(self) -> numpy.typing.NDArray[Any]:
        """
        The first array, in the shape and dtype that were sent, C order. Read-only if the frame is a view.

        Raises Error after release().
        """

    @property
    def arrays(self) -> dict[str, numpy.typing.NDArray[Any]]:
        """
        All arrays by name, in the order they were sent; a single array has the name "image".

        Raises Error after release().
        """

    def meta_json(self) -> bytes:
        """The metadata as JSON bytes, empty for none."""

    @property
    def released(self) -> bool:
        """Whether release() was called."""

    def release(self) -> None:
        """
        Releases the slot now. Arrays that the caller has kept stay valid, and keep the slot until they are gone.
        """

def set_frame_class(type: type[FrameBase], warm_up: Callable[[numpy.typing.NDArray[Any]], None]) -> None:
    """
    Sets the class of received frames, a subclass of FrameBase, and a function that is called with an empty array shortly before a frame is due.
    """

class Memory:
    """Owns a loan's slot for the arrays made from it."""

class Loan:
    """A slot that the publisher fills in place."""

    def array(self, index: int) -> numpy.typing.NDArray[Any]:
        """The writable array of that index."""

    def names(self) -> tuple[str, ...]:
        """The names of the arrays, in order."""

    def kept(self) -> list[tuple[numpy.typing.NDArray[Any], int]]:
        """
        The arrays that other objects refer to, each with the number of references.
        """

    def commit(self, meta: bytes | None, pixel_format: str | None, escaped: bool) -> int:
        """Sends the frame; returns its sequence number."""

    def drop(self, escaped: bool) -> None:
        """Returns the slot; the frame is never visible."""

class Publisher:
    """The sending side of a channel."""

    def __init__(self, name: str, slots: int, max_bytes: int, mode: int, on_full: str) -> None: ...

    def send(self, frame: object, meta: bytes | None, pixel_format: str | None, timeout: float | None, timestamp_ns: int | None, wall_time_ns: int | None) -> int:
        """Copies arrays into a slot and publishes it."""

    def loan(self, specs: list[tuple[str, Any, Any]], timeout: float | None) -> Loan:
        """A slot for (name, shape, dtype) arrays."""

    def close(self) -> None:
        """Ends the channel for its subscribers."""

    def is_closed(self) -> bool:
        """Whether close() was called."""

    def statistics(self) -> dict[str, Any]:
        """Counts and measurements, see framebus.Statistics."""

def quick_send(method: object) -> object:
    """A decorator; see bindings/shortcut.hpp."""

def check_arrays(frame: object) -> None:
    """Refuses an array, or a dict of them, as send() does."""

class Subscriber:
    """The receiving side of a channel."""

    def __init__(self, name: str, *, every: bool, hold: int, history: int, connect_timeout: float, wait: str, max_spin: float, reconnect: bool, observer: bool = False, keeper: bool = False) -> None: ...

    def try_recv(self) -> FrameBase | None:
        """The next frame or None."""

    def recv(self, timeout: float | None) -> FrameBase:
        """The next frame; waits."""

    def next(self, timeout: float | None) -> FrameBase | None:
        """The next frame, None at the end of the channel; waits."""

    def try_next(self) -> FrameBase | None:
        """The next frame or None; StopAsyncIteration at the end of the channel."""

    def is_ended(self) -> bool:
        """
        Whether the publisher has closed the channel and no frame is left to fetch.
        """

    def fileno(self) -> int:
        """A descriptor that is readable when there may be a new frame."""

    def close(self) -> None:
        """Leaves the channel; held frames stay valid."""

    def is_closed(self) -> bool:
        """Whether close() was called."""

    def statistics(self) -> dict[str, Any]:
        """Counts and measurements, see framebus.Statistics."""

def quick_recv(method: object) -> object:
    """A decorator; see bindings/shortcut.hpp."""

def quick_try_recv(method: object) -> object:
    """A decorator; see bindings/shortcut.hpp."""

def quick_next(method: object) -> object:
    """A decorator; see bindings/shortcut.hpp."""

class Listener:
    """A descriptor for one event loop that waits for a subscriber."""

    def __init__(self, subscriber: Subscriber) -> None: ...

    def fileno(self) -> int:
        """
        Readable when there may be a new frame, and permanently once the subscriber is closed.
        """

    def arm(self, until: float) -> None:
        """
        To be called before a fetch and then a wait: clears it until the next event, or time.monotonic() is `until`.
        """

    def disarm(self) -> bool:
        """
        No task waits: keeps it cleared until arm(). False if it may be signalled nevertheless.
        """

def wait(subscribers: list[Subscriber], timeout: float | None) -> list[int]:
    """
    Waits for a new frame in any of them; returns the indices of those that have one.
    """

def fail_timeout(subscriber: Subscriber, timeout: float) -> NoReturn:
    """Raises what recv(timeout) raises after its timeout."""

class Wakeup:
    """
    A minimal future for one waiting task; it resumes the task inside the loop's callback.

    After wake(), result() is None; after cancel(), it raises asyncio.CancelledError.
    """

    def __next__(self) -> Wakeup:
        """Returns itself once; then ends."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turn: int, end: float) -> None: ...

    def __await__(self) -> Generator[Wakeup, None, None]:
        """Yields itself to the task, which continues after wake() or cancel()."""

    @property
    def turn(self) -> int:
        """Its position among the waiting tasks of one loop."""

    @property
    def end(self) -> float:
        """Its deadline, by time.monotonic(); inf for none."""

    def wake(self) -> None:
        """Resumes the task now; called by the loop, not by another task."""

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""

    def add_done_callback(self, callback: Callable[[Wakeup], object], *, context: contextvars.Context) -> None:
        """Sets the callback that resumes the task."""

    def cancel(self, msg: object = None) -> bool:
        """
        Cancels the task, which is resumed in the next round of the loop, as with every future.
        """

    def result(self) -> None:
        """Returns None, or raises asyncio.CancelledError."""

def wake_one(waiting: list[Wakeup], otherwise: Callable[[], object]) -> None:
    """
    Removes the only Wakeup from the list and wakes it; if there are none or several, calls `otherwise`.
    """

def channel_names() -> list[str]:
    """The names of all channels that have a control block."""

def inspect(name: str) -> dict[str, Any] | None:
    """The state of a channel, or None if there is none."""

def examine() -> list[dict[str, Any]]:
    """The findings about the files of all channels."""

def clean_channel(channel: str) -> list[str]:
    """
    Removes every file of the channel that no live program can use; returns the paths.
    """
