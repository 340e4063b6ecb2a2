# SPDX-License-Identifier: Apache-2.0
"""framebus hands image frames from one program to others on the same machine, through named shared memory.

    with framebus.Publisher("camera0") as pub:      # one program
        pub.send(image)

    with framebus.Subscriber("camera0") as sub:     # another one
        frame = sub.recv(timeout=1.0)

This module re-exports the public names and does nothing else. The layers below it are a table in
tests/unit/test_layers.py.
"""

from framebus._util.cpp_paths import cmake_dir, get_include, pkgconfig_dir
from framebus._util.public import present
from framebus.channel.info import (
    ArrayInfo,
    ChannelInfo,
    Participant,
    channels,
)
from framebus.channel.loan import Loan
from framebus.channel.publisher import Publisher
from framebus.channel.sigbus import handle_sigbus
from framebus.channel.statistics import Statistics
from framebus.channel.subscriber import Subscriber
from framebus.channel.wait import wait
from framebus.endpoint import (
    BaseSink,
    BaseSource,
    Capabilities,
    Deadline,
    Endpoint,
    EndpointStatistics,
    OutgoingFrame,
    Sink,
    Source,
)
from framebus.endpoint.registry import (
    EndpointInfo,
    endpoints,
    sink,
    source,
)
from framebus.endpoint.relay import RelayReport, relay
from framebus.errors import (
    ChannelClosed,
    ChannelFull,
    ChannelFullTimeout,
    ChannelInUse,
    ChannelNotFound,
    CorruptChannel,
    EndpointError,
    Error,
    ForkedChild,
    FrameReleased,
    FrameTooLarge,
    InvalidName,
    InvalidUrl,
    LayoutMismatch,
    LoanEnded,
    NoFrameGrabbed,
    NoSuchArray,
    NotInstalled,
    PermissionDenied,
    ProgramNotFound,
    PublisherDied,
    SystemFailure,
    Timeout,
    TooManyHeld,
    TooManySlots,
    TooManySubscribers,
    UnsupportedProperty,
)
from framebus.frames.frame import Frame
from framebus.launch import Launch, Launched, Launcher
from framebus.opencv.video_capture import (
    CAP_PROP_BUFFERSIZE,
    CAP_PROP_CONVERT_RGB,
    CAP_PROP_FOURCC,
    CAP_PROP_FPS,
    CAP_PROP_FRAME_COUNT,
    CAP_PROP_FRAME_HEIGHT,
    CAP_PROP_FRAME_WIDTH,
    CAP_PROP_OPEN_TIMEOUT_MSEC,
    CAP_PROP_POS_FRAMES,
    CAP_PROP_POS_MSEC,
    CAP_PROP_READ_TIMEOUT_MSEC,
    CAP_PROP_UNKNOWN,
    VideoCapture,
)

__version__ = "0.1.0"

__all__ = [
    "CAP_PROP_BUFFERSIZE",
    "CAP_PROP_CONVERT_RGB",
    "CAP_PROP_FOURCC",
    "CAP_PROP_FPS",
    "CAP_PROP_FRAME_COUNT",
    "CAP_PROP_FRAME_HEIGHT",
    "CAP_PROP_FRAME_WIDTH",
    "CAP_PROP_OPEN_TIMEOUT_MSEC",
    "CAP_PROP_POS_FRAMES",
    "CAP_PROP_POS_MSEC",
    "CAP_PROP_READ_TIMEOUT_MSEC",
    "CAP_PROP_UNKNOWN",
    "ArrayInfo",
    "BaseSink",
    "BaseSource",
    "Capabilities",
    "ChannelClosed",
    "ChannelFull",
    "ChannelFullTimeout",
    "ChannelInUse",
    "ChannelInfo",
    "ChannelNotFound",
    "CorruptChannel",
    "Deadline",
    "Endpoint",
    "EndpointError",
    "EndpointInfo",
    "EndpointStatistics",
    "Error",
    "ForkedChild",
    "Frame",
    "FrameReleased",
    "FrameTooLarge",
    "InvalidName",
    "InvalidUrl",
    "Launch",
    "Launched",
    "Launcher",
    "LayoutMismatch",
    "Loan",
    "LoanEnded",
    "NoFrameGrabbed",
    "NoSuchArray",
    "NotInstalled",
    "OutgoingFrame",
    "Participant",
    "PermissionDenied",
    "ProgramNotFound",
    "Publisher",
    "PublisherDied",
    "RelayReport",
    "Sink",
    "Source",
    "Statistics",
    "Subscriber",
    "SystemFailure",
    "Timeout",
    "TooManyHeld",
    "TooManySlots",
    "TooManySubscribers",
    "UnsupportedProperty",
    "VideoCapture",
    "__version__",
    "channels",
    "cmake_dir",
    "endpoints",
    "get_include",
    "handle_sigbus",
    "pkgconfig_dir",
    "relay",
    "sink",
    "source",
    "wait",
]

__dir__ = present(
    __name__,
    __all__,
    {"Abilities": "Capabilities", "EndStatistics": "EndpointStatistics", "Outgoing": "OutgoingFrame"},
)
