# SPDX-License-Identifier: Apache-2.0
"""clipboard: the image clipboard of the desktop, by copykitten.

The sink puts a frame where every desktop program can paste it; the source fetches the image that was copied, first the
one that is there already, then each that replaces it.

What a clipboard is: one place for all programs, which holds one image of 8-bit RGBA. So arrays other than uint8 of
height x width (x 3 or 4), and more than one of them, are refused; without a pixel format three channels are blue,
green and red, as everywhere in framebus; metadata are refused unless `lossy`; pixel format, numbers and timestamps are
those of the receiver: RGBa8 or what `pixel_format` asks for. The same image copied twice is one frame; anything else
is none, and a broken one counts as refused. A source can't tell which program copied it, nor whether it runs.

On X11 an image lives as long as the program that copied it, or with `detach` until another one is copied, and may take
16 MB as PNG: a larger one would never arrive, so it is refused. Nothing tells that there is something new: the source
looks every `interval` seconds, less often while looking takes long.
"""

from __future__ import annotations

import sys
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from framebus.endpoint import BaseSink, BaseSource, Deadline, Endpoint, OutgoingFrame, spec
from framebus.endpoint.spec import ONE_IMAGE
from framebus.errors import EndpointError
from framebus.frames.frame import Frame
from framebus.frames.pixel_format import guess

if TYPE_CHECKING:
    from types import ModuleType

CAPABILITIES = replace(
    ONE_IMAGE,
    dtypes="uint8 images: height x width, or x 3 or x 4",
    accepts=spec.images(uint8=[(), (3,), (4,)]),
    delivery="latest",
    receivers="many",
    notices_close=False,
    notices_death=False,
    reconnects=True,
)

Order = Literal["RGBa8", "RGB8", "BGRa8", "BGR8"]

# Where the red, green, blue and alpha of the clipboard are in an image of each format.
_CHANNELS: dict[str | None, tuple[int, ...]] = {
    "Mono8": (0, 0, 0),
    "RGB8": (0, 1, 2),
    "BGR8": (2, 1, 0),
    "RGBa8": (0, 1, 2, 3),
    "BGRa8": (2, 1, 0, 3),
}
_X11_MOST_BYTES = 4 * 4_194_303 - (64 << 10)  # of one request, less what is around the image
_BUSY = 4  # looking takes at most a quarter of the time between two looks,
_LONGEST_PAUSE_S = 0.5  # but one that took seconds, because the other program stood still, does not delay the next
_BROKEN = "could not be converted"


def _clipboard() -> ModuleType:
    """The module copykitten, with a clipboard behind it."""
    import copykitten

    try:
        copykitten.paste_image()
    except copykitten.CopykittenError as error:
        if _is_about_contents(error):
            return copykitten
        raise EndpointError(
            f"clipboard: there is no clipboard here ({error}); it takes a desktop: on Linux an X11 "
            "display that DISPLAY names, or XWayland"
        ) from None
    return copykitten


# What there is if it is not an image: the library tells by its sentences alone.
_OTHER_CONTENTS = ("not available in the requested format", "incorrect type received", _BROKEN)


def _is_about_contents(error: Exception) -> bool:
    """Whether there is a clipboard, only without an image that can be read."""
    return any(sentence in str(error) for sentence in _OTHER_CONTENTS)


class ClipboardSink(BaseSink):
    """Puts frames into the clipboard; the next one takes the place of the last."""

    capabilities = CAPABILITIES

    def __init__(self, *, lossy: bool, detach: bool) -> None:
        super().__init__("clipboard:")
        self._clipboard = _clipboard()
        self.lossy = lossy
        self._detach = detach

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002  # there is nothing to wait for
        image = _rgba(frame)
        height, width = image.shape[:2]
        data = image.tobytes()
        if sys.platform == "linux" and len(data) > _X11_MOST_BYTES:
            _check_small_enough(data)
        try:
            self._clipboard.copy_image(data, width, height, detach=self._detach)
        except self._clipboard.CopykittenError as error:
            raise EndpointError(f"clipboard: can't take an image of {width} x {height}: {error}") from None


def _rgba(frame: OutgoingFrame) -> NDArray[np.uint8]:
    array, form = frame.array, frame.pixel_format
    samples = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if form is None or form not in _CHANNELS:
        form = guess(array.shape, array.dtype) if form is None else None
    wanted = _CHANNELS.get(form, ())
    if array.dtype != np.uint8 or not wanted or samples != max(wanted) + 1 or 0 in array.shape:
        raise EndpointError(
            f"clipboard: expected {CAPABILITIES.dtypes}, as Mono8, RGB8, BGR8, RGBa8 or BGRa8, got {array.dtype} "
            f"{'x'.join(map(str, array.shape)) or 'scalar'} {frame.pixel_format or ''}; convert it first"
        )
    image = np.empty((*array.shape[:2], 4), np.uint8)
    image[..., : len(wanted)] = array.reshape(*array.shape[:2], samples)[..., list(wanted)]
    if len(wanted) == 3:
        image[..., 3] = 255
    return image


def _check_small_enough(data: bytes) -> None:
    size = len(zlib.compress(data, 1))  # about what the PNG will take
    if size > _X11_MOST_BYTES:
        raise EndpointError(
            f"clipboard: this image takes about {size / 1e6:.0f} MB as PNG, X11 passes on at most "
            f"{_X11_MOST_BYTES / 1e6:.0f} MB; send a smaller one"
        )


class ClipboardSource(BaseSource):
    """Fetches the images that are copied."""

    def __init__(self, *, interval: float, pixel_format: Order) -> None:
        super().__init__("clipboard:")
        if not interval > 0:
            raise ValueError(f"interval must be above 0 seconds, got {interval!r}")
        self._clipboard = _clipboard()
        self._interval = interval
        self._format = pixel_format
        self._last: tuple[Any, ...] | None = None
        self._look_at = 0.0
        self._broken = False
        self._seq = 0

    def _receive(self, deadline: Deadline) -> Frame:
        while True:
            self._check_open()  # a signal handler or another thread may have closed it
            left = deadline.left()
            wait = self._look_at - time.monotonic()
            if wait > 0:
                time.sleep(wait if left is None else min(wait, left))
            found = self._look() if time.monotonic() >= self._look_at else None
            if found is not None:
                return found
            if deadline.is_over:
                raise deadline.fail("no other image was copied")

    def _look(self) -> Frame | None:
        began = time.monotonic()
        try:
            found = self._clipboard.paste_image()
        except self._clipboard.CopykittenError as error:
            if not _is_about_contents(error):
                raise EndpointError(f"clipboard: {error}") from None
            broken = _BROKEN in str(error)
            if broken and not self._broken:  # the same one is found again at every look
                self._count(refused=1)
            self._broken = broken
            return None
        finally:
            now = time.monotonic()
            self._look_at = now + max(self._interval, min(_BUSY * (now - began), _LONGEST_PAUSE_S))
        self._broken = False
        if found == self._last:
            return None
        self._last = found
        data, width, height = found
        self._seq += 1
        image = np.frombuffer(data, np.uint8).reshape(height, width, 4)
        return Frame(
            {"image": np.ascontiguousarray(image[..., list(_CHANNELS[self._format])])},
            seq=self._seq,
            timestamp_ns=time.monotonic_ns(),
            wall_time_ns=time.time_ns(),
            pixel_format=self._format,
        )


def open_source(
    rest: str,
    *,
    interval: Annotated[float, "seconds between two looks"] = 0.1,
    pixel_format: Annotated[Order, "order of the samples of a pixel"] = "RGBa8",
) -> ClipboardSource:
    """Fetches what is copied."""
    _check_rest(rest)
    return ClipboardSource(interval=interval, pixel_format=pixel_format)


def open_sink(
    rest: str,
    *,
    detach: Annotated[bool, "leave the last image there when this program ends"] = False,
    lossy: Annotated[bool, "leave out metadata and further arrays instead of refusing them"] = False,
) -> ClipboardSink:
    """Copies frames for others to paste."""
    _check_rest(rest)
    return ClipboardSink(lossy=lossy, detach=detach)


def _check_rest(rest: str) -> None:
    if rest:
        raise EndpointError(
            f"clipboard: there is only one, without a name; expected 'clipboard:', got {rest!r} after it"
        )


ENDPOINTS = {
    "clipboard": Endpoint(
        "clipboard",
        "the image clipboard of the desktop",
        "clipboard:",
        open_source,
        open_sink,
        CAPABILITIES,
        needs=("copykitten",),
        extra="clipboard",
    ),
}
