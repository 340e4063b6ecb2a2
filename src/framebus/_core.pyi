"""The native core of framebus. Private: import framebus instead."""

import asyncio
from collections.abc import (
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence
)
import contextvars
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

import numpy.typing
from numpy.typing import DTypeLike
from typing_extensions import Self


LAYOUT_VERSION: int = 4

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

FrameT = TypeVar("FrameT", bound=FrameBase)

def set_frame_class(type: type[FrameBase], warm_up: Callable[[numpy.typing.NDArray[Any]], None]) -> None:
    """
    Sets the class of received frames, a subclass of FrameBase, and a function that is called with an empty array shortly before a frame is due.
    """

class Memory:
    """Owns a loan's slot for the arrays made from it."""

class LoanBase:
    """The native half of framebus.Loan."""

    def __enter__(self) -> Self:
        """Returns the loan."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Sends the frame, or drops it if the block raises."""

    @property
    def array(self) -> numpy.typing.NDArray[Any]:
        """
        The first array: shared memory, writable until the end of the block, C order, 64-byte aligned.

        Raises LoanEnded after the block. An array that was kept can't be written any more.
        """

    @property
    def arrays(self) -> dict[str, numpy.typing.NDArray[Any]]:
        """All arrays by name. Raises LoanEnded after the block."""

    @property
    def meta(self) -> object:
        """Metadata to send with the frame, or None; may be set inside the block."""

    @meta.setter
    def meta(self, meta: object, /) -> None: ...

    @property
    def pixel_format(self) -> str | None:
        """
        PFNC name to send with the frame, or None; may be set inside the block.
        """

    @pixel_format.setter
    def pixel_format(self, name: str | None, /) -> None: ...

    @property
    def seq(self) -> int | None:
        """The frame's sequence number once it was sent, None before."""

LoanT = TypeVar("LoanT", bound=LoanBase)

def set_loan_class(type: type[LoanBase], encode: Callable[[Any, str | None], bytes | None]) -> None:
    """
    Sets the class of loans, a subclass of LoanBase, and what checks and encodes metadata and pixel format.
    """

class PublisherBase(Generic[LoanT]):
    """The native half of framebus.Publisher."""

    def __init__(self, name: str, slots: int, max_bytes: int, mode: int, on_full: str) -> None: ...

    def send(
        self,
        image: object,
        *,
        meta: Mapping[str, object] | None = None,
        pixel_format: str | None = None,
        timeout: float | None = None,
        timestamp_ns: int | None = None,
        wall_time_ns: int | None = None,
        seq: int | None = None,
    ) -> int:
        """
        Copies one frame into shared memory, makes it visible to every subscriber, and returns its sequence number.

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

    def loan(
        self,
        shape: int | tuple[int, ...] | list[int] | Mapping[str, tuple[int | tuple[int, ...] | list[int], DTypeLike]],
        dtype: DTypeLike = "uint8",
        *,
        meta: Mapping[str, object] | None = None,
        pixel_format: str | None = None,
        timeout: float | None = None,
    ) -> LoanT:
        """
        Lends a slot to be filled in place, for one array or, given a dict of (shape, dtype) by name, for several.

            with pub.loan((1080, 1920, 3), "uint8") as frame:
                camera.read_into(frame.array)

        The frame is sent at the end of the block and dropped if the block raises. At the beginning the
        array has the values of an earlier frame. Keep nothing of the array beyond the block but in a variable of the
        function: where something could still write to it (a slice, a memoryview, an attribute), a copy is sent.
        Raises what send() raises.
        """

    def warm_up(self) -> None:
        """
        Makes the next send() or loan() quicker: goes its way without sending, so that what it needs is in the caches.

        For programs that know when the next frame comes, as from a camera: to be called some 100 µs before. Has no effect
        that anybody can see, and takes about as long as a send() without its copy. Does nothing before the first frame,
        after close(), in a forked child, and while another thread sends.
        """

    def _call_after_first_frame(self, then: Callable[[], object]) -> None:
        """Has the thread that sends the first frame call `then` after it, once."""

    def _say_closed_by(self, message: str) -> None:
        """What ChannelClosed says where send() and loan() raise it from now on."""

    def _leave(self) -> None:
        """Ends the channel for its subscribers."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    def _figures(self) -> dict[str, Any]:
        """Counts and measurements, see framebus.Statistics."""

def set_prepare(for_send: Callable[[object, Any, str | None], tuple[object, bytes | None, str | None]], for_loan: Callable[[object], list[tuple[Any, Any, Any]] | None]) -> None:
    """
    Sets two functions: `for_send` converts image, metadata and pixel format, `for_loan` lists the arrays of a mapping as (name, shape, dtype) and returns None for anything else.
    """

def check_arrays(frame: object) -> None:
    """Refuses an array, or a dict of them, as send() does."""

class SubscriberBase(Generic[FrameT]):
    """The native half of framebus.Subscriber."""

    def __iter__(self) -> Iterator[FrameT]:
        """Frames until the publisher closes the channel; waits for each."""

    def __next__(self) -> FrameT:
        """The next frame; waits. Ends when the publisher closes the channel."""

    def __init__(self, name: str, *, every: bool, hold: int, history: int, connect_timeout: float, wait: str, max_spin: float, reconnect: bool, observer: bool = False, keeper: bool = False) -> None: ...

    def recv(self, timeout: float | None = None) -> FrameT:
        """
        Returns the next frame and waits for it, other Python threads running, at most `timeout` seconds.

        Raises:
            Timeout: nothing new came in time.
            TooManyHeld: this program already holds `hold` frames.
            ChannelClosed: the publisher closed the channel (with reconnect=True: and no other came in time), or this
                Subscriber was closed.
            PublisherDied: it died, and reconnect=False.
            CorruptChannel: what is in shared memory is not a frame; the next call goes on after it.
            ValueError: a negative timeout.
        """

    def try_recv(self) -> FrameT | None:
        """
        Returns the next frame, or None when there is nothing new. Never waits. Raises as recv() does.
        """

    def _next(self, timeout: float | None) -> FrameT | None:
        """
        What recv() does, but None at the end of the channel, with reconnect=True too; waits.
        """

    def _try_next(self) -> FrameT | None:
        """The next frame or None; StopAsyncIteration at the end of the channel."""

    def fileno(self) -> int:
        """
        A descriptor that becomes readable when there may be something new; then call try_recv() until it is None.

        For select, selectors, asyncio and the like. It belongs to this Subscriber and must not be read or closed.
        """

    def _leave(self) -> None:
        """Leaves the channel; held frames stay valid."""

    @property
    def closed(self) -> bool:
        """Whether close() was called."""

    def _figures(self) -> dict[str, Any]:
        """Counts and measurements, see framebus.Statistics."""

class Listener:
    """A descriptor for one event loop that waits for a subscriber."""

    def __init__(self, subscriber: SubscriberBase[Any]) -> None: ...

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

def wait(subscribers: Sequence[SubscriberBase[Any]], timeout: float | None) -> list[int]:
    """
    Waits for a new frame in any of them; returns the indices of those that have one.
    """

def fail_timeout(subscriber: SubscriberBase[Any], timeout: float) -> NoReturn:
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

    @property
    def _asyncio_future_blocking(self) -> bool: ...

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, arg: bool, /) -> None: ...

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
