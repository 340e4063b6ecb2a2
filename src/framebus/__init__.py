# SPDX-License-Identifier: Apache-2.0
"""framebus hands image frames from one program to others on the same machine, through named shared memory.

    with framebus.Publisher("camera0") as pub:      # program A
        pub.send(image)

    with framebus.Subscriber("camera0") as sub:     # program B
        frame = sub.recv(timeout=1.0)

This module re-exports the public names and does nothing else. Layers, from the bottom: errors and the native _core;
statistics, metadata, pixel_format, url; convert, frame, end, loan, outgoing; publisher, subscriber, listing, endpoint;
wire, registry; relay; endpoints; this.

`framebus.endpoints` is a function. The package of that name is imported here first, so that it does not take the
function's place later; it is reached by `from framebus.endpoints import ...`.
"""

import framebus.endpoints  # noqa: F401
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
    PublisherDied as PublisherDied,
    SystemFailure as SystemFailure,
    Timeout as Timeout,
    TooManyHeld as TooManyHeld,
)
from framebus.frame import Frame as Frame
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
from framebus.statistics import Statistics as Statistics
from framebus.subscriber import Subscriber as Subscriber

__version__ = "0.1.0"
