# SPDX-License-Identifier: Apache-2.0
"""Mailslots within one process: who gets what, what a full box loses, what is refused, and what is left behind."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.descriptors import open_descriptors

import framebus
from framebus.endpoint import EndpointStatistics, OutgoingFrame, wire
from framebus.endpoint.kinds.mailslot import datagram, directory
from framebus.endpoint.kinds.mailslot.source_sink import MailslotSink, MailslotSource

IMAGE = np.arange(64 * 48, dtype=np.uint16).reshape(48, 64)
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_WRITE


@pytest.fixture
def name(channel_name: str) -> Iterator[str]:
    yield channel_name
    assert not os.path.exists(directory.folder_of(channel_name)), "the last box did not take its folder along"


def open_source(name: str, **options: Any) -> MailslotSource:
    source = framebus.source(f"mailslot:{name}", **options)
    assert isinstance(source, MailslotSource)
    return source


def open_sink(name: str, **options: Any) -> MailslotSink:
    sink = framebus.sink(f"mailslot:{name}", **options)
    assert isinstance(sink, MailslotSink)
    return sink


def everything_in(source: MailslotSource) -> list[int]:
    """Returns the sequence numbers of all frames that wait."""
    return [frame.seq for frame in iter(source.try_recv, None)]


def test_a_frame_arrives_in_every_box_with_all_that_it_carries(name: str) -> None:
    with open_source(name) as one, open_sink(name) as sink, open_source(name) as other:
        sink.send({"a": IMAGE, "b": IMAGE[:0]}, meta={"x": [1]}, pixel_format="Mono16", timestamp_ns=3, wall_time_ns=4)
        for source in (one, other):
            frame = source.recv(10)
            assert {name: array.tolist() for name, array in frame.arrays.items()} == {"a": IMAGE.tolist(), "b": []}
            assert (frame.seq, frame.meta, frame.pixel_format) == (1, {"x": [1]}, "Mono16")
            assert (frame.timestamp_ns, frame.wall_time_ns) == (3, 4)
            assert source.statistics() == EndpointStatistics(1, IMAGE.nbytes, 0, 0)


def test_arrays_can_not_be_written_and_outlive_both_ends(name: str) -> None:
    with open_source(name) as source, open_sink(name) as sink:
        sink.send(IMAGE)
        array = source.recv(10).array
        sink.send(np.zeros_like(IMAGE))
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    gc.collect()
    assert (array == IMAGE).all()


def sealed_mappings() -> int:
    return Path("/proc/self/maps").read_text().count("/memfd:framebus")


def test_letting_go_of_a_frame_gives_its_memory_and_its_descriptor_back(name: str) -> None:
    with open_source(name) as source, open_sink(name) as sink:
        sink.send(IMAGE)
        source.recv(10)
        gc.collect()
        before = open_descriptors(), sealed_mappings()
        sink.send(IMAGE)
        frame = source.recv(10)
        kept = 1 if sys.version_info < (3, 13) else 0  # descriptors of a mapping, see framebus.endpoint.memfd
        assert (open_descriptors(), sealed_mappings()) == (before[0] + kept, before[1] + 1)
        del frame
        gc.collect()
        assert (open_descriptors(), sealed_mappings()) == before


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_a_slow_box_loses_frames_which_both_ends_count_and_the_others_get_all(name: str, depth: int) -> None:
    with open_source(name) as slow, open_source(name) as fast, open_sink(name, depth=depth) as sink:
        got = []
        for _ in range(12):
            sink.send(IMAGE)
            got.append(fast.recv(10).seq)
        assert got == list(range(1, 13))
        assert everything_in(slow) == list(range(1, depth + 1))
        assert sink.statistics().dropped == 12 - depth
        sink.send(IMAGE)
        assert slow.recv(10).seq == 13
        assert slow.statistics().dropped == 12 - depth
        assert fast.statistics().dropped == 0


def test_a_box_deeper_than_the_system_allows_loses_the_rest_without_making_anybody_wait(name: str) -> None:
    with open_source(name) as source, open_sink(name, depth=1024) as sink:
        for _ in range(1000):
            sink.send(IMAGE[:1, :1])
        arrived = len(everything_in(source))
        assert 0 < arrived < 1000
        assert sink.statistics().dropped == 1000 - arrived


def test_boxes_come_and_go_while_frames_are_sent(name: str) -> None:
    with open_sink(name) as sink:
        assert sink.send(IMAGE) == 1
        for number in range(2, 8):
            with open_source(name) as source:
                sink.send(IMAGE)
                assert everything_in(source) == [number]
                assert source.statistics().dropped == 0
        assert sink.send(IMAGE) == 8
        assert sink.statistics().dropped == 0


def test_the_box_of_a_dead_program_is_removed_and_nothing_else(name: str) -> None:
    dead, path = directory.make_box(name)
    dead.close()
    other = Path(directory.folder_of(name), "notes.txt")
    other.write_text("not a box")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stream, open_sink(name) as sink:
        stream.bind(str(other.with_name("stream")))
        stream.listen()
        sink.send(IMAGE)
        assert sorted(os.listdir(directory.folder_of(name))) == ["notes.txt", "stream"]
        assert sink.statistics().dropped == 0
    other.unlink()
    other.with_name("stream").unlink()
    other.parent.rmdir()
    assert not os.path.exists(path)


def test_the_box_of_a_program_that_dies_between_two_frames_is_removed(name: str) -> None:
    box, path = directory.make_box(name)
    with open_sink(name) as sink:
        sink.send(IMAGE)
        box.close()
        sink.send(IMAGE)
        assert not os.path.exists(path)
        assert sink.statistics().dropped == 1


def test_the_source_ends_when_the_last_sink_has_closed_and_goes_on_with_the_next(name: str) -> None:
    with open_source(name) as source:
        one, other = open_sink(name), open_sink(name)
        one.send(IMAGE)
        one.close()
        assert source.recv(10).seq == 1
        with pytest.raises(framebus.Timeout):
            source.recv(0)
        other.close()
        for timeout in (10, 0):
            with pytest.raises(framebus.ChannelClosed, match="all senders"):
                source.recv(timeout)
        with open_sink(name) as third:
            with pytest.raises(framebus.Timeout):
                source.recv(0)
            third.send(IMAGE)
            assert source.recv(10).seq == 1


def test_a_box_that_came_after_the_last_frame_hears_of_the_close(name: str) -> None:
    with open_sink(name) as sink:
        sink.send(IMAGE)
        with open_source(name) as source:
            sink.close()
            with pytest.raises(framebus.ChannelClosed):
                source.recv(10)


def test_an_endless_source_waits_for_the_next_sink(name: str) -> None:
    with open_source(name, endless=True) as source:
        open_sink(name).close()
        with pytest.raises(framebus.Timeout):
            source.recv(0.01)


# Foreign senders


def memfd_of(data: bytes, seals: int = SEALS) -> int:
    memory = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(memory, data)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, seals)
    return memory


def good_message() -> bytes:
    head, arrays = wire.encode(OutgoingFrame({"image": IMAGE}, 1, 2, 3, {}, None))
    return head + b"".join(wire.pieces(arrays))


GOOD = good_message()


def frame_datagram(size: int = len(GOOD), number: int = 1, stream: int = 7) -> bytes:
    return datagram.write(datagram.FRAME, stream, number, size)


def a_pipe() -> int:
    ours, theirs = os.pipe()
    os.close(theirs)
    return ours


BAD: dict[str, Callable[[], tuple[bytes, list[int]]]] = {
    "plain bytes": lambda: (b"hello", []),
    "nothing": lambda: (b"", []),
    "a datagram that is too long": lambda: (frame_datagram() + b"x", [memfd_of(GOOD)]),
    "another version": lambda: (frame_datagram().replace(b"FBML\x01", b"FBML\x02"), [memfd_of(GOOD)]),
    "another kind": lambda: (datagram.write(3, 7, 1, len(GOOD)), [memfd_of(GOOD)]),
    "no memfd": lambda: (frame_datagram(), []),
    "a memfd that can be written": lambda: (frame_datagram(), [memfd_of(GOOD, fcntl.F_SEAL_SHRINK)]),
    "a memfd that can be cut off": lambda: (frame_datagram(), [memfd_of(GOOD, fcntl.F_SEAL_WRITE)]),
    "a device": lambda: (frame_datagram(), [os.open("/dev/zero", os.O_RDWR)]),
    "a file": lambda: (frame_datagram(), [os.open(__file__, os.O_RDONLY)]),
    "a shorter memfd": lambda: (frame_datagram(), [memfd_of(GOOD[:-1])]),
    "a longer memfd": lambda: (frame_datagram(len(GOOD) + 64), [memfd_of(GOOD + bytes(64))]),
    "an empty memfd": lambda: (frame_datagram(0), [memfd_of(b"")]),
    "garbage on a memfd": lambda: (frame_datagram(4096), [memfd_of(os.urandom(4096))]),
    "an end on a memfd": lambda: (frame_datagram(len(wire.end())), [memfd_of(wire.end())]),
    "a frame over max_bytes": lambda: (frame_datagram(2 << 20), [memfd_of(bytes(2 << 20))]),
    "a sender that did not greet": lambda: (frame_datagram(stream=8), [memfd_of(GOOD)]),
    "a number that came already": lambda: (frame_datagram(number=0), [memfd_of(GOOD)]),
    "a greeting with a memfd": lambda: (datagram.write(datagram.GREETING, 9, 0), [memfd_of(GOOD)]),
    "a second greeting": lambda: (datagram.write(datagram.GREETING, 7, 0), [a_pipe()]),
}


@pytest.fixture
def foreign(name: str) -> Iterator[tuple[MailslotSource, socket.socket]]:
    """A box with small frames, and a foreign sender that has greeted as stream 7."""
    with open_source(name, max_bytes=10_000) as source, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        (box_id,) = directory.box_ids(name)
        assert directory.connect(name, box_id, sender)
        hears, kept = os.pipe()
        socket.send_fds(sender, [datagram.write(datagram.GREETING, 7, 0)], [hears])
        assert source.try_recv() is None
        yield source, sender
        os.close(hears)
        os.close(kept)


@pytest.mark.parametrize("make", BAD.values(), ids=BAD.keys())
def test_what_is_no_frame_is_refused_and_counted_and_the_next_frame_arrives(
    foreign: tuple[MailslotSource, socket.socket], make: Callable[[], tuple[bytes, list[int]]]
) -> None:
    source, sender = foreign
    before = open_descriptors()
    data, descriptors = make()
    socket.send_fds(sender, [data], descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    assert source.try_recv() is None
    assert source.statistics() == EndpointStatistics(refused=1)
    assert open_descriptors() == before, "a descriptor that came along was kept"
    memory = memfd_of(GOOD)
    socket.send_fds(sender, [frame_datagram()], [memory])
    os.close(memory)
    assert (source.recv(10).array == IMAGE).all()


def test_more_descriptors_than_a_letter_has_are_not_kept(foreign: tuple[MailslotSource, socket.socket]) -> None:
    source, sender = foreign
    memfds = [memfd_of(GOOD) for _ in range(20)]
    before = open_descriptors()
    socket.send_fds(sender, [b"hello"], memfds)
    assert source.try_recv() is None
    assert source.statistics().refused == 1
    assert open_descriptors() == before
    for memory in memfds:
        os.close(memory)


def test_a_sender_that_greets_without_end_takes_a_bounded_number_of_descriptors(
    foreign: tuple[MailslotSource, socket.socket],
) -> None:
    source, sender = foreign
    pipe, kept = os.pipe()
    before = open_descriptors()
    for stream in range(100, 300):
        socket.send_fds(sender, [datagram.write(datagram.GREETING, stream, 0)], [pipe])
        assert source.try_recv() is None
    assert open_descriptors() - before == 63
    assert source.statistics().refused == 200 - 63
    os.close(pipe)
    os.close(kept)


# Places


@pytest.mark.parametrize("wrong", ["a link", "open to others"])
def test_a_folder_that_others_could_have_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setattr(directory, "SHARED", str(tmp_path))
    top = tmp_path / f"framebus-{os.geteuid()}"
    if wrong == "a link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(0o700)
        top.symlink_to(elsewhere)
    else:
        top.mkdir()
        top.chmod(0o755)
    with pytest.raises(framebus.PermissionDenied, match=r"must be a folder of user .* with mode 0700") as refusal:
        open_source("camera0")
    assert (refusal.value.errno, refusal.value.filename) == (errno.EPERM, str(top))
    with pytest.raises(framebus.PermissionDenied):
        open_sink("camera0")
    assert not list(top.iterdir())


def test_the_longest_name_fits_though_its_path_is_longer_than_a_socket_address(channel_name: str) -> None:
    name = channel_name.ljust(128, "x")
    assert len(directory.folder_of(name)) > 108
    with open_source(name) as source, open_sink(name) as sink:
        sink.send(IMAGE)
        assert source.recv(10).seq == 1
    assert not os.path.exists(directory.folder_of(name))


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 129])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    for role in (framebus.source, framebus.sink):
        with pytest.raises(framebus.InvalidName, match="not a name for a mailslot"):
            role(f"mailslot:{name}")


def test_a_depth_out_of_range_is_refused(channel_name: str) -> None:
    with pytest.raises(ValueError, match="depth must be 1 to 1024, got 0"):
        framebus.sink(f"mailslot:{channel_name}?depth=0")
