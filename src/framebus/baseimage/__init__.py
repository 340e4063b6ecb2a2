# SPDX-License-Identifier: Apache-2.0
"""The original layout: one image, one slot, one event, as existing programs have it. For new ones use a channel.

    with framebus.baseimage.Writer("BaseImage") as writer:     # one program
        writer.send(image)

    with framebus.baseimage.Reader("BaseImage") as reader:     # another one
        frame = reader.recv(timeout=1.0)

Either program may be one that does not use framebus. In memory there are int32 length, width, height and bits
per pixel, little-endian, then the pixels at byte 16; an event `<NAME>Mutex` says that there is something new.

What can be promised: a Reader never crashes because of what is in the memory, and never returns a frame that it saw
change while it copied, unless it says so. What cannot, since there is no room for a lock or a number: that a frame is
whole if its writer was stopped in the middle of it; that none was missed; that none comes twice. With one waiting
Writer and one Reader with acknowledge="after" all three hold. docs/baseimage.md has the reasons.

This package re-exports the public names. Layers, from the bottom: layout, trust, place; linux; end; writer, reader.
"""

from framebus._util.public import present
from framebus.baseimage.layout import CAPACITY
from framebus.baseimage.reader import Reader, ReaderStatistics
from framebus.baseimage.writer import Writer, WriterStatistics

__all__ = [
    "CAPACITY",
    "Reader",
    "ReaderStatistics",
    "Writer",
    "WriterStatistics",
]

__dir__ = present(__name__, __all__)
