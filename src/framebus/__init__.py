# SPDX-License-Identifier: Apache-2.0
"""framebus hands image frames from one program to others on the same machine, through named shared memory.

    with framebus.Publisher("camera0") as pub:      # program A
        pub.send(image)

    with framebus.Subscriber("camera0") as sub:     # program B
        frame = sub.recv(timeout=1.0)

This module re-exports the public names and does nothing else. The layers below it are a table in
tests/unit/test_layers.py.

`framebus.endpoints` is a function. The package of that name is imported here first, so that it does not take the
function's place later; it is reached by `from framebus.endpoints import ...`.
"""

import framebus.endpoints  # noqa: F401
from framebus.cpp import cmake_dir as cmake_dir, get_include as get_include, pkgconfig_dir as pkgconfig_dir
from framebus.endpoint import (
    Abilities as Abilities,
    BaseSink as BaseSink,
    BaseSource as BaseSource,
    Deadline as Deadline,
    Endpoint as Endpoint,
    EndStatistics as EndStatistics,
    Outgoing as Outgoing,
    Sink as Sink,
    Source as Source,
)
from framebus.errors import (
    ChannelClosed as ChannelClosed,
    ChannelFull as ChannelFull,
    ChannelInUse as ChannelInUse,
    ChannelNotFound as ChannelNotFound,
    CorruptChannel as CorruptChannel,
    EndpointError as EndpointError,
    Error as Error,
    FrameTooLarge as FrameTooLarge,
    InvalidName as InvalidName,
    InvalidUrl as InvalidUrl,
    LayoutMismatch as LayoutMismatch,
    LoanEnded as LoanEnded,
    PermissionDenied as PermissionDenied,
    ProgramNotFound as ProgramNotFound,
    PublisherDied as PublisherDied,
    SystemFailure as SystemFailure,
    Timeout as Timeout,
    TooManyHeld as TooManyHeld,
)
from framebus.frame import Frame as Frame
from framebus.launch import Launch as Launch, Launched as Launched, Launcher as Launcher
from framebus.listing import (
    ArrayInfo as ArrayInfo,
    ChannelInfo as ChannelInfo,
    Participant as Participant,
    channels as channels,
)
from framebus.loan import Loan as Loan
from framebus.publisher import Publisher as Publisher
from framebus.registry import (
    EndpointInfo as EndpointInfo,
    endpoints as endpoints,
    sink as sink,
    source as source,
)
from framebus.relay import RelayReport as RelayReport, relay as relay
from framebus.several import wait as wait
from framebus.statistics import Statistics as Statistics
from framebus.subscriber import Subscriber as Subscriber
from framebus.video_capture import (
    CAP_PROP_BUFFERSIZE as CAP_PROP_BUFFERSIZE,
    CAP_PROP_CONVERT_RGB as CAP_PROP_CONVERT_RGB,
    CAP_PROP_FOURCC as CAP_PROP_FOURCC,
    CAP_PROP_FPS as CAP_PROP_FPS,
    CAP_PROP_FRAME_COUNT as CAP_PROP_FRAME_COUNT,
    CAP_PROP_FRAME_HEIGHT as CAP_PROP_FRAME_HEIGHT,
    CAP_PROP_FRAME_WIDTH as CAP_PROP_FRAME_WIDTH,
    CAP_PROP_OPEN_TIMEOUT_MSEC as CAP_PROP_OPEN_TIMEOUT_MSEC,
    CAP_PROP_POS_FRAMES as CAP_PROP_POS_FRAMES,
    CAP_PROP_POS_MSEC as CAP_PROP_POS_MSEC,
    CAP_PROP_READ_TIMEOUT_MSEC as CAP_PROP_READ_TIMEOUT_MSEC,
    CAP_PROP_UNKNOWN as CAP_PROP_UNKNOWN,
    VideoCapture as VideoCapture,
)

__version__ = "0.1.0"
