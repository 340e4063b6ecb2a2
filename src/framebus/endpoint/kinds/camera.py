# SPDX-License-Identifier: Apache-2.0
"""camera:N: the pictures of a camera that the system knows, by OpenCV, or by PyAV from Video4Linux (backend=v4l2).

N is the number of the camera, or the path of its device (camera:/dev/video0). Pictures are BGR8 and each has an array
of its own. A thread takes them as they come, so a wait obeys its timeout and Ctrl-C whatever the driver does; where
`buffer` pictures wait already the oldest is given up and counted in statistics().dropped. The timestamps are when the
driver has handed a picture over. width, height and fps are wishes: what the camera makes of them shows in the frames.
The pace of the last few pictures says when `before_frame` is called.

When a camera delivers no more pictures, for example unplugged, recv() raises EndpointError after the last picture.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sys
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol

from numpy.typing import NDArray

from framebus._util import lifetime
from framebus.endpoint import BaseSource, Deadline, Endpoint, spec
from framebus.endpoint.pace import WARM_UP_S, Pace
from framebus.endpoint.spec import ONE_IMAGE
from framebus.errors import EndpointError, InvalidUrl
from framebus.frames.frame import Frame

if TYPE_CHECKING:
    import cv2
    from av.container import InputContainer

_SLICE_S = 0.5  # so often a wait without end looks around
_CLOSE_S = 2.0  # for the picture that a driver is just waiting for


class Device(Protocol):
    """What takes pictures; used by one thread."""

    def read(self) -> NDArray[Any]:
        """The next picture, in a new array. Raises EOFError, with the reason, when there is none any more."""

    def release(self) -> None:
        """Closes the camera."""


class _Taken(NamedTuple):
    image: NDArray[Any]
    timestamp_ns: int
    wall_time_ns: int


class CameraSource(BaseSource):
    """The newest pictures of a camera."""

    def __init__(self, name: str, device: Device, buffer: int) -> None:
        """Begins to take pictures; `device` is released by close()."""
        super().__init__(f"camera:{name}")
        self._device, self._buffer = device, buffer
        self._taken: deque[_Taken] = deque()
        self._pace = Pace()
        self._failure: str | None = None
        self._last_seq = 0
        lifetime.keep_in_children(self)  # drivers and decoders have threads
        self._thread = threading.Thread(target=self._take, name=self.url, daemon=True)
        self._thread.start()

    def _make_locks(self) -> None:
        super()._make_locks()
        self._news = threading.Condition()

    def _take(self) -> None:
        end = "it was closed"
        try:
            while not self._closed:
                image = self._device.read()
                taken = _Taken(image, time.monotonic_ns(), time.time_ns())
                with self._news:
                    if len(self._taken) == self._buffer:
                        self._taken.popleft()
                        self._count(dropped=1)
                    self._taken.append(taken)
                    self._pace.observe(taken.timestamp_ns)
                    self._news.notify()
        except EOFError as error:
            end = str(error)
        except Exception as error:  # recv() raises it
            end = f"{type(error).__name__}: {error}"
        finally:
            with contextlib.suppress(Exception):  # it is gone already, or never was
                self._device.release()
            with self._news:
                self._failure = end
                self._news.notify_all()

    def _receive(self, deadline: Deadline) -> Frame:
        with self._news:
            while not self._taken:
                self._check_open()
                if self._failure is None and not self._thread.is_alive():
                    self._failure = "it was opened by the parent of this process"
                if self._failure is not None:
                    raise EndpointError(
                        f"{self.url!r} delivers no more pictures: {self._failure}; see whether it is plugged in, and "
                        "open it again"
                    )
                left = deadline.left()
                if left == 0:
                    raise deadline.fail(f"{self.url!r} gave no picture")
                pause_s = _SLICE_S if left is None else min(left, _SLICE_S)
                before_frame = self.before_frame
                if before_frame is not None and not self._pace.is_warm:
                    warm_up_in_s = self._pace.due_s() - WARM_UP_S
                    if warm_up_in_s <= 0:
                        self._pace.is_warm = True
                        before_frame()  # with the lock: a picture that comes meanwhile is added after it
                        continue
                    pause_s = min(pause_s, warm_up_in_s)
                self._news.wait(pause_s)
            self._check_open()
            taken = self._taken.popleft()
            self._last_seq += 1
            seq = self._last_seq
        return Frame(
            {"image": taken.image},
            seq=seq,
            timestamp_ns=taken.timestamp_ns,
            wall_time_ns=taken.wall_time_ns,
            pixel_format="BGR8",
        )

    def _cancel(self) -> None:
        with self._news:
            self._taken.clear()
            self._news.notify_all()

    def _close(self) -> None:
        self._thread.join(_CLOSE_S)


class OpenCvDevice:
    """A cv2.VideoCapture that is open."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture

    def read(self) -> NDArray[Any]:
        """The next picture, as OpenCV makes it: BGR."""
        there, image = self._capture.read()
        if not there:
            raise EOFError("OpenCV got none")
        return image

    def release(self) -> None:
        """Closes the camera."""
        self._capture.release()


class PyAvDevice:
    """A container of PyAV that is open."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._frames = container.decode(video=0)

    def read(self) -> NDArray[Any]:
        """The next picture, converted to BGR."""
        frame = next(self._frames, None)
        if frame is None:
            raise EOFError("PyAV got none")
        image: NDArray[Any] = frame.to_ndarray(format="bgr24")
        return image

    def release(self) -> None:
        """Closes the camera."""
        self._container.close()


def _open_opencv(name: str, width: int | None, height: int | None, fps: float | None) -> Device:
    import cv2

    capture = cv2.VideoCapture(int(name) if name.isdecimal() else name, _opencv_api())
    if not capture.isOpened():
        raise EndpointError(_cannot_open(name, "OpenCV can't open it"))
    for wish, value in (
        (cv2.CAP_PROP_FRAME_WIDTH, width),
        (cv2.CAP_PROP_FRAME_HEIGHT, height),
        (cv2.CAP_PROP_FPS, fps),
    ):
        if value is not None:
            capture.set(wish, value)
    return OpenCvDevice(capture)


def _open_v4l2(name: str, width: int | None, height: int | None, fps: float | None) -> Device:
    try:
        import av
    except ModuleNotFoundError as error:
        raise EndpointError(
            f'camera: with backend=v4l2 needs PyAV ({error}); run: pip install "framebus[video]"'
        ) from error
    options = {"framerate": f"{fps:g}"} if fps is not None else {}
    if width is not None and height is not None:
        options["video_size"] = f"{width}x{height}"
    try:
        return PyAvDevice(av.open(_path(name), format="video4linux2,v4l2", options=options))
    except (av.FFmpegError, ValueError, OSError) as error:
        raise EndpointError(_cannot_open(name, str(error))) from error


def _opencv_api() -> int:
    """The one that takes nothing but cameras, where OpenCV would try files and streams as well."""
    import cv2

    return {"linux": cv2.CAP_V4L2}.get(sys.platform, cv2.CAP_ANY)


def _path(name: str) -> str:
    return f"/dev/video{name}" if name.isdecimal() else name


def _cannot_open(name: str, why: str) -> str:
    """Says which camera, what is the matter with it, which ones there are, and what to do."""
    path = _path(name)
    there = ", ".join(sorted(glob.glob("/dev/video*"))) or "no /dev/video*"
    advice = "use another of these, or plug it in"
    if not os.path.exists(path):
        why = "there is no such device"
        advice += "; in a container pass it on (--device); without a camera try video:FILE or pattern:gradient"
    elif not os.access(path, os.R_OK | os.W_OK):
        why = "this user may not use it"
        advice = "join the group that may, usually video, and log in again"
    else:
        advice = "close the program that has it, or use another of these"
    return f"camera {name} ({path}) can't be opened: {why}; there are: {there}; {advice}"


def open_source(
    name: str,
    *,
    width: Annotated[int | None, "columns to ask the camera for"] = None,
    height: Annotated[int | None, "rows to ask the camera for"] = None,
    fps: Annotated[float | None, "frames per second to ask the camera for"] = None,
    buffer: Annotated[int, "pictures that may wait; 1 for the newest only"] = 4,
    backend: Annotated[Literal["opencv", "v4l2"], "OpenCV, or PyAV from Video4Linux"] = "opencv",
) -> CameraSource:
    """Opens the camera. Raises EndpointError if it can't be, with the ones that there are."""
    if not name.isdecimal() and not os.path.isabs(name):
        raise InvalidUrl(f"camera:{name}: expected a number or the path of a device: camera:0 or camera:/dev/video0")
    for option, value in (("width", width), ("height", height), ("fps", fps), ("buffer", buffer)):
        if value is not None and not 0 < value < 1 << 20:
            raise InvalidUrl(f"camera:{name}: {option} must be above 0 and below {1 << 20}, got {value!r}")
    if (width is None) != (height is None):
        raise InvalidUrl(f"camera:{name}: width and height belong together; say both or neither")
    opener = _open_opencv if backend == "opencv" else _open_v4l2
    return CameraSource(name, opener(name, width, height, fps), buffer)


ENDPOINTS = {
    "camera": Endpoint(
        scheme="camera",
        summary="cameras that are plugged in",
        url_syntax="camera:N or camera:/dev/videoN",
        source=open_source,
        capabilities=replace(
            ONE_IMAGE,
            dtypes="uint8 with 3 channels",
            accepts=spec.images(uint8=[(3,)]),
            timestamps=True,
            delivery="latest",
        ),
        needs=("cv2",),
        extra="opencv",
    ),
}
