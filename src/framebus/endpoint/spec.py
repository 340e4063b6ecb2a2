# SPDX-License-Identifier: Apache-2.0
"""What a source and a sink are, and what an endpoint declares about itself.

A Source returns frames, a Sink takes them. A Subscriber is a Source and a Publisher is a Sink as they are; all other
mechanisms derive from BaseSource and BaseSink (base.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol

import numpy as np

from framebus._util import deprecated
from framebus.channel.statistics import Statistics
from framebus.frames.frame import Frame

Accepts = Callable[[str, Sequence[int]], bool]


@dataclass(frozen=True)
class EndpointStatistics:
    """What one end of an endpoint has done.

    Attributes:
        frames: received or sent.
        bytes: of their arrays.
        dropped: frames that were lost on the way, as far as this end can know.
        refused: things that came and were no frames.
    """

    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    refused: int = 0


class Source(Protocol):
    """Anything that frames can be read from."""

    def recv(self, timeout: float | None = None) -> Frame:
        """Returns the next frame; waits for it at most `timeout` seconds, None: no limit."""

    def try_recv(self) -> Frame | None:
        """Returns the next frame if it has come; else None."""

    def statistics(self) -> EndpointStatistics | Statistics:
        """Returns what has been received; also after close(). Both kinds have `frames`, `bytes` and `dropped`."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the sender closes."""

    def close(self) -> None:
        """Closes it. May be repeated."""

    def __enter__(self) -> Source:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes it."""


class Sink(Protocol):
    """Anything that frames can be written to."""

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
        """Hands over one frame, as BaseSink.send() does; returns its sequence number.

        `seq` is of no effect where the mechanism counts for itself (Capabilities.seq).
        """

    def statistics(self) -> EndpointStatistics | Statistics:
        """Returns what has been sent; also after close(). Both kinds have `frames`, `bytes` and `dropped`."""

    def close(self) -> None:
        """Ends the stream and closes it. May be repeated."""

    def __enter__(self) -> Sink:
        """Itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Closes it."""


@dataclass(frozen=True)
class Capabilities:
    """What a mechanism can carry and tell. docs/endpoints.md is made of these.

    Attributes:
        arrays: "many" named arrays, or "one" image whose name is not kept.
        dtypes: "any", or which arrays it takes, in words for users.
        meta: carries metadata; without, only what a source says of its own (Frame.origin) is left out without a word.
        pixel_format: "any" it carries as said, "some" it derives it from the image, "none" it loses it.
        timestamps: carries both timestamps.
        seq: carries sequence numbers; else the receiver counts for itself.
        delivery: "every" frame arrives, or the "latest"; "either" by option.
        receivers: "one" or "many" at the same time.
        notices_close: a receiver is told that the sender has closed; else nothing comes any more.
        notices_death: a receiver can tell the sender's death from silence.
        reconnects: source or sink may be opened again, and the other one goes on.
        stored: what is sent is kept, and received when the sink has closed; a receiver never waits for a sender.
        uniform: all frames of a link have the dtype, shape and pixel format of the first; another one is refused.
        max_bytes: the largest frame, None where memory alone decides.
        accepts: the same as `dtypes` for programs: says whether it takes an array of this dtype, as numpy writes it
            ("<u2"), and shape. None where it takes any, or where that depends on the options.
    """

    arrays: Literal["one", "many"] = "many"
    dtypes: str = "any"
    meta: bool = True
    pixel_format: Literal["any", "some", "none"] = "any"
    timestamps: bool = True
    seq: bool = True
    delivery: Literal["every", "latest", "either"] = "every"
    receivers: Literal["one", "many"] = "one"
    notices_close: bool = True
    notices_death: bool = True
    reconnects: bool = False
    stored: bool = False
    uniform: bool = False
    max_bytes: int | None = None
    accepts: Accepts | None = None


# Those of a mechanism that carries the pixels of one image, and nothing that is said about them.
ONE_IMAGE = Capabilities(arrays="one", meta=False, pixel_format="some", timestamps=False, seq=False)


def images(**pixels: Sequence[tuple[int, ...]]) -> Accepts:
    """Returns an `accepts` for images: by native dtype, the shapes that a pixel may have, () for one number."""
    by_dtype = {np.dtype(name).str: shapes for name, shapes in pixels.items()}

    def accepts(dtype: str, shape: Sequence[int]) -> bool:
        return len(shape) >= 2 and 0 not in shape and tuple(shape[2:]) in by_dtype.get(dtype, ())

    return accepts


@deprecated.fields(form="url_syntax", abilities="capabilities")
@dataclass(frozen=True)
class Endpoint:
    """One mechanism: what it is for, how its source and sink are opened, what it can do.

    Attributes:
        scheme: what its URLs begin with.
        summary: what it is for, in half a sentence.
        url_syntax: how its URLs look.
        source: opens a source: `source(rest, *, options...)`; None where the mechanism has none.
        sink: opens a sink, in the same way.
        capabilities: what it carries and tells.
        needs: modules beyond numpy that it imports.
        extra: the extra of the distribution that brings them.
    """

    scheme: str
    summary: str
    url_syntax: str
    source: Callable[..., Source] | None = None
    sink: Callable[..., Sink] | None = None
    capabilities: Capabilities = Capabilities()
    needs: tuple[str, ...] = ()
    extra: str | None = None
