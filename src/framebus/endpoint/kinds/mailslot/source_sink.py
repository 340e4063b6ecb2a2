# SPDX-License-Identifier: Apache-2.0
"""Source and sink of a mailslot: the box that receives datagrams, and the sink that sends them to all boxes.

The pipes that come with the greetings tell a box which sinks are gone. It draws conclusions only if it was empty after
the pipe had hung up, so that everything that a sender had sent is received first.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import secrets
import select
import socket
import termios
from dataclasses import dataclass

from framebus._util import fds
from framebus.endpoint import BaseSink, BaseSource, Capabilities, Deadline, OutgoingFrame, wire
from framebus.endpoint.kinds.mailslot import datagram as datagrams, directory
from framebus.errors import ChannelClosed, EndpointError, PublisherDied
from framebus.frames.frame import Frame

MAX_SENDERS = 64
LOOK_S = 0.2  # how long a wait may overlook that another thread has closed the source


@dataclass
class _Sender:
    """A sink that has greeted: the pipe that tells when it is gone, and its last frame."""

    stream: int
    pipe: int
    number: int


class MailslotSource(BaseSource):
    """A box."""

    def __init__(self, name: str, max_bytes: int, endless: bool) -> None:
        """Makes the box. Raises EndpointError, PermissionDenied."""
        super().__init__(f"mailslot:{name}")
        self._max_bytes = max_bytes
        self._endless = endless
        self._senders: dict[int, _Sender] = {}  # by stream
        self._last_exit: type[ChannelClosed | PublisherDied] | None = None  # how the last one left
        self._box, self._path = directory.make_box(name)
        self._poll = select.poll()
        self._poll.register(self._box, select.POLLIN)

    def _receive(self, deadline: Deadline) -> Frame:
        seen: list[tuple[int, int]] | None = None
        while True:
            self._check_open()
            try:
                datagram = self._take()
            except BlockingIOError:
                if seen is not None:
                    self._notice({pipe for pipe, event in seen if event & select.POLLHUP})
                    if deadline.is_over:
                        raise deadline.fail(f"no frame came into {self.url!r}") from None
                seen = self._poll.poll(deadline.left_ms(LOOK_S))
                continue
            frame = None if datagram is None else self._open(datagram)
            if frame is not None:
                return frame
            if datagram is None and deadline.is_over:
                raise deadline.fail(f"nothing but garbage came into {self.url!r}")

    def _take(self) -> datagrams.Datagram | None:
        """Takes the next datagram; None for something else. Raises BlockingIOError if the box is empty."""
        data, descriptors, flags, _ = socket.recv_fds(
            self._box, datagrams.DATAGRAM.size + 1, 1, socket.MSG_CMSG_CLOEXEC
        )
        descriptors = [fds.lift(descriptor) for descriptor in descriptors]
        try:
            return datagrams.read(data, descriptors)
        except wire.Malformed:
            for descriptor in descriptors:
                os.close(descriptor)
            if not descriptors and flags & socket.MSG_CTRUNC:
                raise EndpointError(
                    f"a frame that came into {self.url!r} is lost: this program has no descriptors left (ulimit -n); "
                    "each frame that it keeps takes one"
                ) from None
            self._count(refused=1)
            return None

    def _open(self, datagram: datagrams.Datagram) -> Frame | None:
        """Reads a datagram; returns the frame in it, if it is one."""
        try:
            if datagram.kind == datagrams.GREETING:
                self._greet(datagram)
                return None
            return self._frame_in(datagram)
        except wire.Malformed:
            self._count(refused=1)
            return None
        finally:
            os.close(datagram.descriptor)

    def _greet(self, datagram: datagrams.Datagram) -> None:
        if datagram.stream in self._senders or len(self._senders) == MAX_SENDERS:
            raise wire.Malformed(f"a greeting of {datagram.stream:x}, with {len(self._senders)} senders known")
        sender = _Sender(datagram.stream, fds.dup(datagram.descriptor), datagram.number)
        self._senders[datagram.stream] = sender
        self._poll.register(sender.pipe, 0)  # hanging up is told without being asked for

    def _frame_in(self, datagram: datagrams.Datagram) -> Frame:
        sender = self._senders.get(datagram.stream)
        if sender is None or datagram.number <= sender.number:
            raise wire.Malformed(
                f"frame {datagram.number} of {datagram.stream:x}, which did not greet or had sent it already"
            )
        try:
            frame = datagrams.open_memfd(datagram.descriptor, datagram.size, self._max_bytes)
        except OSError as error:
            raise EndpointError(f"a frame that came into {self.url!r} is lost: it can't be mapped: {error}") from error
        self._count(dropped=datagram.number - sender.number - 1)
        sender.number = datagram.number
        return frame

    def _notice(self, hung_up: set[int]) -> None:
        """Forgets the senders whose pipes had hung up, while the box is empty. Raises when none is left.

        Of several, it is unknown which went last: if one has closed, it counts as the last.
        """
        ends: set[type[ChannelClosed | PublisherDied]] = set()
        for sender in [sender for sender in self._senders.values() if sender.pipe in hung_up]:
            asked = select.poll()
            asked.register(sender.pipe, select.POLLIN)
            closed = any(event & select.POLLIN for _, event in asked.poll(0))
            ends.add(ChannelClosed if closed else PublisherDied)
            self._forget(sender)
        if ends:
            self._last_exit = ChannelClosed if ChannelClosed in ends else PublisherDied
        if self._senders or self._endless or self._last_exit is None:
            return
        if self._last_exit is ChannelClosed:
            raise ChannelClosed(f"all senders to {self.url!r} have closed it; what they sent has been received")
        raise PublisherDied(f"the last sender to {self.url!r} has ended without closing it")

    def _forget(self, sender: _Sender) -> None:
        del self._senders[sender.stream]
        self._poll.unregister(sender.pipe)
        os.close(sender.pipe)

    def _close(self) -> None:
        self._box.close()
        directory.remove_box(self._path)
        for sender in list(self._senders.values()):
            self._forget(sender)


class MailslotSink(BaseSink):
    """A sender to all boxes of one name."""

    capabilities = Capabilities(delivery="latest", receivers="many", reconnects=True)

    def __init__(self, name: str, depth: int) -> None:
        """Greets the boxes that are there. Raises PermissionDenied."""
        super().__init__(f"mailslot:{name}")
        self._name = name
        self._depth = depth
        self._stream = secrets.randbits(64)
        self._number = 0
        self._boxes: dict[str, socket.socket] = {}
        self._datagram_bytes = _bytes_of_a_datagram()
        self._pipe, self._kept_writer = fds.pipe()
        self._look()

    def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - a full box is left out
        self._look()
        self._number += 1
        if not self._boxes:
            return
        try:
            memory, size = datagrams.make_memfd(*wire.encode(frame))
        except OSError as error:
            raise EndpointError(f"no memory for a frame to {self.url!r}: {error}") from error
        try:
            datagram = datagrams.write(datagrams.FRAME, self._stream, self._number, size)
            for box_id, box in list(self._boxes.items()):
                if self._is_full(box) or not self._post(box_id, box, datagram, memory):
                    self._count(dropped=1)
        finally:
            os.close(memory)

    def _look(self) -> None:
        """Greets the boxes that are new, and forgets those that are gone."""
        there = directory.box_ids(self._name)
        for box_id in self._boxes.keys() - there:
            self._boxes.pop(box_id).close()
        for box_id in there:
            if box_id not in self._boxes:
                self._join(box_id)

    def _join(self, box_id: str) -> None:
        # The greeting has a socket of its own, so that it never counts as one of the frames that wait.
        greets, sends = (fds.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
        with greets:
            greets.setblocking(False)
            sends.setblocking(False)
            greeting = datagrams.write(datagrams.GREETING, self._stream, self._number)
            if directory.connect(self._name, box_id, greets, sends) and self._post(
                box_id, greets, greeting, self._pipe
            ):
                self._boxes[box_id] = sends
            else:
                sends.close()  # it is gone, or so full that it hears of us another time

    def _is_full(self, box: socket.socket) -> bool:
        return _bytes_under_way(box) >= self._depth * self._datagram_bytes

    def _post(self, box_id: str, box: socket.socket, datagram: bytes, descriptor: int) -> bool:
        """Puts a datagram into a box; returns False if that is full or gone."""
        try:
            socket.send_fds(box, [datagram], [descriptor])
        except OSError as error:
            if error.errno in _FULL:
                return False
            if error.errno not in _GONE:
                raise EndpointError(f"a box of {self.url!r} can't be reached: {error}") from error
            directory.remove_if_socket(f"{directory.folder_of(self._name)}/{box_id}")
            if box_id in self._boxes:
                self._boxes.pop(box_id).close()
            return False
        return True

    def _close(self) -> None:
        self._look()
        os.write(self._kept_writer, b".")
        os.close(self._kept_writer)
        os.close(self._pipe)
        for box in self._boxes.values():
            box.close()
        self._boxes.clear()


# ETOOMANYREFS: too many descriptors of this user are in boxes.
_FULL = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM, errno.ETOOMANYREFS})
_GONE = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE, errno.ENOENT})


def _bytes_under_way(sends: socket.socket) -> int:
    """What the system counts for the datagrams of a socket that have not been received."""
    count = array.array("i", [0])
    fcntl.ioctl(sends, termios.TIOCOUTQ, count)
    return count[0]


def _bytes_of_a_datagram() -> int:
    """What the system counts for one datagram."""
    ours, theirs = fds.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        socket.send_fds(ours, [bytes(datagrams.DATAGRAM.size)], [ours.fileno()])
        return _bytes_under_way(ours)
