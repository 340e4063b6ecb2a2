# SPDX-License-Identifier: Apache-2.0
"""A frame: the arrays that were sent together, and what is known about them.

A Frame from a Subscriber is a view: its arrays are the shared memory, read-only. The slot stays theirs until the frame
and every array made from it are gone; the publisher overwrites it only then. A Frame from copy() owns private memory.

A Frame is pickled as its copy: another process, or a later one, gets the same arrays in private, writable memory, and
nothing that refers to the channel. Pickling copies the pixels into the stream, and twice more out of it. With protocol
5 and a buffer_callback they are handed over as they lie in shared memory, and loads() makes the one copy.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framebus import _core
from framebus.errors import CorruptChannel
from framebus.frames import metadata


class Frame(_core.FrameBase):
    """One frame, as received.

    Attributes:
        seq: sequence number in its channel, from 1, without repeats.
        timestamp_ns: when it was captured, CLOCK_MONOTONIC, in nanoseconds; when it was published unless the sender
            said otherwise.
        wall_time_ns: the same moment by the wall clock, nanoseconds since 1970 UTC.
        pixel_format: PFNC name such as "BGR8", or None.
        array: the first array, in the shape and dtype it was sent, C order. Read-only if the frame is a view. Raises
            FrameReleased after release().
        arrays: all arrays by name, in the order they were sent; a single array has the name "image". Raises
            FrameReleased after release().
        released: whether release() was called.
    """

    __slots__ = ("_meta",)

    _meta: dict[str, Any]

    def __init__(
        self,
        arrays: dict[str, NDArray[Any]],
        *,
        seq: int,
        timestamp_ns: int,
        wall_time_ns: int,
        meta: dict[str, Any] | None = None,
        origin: dict[str, Any] | None = None,
        pixel_format: str | None = None,
    ) -> None:
        """Makes a frame of arrays that belong to the caller. Subscribers make theirs themselves.

        `origin` is what a source says of its own about the frame, JSON values as in `meta`.
        """
        super().__init__(dict(arrays), seq, timestamp_ns, wall_time_ns, pixel_format)
        self._meta = {} if meta is None else meta
        if origin:
            self._meta = metadata.Metadata(self._meta, origin)

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata that was sent, {} for none, and what the source says of its own: see `origin`.

        Raises FrameReleased after release(), unless it was read before, and CorruptChannel if it is not metadata.
        """
        try:
            return self._meta
        except AttributeError:
            pass
        try:
            self._meta = metadata.decode(self.meta_json())
        except ValueError as error:
            raise CorruptChannel(f"frame {self.seq} is broken: {error}; restart its publisher") from None
        return self._meta

    @property
    def origin(self) -> dict[str, Any]:
        """The entries of `meta` that are a source's own bookkeeping, such as the file of a picture, {} for none.

        Sinks that can't carry metadata leave them out. Raises as `meta` does.
        """
        meta = self.meta
        return meta.of_the_source() if isinstance(meta, metadata.Metadata) else {}

    def copy(self) -> Frame:
        """Returns the same frame in private, writable memory; it outlives the channel and holds no slot."""
        return Frame({name: np.array(array, order="C") for name, array in self.arrays.items()}, **self._facts())

    def __copy__(self) -> Frame:
        """Does what copy() does, as copy.copy() of an array does."""
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Frame:
        """Does what copy() does."""
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        """The copy of this frame, for pickle; raises FrameReleased after release()."""
        arrays = {name: np.asarray(array, order="C") for name, array in self.arrays.items()}
        return _restored, (arrays, {name: array.dtype.str for name, array in arrays.items()}, self._facts())

    def _facts(self) -> dict[str, Any]:
        """All but the arrays, as __init__ takes it; the metadata is a copy."""
        return {
            "seq": self.seq,
            "timestamp_ns": self.timestamp_ns,
            "wall_time_ns": self.wall_time_ns,
            "meta": metadata.decode(metadata.encode(self.meta) or b""),
            "pixel_format": self.pixel_format,
        }

    def __enter__(self) -> Frame:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The first array, for numpy.asarray(frame) and everything that calls it."""
        array = self.array
        if dtype is not None and np.dtype(dtype) != array.dtype:
            if copy is False:
                raise ValueError(f"a frame of {array.dtype} can't become {np.dtype(dtype)} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(self, **options: Any) -> Any:
        """The first array as a DLPack capsule, read-only; BufferError where the consumer cannot say read-only."""
        try:
            return self.array.__dlpack__(**options)
        except BufferError as error:
            raise BufferError(f"{error}; a frame is read-only shared memory, use frame.copy() instead") from None

    def __dlpack_device__(self) -> tuple[int, int]:
        """Where the array is: the CPU."""
        return self.array.__dlpack_device__()

    def __repr__(self) -> str:
        if self.released:
            return f"<Frame {self.seq} released>"
        arrays = ", ".join(
            f"{name} {'x'.join(map(str, array.shape)) or 'scalar'} {array.dtype}" for name, array in self.arrays.items()
        )
        form = f" {self.pixel_format}" if self.pixel_format else ""
        return f"<Frame {self.seq}: {arrays}{form}>"


def _restored(arrays: dict[str, NDArray[Any]], dtypes: dict[str, str], facts: dict[str, Any]) -> Frame:
    """What a pickled frame becomes.

    Numpy restores an array that was read-only as one over bytes, and before protocol 5 any array in native byte order.
    """
    return Frame(
        {name: array.astype(dtypes[name], copy=not array.flags.writeable) for name, array in arrays.items()}, **facts
    )


def _warm_up(array: NDArray[Any]) -> None:
    """Does what most programs begin with, so that the interpreter and numpy have it at hand when a frame comes."""
    frame = Frame({"image": array}, seq=0, timestamp_ns=0, wall_time_ns=0)
    first = frame.array
    if first.shape[0] > 0 and frame.seq == 0:
        int(first[0]) + int(first[-1])
        first[:1].sum()
    frame.release()


_core.set_frame_class(Frame, _warm_up)
