# SPDX-License-Identifier: Apache-2.0
"""VideoCapture: a channel for programs that were written for cv2.VideoCapture; OpenCV itself is not needed.

    capture = framebus.VideoCapture("camera0")      # was: cv2.VideoCapture(0)
    while True:
        ok, image = capture.read()
        if not ok:
            break
        cv2.putText(image, "hello", (10, 30), 0, 1, (0, 255, 0))

Promise: methods, arguments and results are those of cv2.VideoCapture (5.0, where releases differ); a test calls both in
turn. What cv2 answers with False is answered with False here, and the reason logged, or raised with
setExceptionMode(True), then as a framebus.Error. Two things always raise: arguments of a wrong type, as cv2 has it, and
what only framebus knows (TooManyHeld with zero_copy=True, use in a forked child, an OpenCV that is missing).

Width, height and rate are known before the first read(), as those of a camera are: see framebus.opencv.lookahead.

Images are private, writable, BGR, uint8, height x width x 3, made from the formats that framebus.opencv.to_bgr knows.
All else (Mono16, depth, floats) is given as it was sent, and with set(CAP_PROP_CONVERT_RGB, 0) everything is.

A channel that its publisher closes is a clip at its end: read() is (False, None) at once, and so again until a next
publisher comes. While a publisher is dead, read() waits for the next, at most `timeout` seconds, and goes on with it.
"""

from __future__ import annotations

import logging
import math
import numbers
import operator
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from framebus.channel.info import channels
from framebus.channel.options import DEFAULTS, SubscriberOptions, Wait
from framebus.channel.subscriber import Subscriber
from framebus.errors import (
    ChannelClosed,
    ChannelNotFound,
    Error,
    InvalidName,
    NoFrameGrabbed,
    NoSuchArray,
    UnsupportedProperty,
)
from framebus.frames.frame import Frame
from framebus.opencv import to_bgr
from framebus.opencv.lookahead import ENDS, FAILURES, Lookahead

# OpenCV's own numbers.
CAP_PROP_UNKNOWN: Final = -1
CAP_PROP_POS_MSEC: Final = 0
CAP_PROP_POS_FRAMES: Final = 1
CAP_PROP_FRAME_WIDTH: Final = 3
CAP_PROP_FRAME_HEIGHT: Final = 4
CAP_PROP_FPS: Final = 5
CAP_PROP_FOURCC: Final = 6
CAP_PROP_FRAME_COUNT: Final = 7
CAP_PROP_CONVERT_RGB: Final = 16
CAP_PROP_BUFFERSIZE: Final = 38
CAP_PROP_OPEN_TIMEOUT_MSEC: Final = 53
CAP_PROP_READ_TIMEOUT_MSEC: Final = 54

READ_TIMEOUT_S: Final = 30.0  # as cv2 has it for streams

_OPEN_PARAMETERS = frozenset({CAP_PROP_OPEN_TIMEOUT_MSEC, CAP_PROP_READ_TIMEOUT_MSEC, CAP_PROP_CONVERT_RGB})
_FOR_OPENCV = "files, streams and cameras are opened by cv2.VideoCapture, channels by framebus.VideoCapture"

# As Video4Linux has them.
_FOURCC: Final = {
    "Mono8": "GREY", "Mono16": "Y16 ", "BGR8": "BGR3", "RGB8": "RGB3", "BGRa8": "AR24", "RGBa8": "AB24",
    "BayerRG8": "RGGB", "BayerGR8": "GRBG", "BayerGB8": "GBRG", "BayerBG8": "BA81", "YUV422_8": "YUYV",
    "YCbCr422_8": "YUYV", "YUV422_8_UYVY": "UYVY", "YCbCr422_8_CbYCrY": "UYVY",
    "YCbCr420_8_YY_CbCr_Semiplanar": "NV12", "YCbCr420_8_YY_CrCb_Semiplanar": "NV21",
    "YCbCr420_8_YY_CbCr_Planar": "YU12", "YCbCr420_8_YY_CrCb_Planar": "YV12",
}  # fmt: skip

_log = logging.getLogger(__name__)


class VideoCapture:
    """Receives the frames of a channel with the methods of cv2.VideoCapture.

    One thread reads; another may release() it meanwhile, which ends the read.
    """

    def __init__(
        self,
        filename: str | None = None,
        apiPreference: int = 0,
        params: Sequence[int] = (),
        *,
        timeout: float | None = READ_TIMEOUT_S,
        zero_copy: bool = False,
        every: bool = DEFAULTS.every,
        hold: int = DEFAULTS.hold,
        history: int = DEFAULTS.history,
        connect_timeout: float = DEFAULTS.connect_timeout,
        wait: Wait = DEFAULTS.wait,
        max_spin: float = DEFAULTS.max_spin,
        reconnect: bool = DEFAULTS.reconnect,
    ) -> None:
        """Opens a channel, or with no argument nothing yet; isOpened() says whether that went well.

        Args:
            filename: the name of the channel.
            apiPreference: as in open().
            params: as in open().
            timeout: seconds that grab() and read() wait for a frame; None: no limit.
            zero_copy: read() returns the shared memory itself, read-only, where nothing has to be converted. Each image
                that is kept keeps its slot, at most `hold` of them.
            every: as Subscriber has it, like all that follow: these hold for each open().
            hold: see Subscriber.
            history: see Subscriber.
            connect_timeout: see Subscriber.
            wait: see Subscriber.
            max_spin: see Subscriber.
            reconnect: see Subscriber; False: read() is (False, None) at once when the publisher has died.
        """
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"timeout must be 0 or more seconds, or None, got {timeout}")
        self._options = SubscriberOptions(every, hold, history, connect_timeout, wait, max_spin, reconnect)
        self._timeout_option = self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._zero_copy = zero_copy
        self._convert = True
        self._raises = False
        self._lookahead: Lookahead | None = None  # of the channel that is open
        self._frame: Frame | None = None
        if filename is not None:
            self.open(filename, apiPreference, params)

    def open(self, filename: str, apiPreference: int = 0, params: Sequence[int] = ()) -> bool:  # noqa: ARG002
        """Opens a channel in place of what was open before; says whether that went well. The reason why not is logged.

        Args:
            filename: the name of the channel.
            apiPreference: of no effect: there is one way to open a channel.
            params: pairs of a property and its value: CAP_PROP_OPEN_TIMEOUT_MSEC, CAP_PROP_READ_TIMEOUT_MSEC (0: no
                limit), CAP_PROP_CONVERT_RGB.

        Raises:
            TypeError: not a str; cameras by number are cv2's.
            ValueError: an odd number of params, or a negative timeout.
        """
        self.release()
        _check_is_a_name(filename)
        wanted = _pairs(params)
        self._timeout = self._timeout_option
        if CAP_PROP_READ_TIMEOUT_MSEC in wanted:
            self._timeout = _seconds(wanted[CAP_PROP_READ_TIMEOUT_MSEC])
        self._connect_timeout = self._options.connect_timeout
        if CAP_PROP_OPEN_TIMEOUT_MSEC in wanted:
            limit = _seconds(wanted[CAP_PROP_OPEN_TIMEOUT_MSEC])
            self._connect_timeout = math.inf if limit is None else limit
        self._convert = bool(wanted.get(CAP_PROP_CONVERT_RGB, True))
        if wanted.keys() - _OPEN_PARAMETERS:
            unknown = ", ".join(map(str, sorted(wanted.keys() - _OPEN_PARAMETERS)))
            return self._failed(
                UnsupportedProperty(f"a channel has no property {unknown} to be opened with; leave it out of params")
            )
        try:
            subscriber = Subscriber(filename, **vars(replace(self._options, connect_timeout=self._connect_timeout)))
        except InvalidName as error:
            return self._failed(InvalidName(f"{error}; {_FOR_OPENCV}"))
        except FAILURES as error:
            if isinstance(error, ChannelNotFound) and "." in filename and os.path.isfile(filename):
                what = f"{filename!r} is a file, and no channel of that name runs; {_FOR_OPENCV}"
                return self._failed(InvalidName(what))
            return self._failed(error)
        self._lookahead = Lookahead(subscriber)
        return True

    def isOpened(self) -> bool:
        """Whether open() went well, and release() was not called since; also at the end of the channel."""
        return self._lookahead is not None

    def release(self) -> None:
        """Leaves the channel. Images that were read stay valid. May be repeated."""
        lookahead, self._lookahead = self._lookahead, None
        self._frame = None
        if lookahead is not None:
            lookahead.subscriber.close()

    def grab(self) -> bool:
        """Fetches the next frame and holds it, unconverted, until the next grab(); says whether there was one.

        Grab from several cameras first and retrieve() then, and the frames are as close in time as can be.
        """
        self._frame = None
        lookahead = self._lookahead
        if lookahead is None:
            return self._failed(ChannelClosed("this VideoCapture is not open; call open() with the name of a channel"))
        try:
            self._frame = lookahead.next(self._timeout)
        except FAILURES as error:
            return self._failed(error)
        if self._frame is None:
            name = lookahead.subscriber.name
            return self._failed(ChannelClosed(f"the publisher of {name!r} has closed the channel"))
        return True

    # The image is None where the first is False; cv2's stubs hide that too, or every program would have to check twice.
    def retrieve(self, image: NDArray[Any] | None = None, flag: int = 0) -> tuple[bool, Any]:
        """Returns True and the image that was grabbed, or False and None; may be repeated.

        Args:
            image: an array to fill and return, if its shape and dtype are those of the image.
            flag: which array of the frame; those after the first are given as they were sent.

        Raises:
            TypeError, ValueError: not a writable array.
            NotInstalled: making BGR of this pixel format takes OpenCV, which is not installed.
        """
        _check_image(image)
        frame = self._frame
        if frame is None:
            return self._failed(NoFrameGrabbed("no frame was grabbed; call grab() and see whether it is True")), None
        arrays = list(frame.arrays.values())
        if not 0 <= flag < len(arrays):
            return self._failed(NoSuchArray(f"flag must be 0 to {len(arrays) - 1} for this frame, got {flag}")), None
        array = arrays[flag]
        picture = to_bgr.Picture(array.shape, array.dtype, frame.pixel_format)
        form = picture.form if self._convert and flag == 0 else None
        if form is not None and form != "BGR8":
            out = _target(image, (*picture.size, 3), array.dtype)
            to_bgr.convert(array, form, out)
        elif self._zero_copy and image is None:
            out = array
        else:
            out = _target(image, array.shape, array.dtype)
            np.copyto(out, array)
        return True, out

    def read(self, image: NDArray[Any] | None = None) -> tuple[bool, Any]:
        """grab(), then retrieve(image)."""
        _check_image(image)
        return self.retrieve(image) if self.grab() else (False, None)

    def get(self, propId: int) -> float:
        """Returns a property, CAP_PROP_UNKNOWN for one that a channel does not have or when none is open.

        CAP_PROP_FRAME_WIDTH, _HEIGHT and FOURCC (Video4Linux's name for the pixel format) are those of the frame last
        grabbed, before that of the newest in the channel; FPS is how fast the publisher has sent recently. Values that
        are not known yet are waited for: the first frame, for FPS the second, at most as long as read() waits; then
        it is 0 (FOURCC: CAP_PROP_UNKNOWN). No frame is lost by that: the next grab() takes the one that came.

        POS_FRAMES is the sequence number of the frame last grabbed, POS_MSEC its timestamp on CLOCK_MONOTONIC, as cv2
        has it for cameras. FRAME_COUNT is unknown; BUFFERSIZE is 1, or with every=True the channel's slots.
        """
        prop = operator.index(propId)
        lookahead = self._lookahead
        if lookahead is None or prop not in _PROPERTIES:
            return float(CAP_PROP_UNKNOWN)
        return float(_PROPERTIES[prop](self, lookahead))

    def set(self, propId: int, value: float) -> bool:
        """Sets CAP_PROP_CONVERT_RGB or CAP_PROP_READ_TIMEOUT_MSEC (0: no limit) and returns True; False for all else.

        CAP_PROP_BUFFERSIZE can be "set" to what it is: 1 asks for the newest frame, which is what one gets.
        """
        prop = operator.index(propId)
        _check_number(value)
        if self._lookahead is not None:
            if prop == CAP_PROP_CONVERT_RGB:
                self._convert = bool(value)
                return True
            if prop == CAP_PROP_READ_TIMEOUT_MSEC and value >= 0:
                self._timeout = _seconds(value)
                return True
            if prop == CAP_PROP_BUFFERSIZE and value == self.get(prop):
                return True
        return self._failed(
            UnsupportedProperty(f"property {prop} can't be set to {value} on this end of a channel"), logging.INFO
        )

    def getBackendName(self) -> str:
        """Returns "FRAMEBUS". Raises ChannelClosed when no channel is open, as cv2 does whatever the exception mode."""
        if self._lookahead is None:
            raise ChannelClosed(
                "this VideoCapture is not open, so it has no backend; call open() with the name of a channel"
            )
        return "FRAMEBUS"

    def setExceptionMode(self, enable: bool) -> None:
        """True: what went wrong is raised, as a framebus.Error, instead of False being returned."""
        self._raises = bool(enable)

    def getExceptionMode(self) -> bool:
        """Whether what goes wrong is raised."""
        return self._raises

    def __repr__(self) -> str:
        return f"<VideoCapture {'not open' if self._lookahead is None else repr(self._lookahead.subscriber.name)}>"

    def _failed(self, error: Error, level: int = logging.WARNING) -> bool:
        """Raises the error, or logs it if it is not how every loop ends; returns False."""
        if self._raises:
            raise error
        if not isinstance(error, ENDS):
            _log.log(level, "%s", str(error))  # a log that keeps the error itself would keep the channel open
        return False

    def _size(self, lookahead: Lookahead) -> tuple[int, int]:
        picture = lookahead.find_picture(self._timeout)
        return (0, 0) if picture is None else picture.size

    def _slots(self, lookahead: Lookahead) -> int:
        return lookahead.subscriber.statistics().slots if self._options.every else 1

    def _fourcc(self, lookahead: Lookahead) -> int:
        picture = lookahead.find_picture(self._timeout)
        code = None if picture is None else _FOURCC.get(picture.pixel_format or picture.form or "")
        return CAP_PROP_UNKNOWN if code is None else int.from_bytes(code.encode(), "little")


_PROPERTIES: Final[dict[int, Callable[[VideoCapture, Lookahead], float]]] = {
    CAP_PROP_POS_MSEC: lambda _, lookahead: lookahead.timestamp_ns / 1e6,
    CAP_PROP_POS_FRAMES: lambda _, lookahead: lookahead.seq,
    CAP_PROP_FRAME_WIDTH: lambda capture, lookahead: capture._size(lookahead)[1],
    CAP_PROP_FRAME_HEIGHT: lambda capture, lookahead: capture._size(lookahead)[0],
    CAP_PROP_FPS: lambda capture, lookahead: lookahead.find_rate_hz(capture._timeout),
    CAP_PROP_FOURCC: lambda capture, lookahead: capture._fourcc(lookahead),
    CAP_PROP_CONVERT_RGB: lambda capture, _: capture._convert,
    CAP_PROP_BUFFERSIZE: lambda capture, lookahead: capture._slots(lookahead),
    CAP_PROP_OPEN_TIMEOUT_MSEC: lambda capture, _: _milliseconds(capture._connect_timeout),
    CAP_PROP_READ_TIMEOUT_MSEC: lambda capture, _: _milliseconds(capture._timeout),
}


def _check_is_a_name(filename: object) -> None:
    if isinstance(filename, str):
        return
    running = ", ".join(repr(channel.name) for channel in channels()) or "none"
    raise TypeError(
        f"VideoCapture({filename!r}): expected the name of a channel, such as 'camera0', "
        f"got {type(filename).__name__}; {_FOR_OPENCV}; channels that run: {running}"
    )


def _check_number(value: object) -> None:
    if not isinstance(value, numbers.Real):
        raise TypeError(f"value must be a number, got {value!r} ({type(value).__name__})")


def _check_image(image: object) -> None:
    if image is not None and not isinstance(image, np.ndarray):
        raise TypeError(f"image must be a numpy array to fill, or None, got {type(image).__name__}")
    if image is not None and not image.flags.writeable:
        raise ValueError("image is a read-only array and can't be filled; pass a writable one, or None")


def _target(image: NDArray[Any] | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns the caller's array if the image fits it, and a new one if not."""
    return image if image is not None and image.shape == shape and image.dtype == dtype else np.empty(shape, dtype)


def _pairs(params: Sequence[int]) -> dict[int, int]:
    values = [operator.index(value) for value in params]
    if len(values) % 2:
        raise ValueError(f"params must be pairs of a property and its value, got {len(values)} numbers")
    return dict(zip(values[::2], values[1::2], strict=True))


def _seconds(milliseconds: float) -> float | None:
    if not milliseconds >= 0:
        raise ValueError(f"a timeout must be 0 (no limit) or more milliseconds, got {milliseconds}")
    return milliseconds / 1000 if milliseconds else None


def _milliseconds(seconds: float | None) -> float:
    return 0 if seconds is None or math.isinf(seconds) else seconds * 1000
