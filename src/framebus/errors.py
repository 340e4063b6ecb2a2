# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong with a channel, each with a class of its own.

All derive from Error. Where Python has a class for the same idea they derive from that too, so that generic code works:
ChannelNotFound is a LookupError, Timeout a TimeoutError, InvalidName a ValueError. Arguments out of range are plain
ValueErrors, arguments of a wrong type plain TypeErrors.

SystemFailure, PermissionDenied and ProgramNotFound are made as OSError is, of errno, message and filename, and have
`errno`, `strerror` (the whole message) and `filename` as it has. filename is the path that the error is about, None
where there is none.
"""

__all__ = [
    "ChannelClosed",
    "ChannelFull",
    "ChannelFullTimeout",
    "ChannelInUse",
    "ChannelNotFound",
    "CorruptChannel",
    "EndpointError",
    "Error",
    "ForkedChild",
    "FrameReleased",
    "FrameTooLarge",
    "InvalidName",
    "InvalidUrl",
    "LayoutMismatch",
    "LoanEnded",
    "NoFrameGrabbed",
    "NoSuchArray",
    "NotInstalled",
    "PermissionDenied",
    "ProgramNotFound",
    "PublisherDied",
    "SystemFailure",
    "Timeout",
    "TooManyHeld",
    "TooManySlots",
    "TooManySubscribers",
    "UnsupportedProperty",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class Error(Exception):
    """Base class of all errors of framebus."""


class ChannelNotFound(Error, LookupError):
    """No program publishes a channel of this name."""


class ChannelInUse(Error):
    """The channel already has a publisher; there can be only one."""


class ChannelClosed(Error):
    """The publisher has closed the channel, or this end of it has been closed."""


class PublisherDied(Error):
    """The publisher ended without closing the channel, and reconnect=False asked to be told."""


class Timeout(Error, TimeoutError):
    """Nothing came, or nothing could be sent, within the timeout."""


class ChannelFull(Error):
    """A subscriber that wants every frame is behind, and on_full="raise"."""


class ChannelFullTimeout(ChannelFull, Timeout):
    """A subscriber that wants every frame was behind for all of the timeout, and on_full="block"."""


class TooManyHeld(Error):
    """A subscriber holds as many frames as its hold= allows and asked for one more."""


class TooManySubscribers(Error):
    """The channel has 64 subscribers, the most a channel can have."""


class TooManySlots(Error):
    """The channel would need more slots than a channel can have."""


class FrameTooLarge(Error):
    """There is no room in shared memory for the frame. The channel keeps working as it was."""


class LayoutMismatch(Error):
    """The channel was made by a release of framebus, or a machine, that lays memory out differently."""


class CorruptChannel(Error):
    """Something in the shared memory contradicts itself; what was read has not been used."""


class EndpointError(Error):
    """A source or sink other than a channel failed."""


class InvalidUrl(EndpointError, ValueError):
    """Not the URL of a source or a sink: unknown scheme, unknown option, or a value that is not of its type."""


class InvalidName(Error, ValueError):
    """Not a channel name: 1 to 128 of A-Z a-z 0-9 . _ - beginning with a letter or digit."""


class LoanEnded(Error, ValueError):
    """A loan was used after the block in which it was taken."""


class FrameReleased(Error, ValueError):
    """A frame was used after its release()."""


class ForkedChild(Error):
    """What one process has opened was used in a forked child of it."""


class UnsupportedProperty(Error):
    """A property that a VideoCapture does not have, or that can't be set to this value."""


class NoFrameGrabbed(Error):
    """retrieve() without a grab() before it that returned True."""


class NoSuchArray(Error, IndexError):
    """retrieve() of an array that the frame does not have."""


class NotInstalled(Error):
    """Something that the call needs is not installed; the message says how to install it."""


class _SystemError(Error, OSError):
    """An OSError whose message is complete: str() adds neither number nor path to it."""

    def __str__(self) -> str:
        return super().__str__() if self.strerror is None else self.strerror


class PermissionDenied(_SystemError, PermissionError):
    """The channel belongs to a user who does not share it. errno is EACCES, EPERM or EROFS."""


class ProgramNotFound(_SystemError, FileNotFoundError):
    """There is no such program to start, or it can't be executed. errno is ENOENT or EACCES."""


class SystemFailure(_SystemError):
    """The operating system refused: no descriptors left, no memory, no /dev/shm. errno says why."""
