# SPDX-License-Identifier: Apache-2.0
"""framebus hands image frames from one program to others on the same machine, through named shared memory.

    with framebus.Publisher("camera0") as pub:      # program A
        pub.send(image)

    with framebus.Subscriber("camera0") as sub:     # program B
        frame = sub.recv(timeout=1.0)

This module re-exports the public names and does nothing else. Layers, from the bottom: errors and the native _core;
statistics, metadata, pixel_format; convert, frame, end, loan, launch; publisher, subscriber, registry; this.
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
    ProgramNotFound as ProgramNotFound,
    PublisherDied as PublisherDied,
    SystemFailure as SystemFailure,
    Timeout as Timeout,
    TooManyHeld as TooManyHeld,
)
from framebus.frame import Frame as Frame
from framebus.launch import Launch as Launch, Launched as Launched, Launcher as Launcher
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

__version__ = "0.1.0"
