# SPDX-License-Identifier: Apache-2.0
"""Sources and sinks: what they promise, and what an endpoint of a new mechanism is written against.

A third party's endpoint needs this module alone: it derives from BaseSource and BaseSink, declares an Endpoint, and
names it in the entry-point group "framebus.endpoints".
"""

from framebus._core import MAX_ARRAYS, MAX_DIMENSIONS, MAX_NAME_BYTES
from framebus._util.deadline import Deadline
from framebus._util.public import present
from framebus.endpoint.base import (
    BaseSink,
    BaseSource,
    close_when_left,
)
from framebus.endpoint.spec import Capabilities, Endpoint, EndpointStatistics, Sink, Source
from framebus.frames.outgoing import Arrays, OutgoingFrame

__all__ = [
    "MAX_ARRAYS",
    "MAX_DIMENSIONS",
    "MAX_NAME_BYTES",
    "Arrays",
    "BaseSink",
    "BaseSource",
    "Capabilities",
    "Deadline",
    "Endpoint",
    "EndpointStatistics",
    "OutgoingFrame",
    "Sink",
    "Source",
    "close_when_left",
]

__dir__ = present(
    __name__,
    __all__,
    {"Abilities": "Capabilities", "EndStatistics": "EndpointStatistics", "Outgoing": "OutgoingFrame"},
)
