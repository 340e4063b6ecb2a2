# SPDX-License-Identifier: Apache-2.0
"""Sources and sinks: what they promise, and what an endpoint of a new mechanism is written against.

A third party's endpoint needs this module alone: it derives from BaseSource and BaseSink, declares an Endpoint, and
names it in the entry-point group "framebus.endpoints".
"""

from framebus.deadline import Deadline as Deadline
from framebus.endpoint.base import (
    BaseSink as BaseSink,
    BaseSource as BaseSource,
    EndStatistics as EndStatistics,
    close_when_left as close_when_left,
)
from framebus.endpoint.spec import Abilities as Abilities, Endpoint as Endpoint, Sink as Sink, Source as Source
from framebus.outgoing import (
    MAX_ARRAYS as MAX_ARRAYS,
    MAX_DIMENSIONS as MAX_DIMENSIONS,
    MAX_NAME_BYTES as MAX_NAME_BYTES,
    Arrays as Arrays,
    Outgoing as Outgoing,
)
