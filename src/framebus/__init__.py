# SPDX-License-Identifier: Apache-2.0
"""framebus hands image frames from one program to others on the same machine, through named shared memory.

    with framebus.Publisher("camera0") as pub:      # program A
        pub.send(image)

    with framebus.Subscriber("camera0") as sub:     # program B
        frame = sub.recv(timeout=1.0)

This module re-exports the public names and does nothing else. Layers, from the bottom: errors and the native _core;
statistics, metadata, pixel_format; convert, frame, end, loan, bgr; publisher, subscriber, registry; video_capture;
this.
"""

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
    LayoutMismatch as LayoutMismatch,
    LoanEnded as LoanEnded,
    PermissionDenied as PermissionDenied,
    PublisherDied as PublisherDied,
    SystemFailure as SystemFailure,
    Timeout as Timeout,
    TooManyHeld as TooManyHeld,
)
from framebus.frame import Frame as Frame
from framebus.loan import Loan as Loan
from framebus.publisher import Publisher as Publisher
from framebus.registry import (
    ArrayInfo as ArrayInfo,
    ChannelInfo as ChannelInfo,
    Participant as Participant,
    channels as channels,
)
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
