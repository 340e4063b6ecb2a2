# SPDX-License-Identifier: Apache-2.0
"""Message queues between programs that are killed, that belong to others, or that just come to their last line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from tests.support.places import needs_root
from tests.support.receiving import until_death

import framebus
from framebus.testing import Receiver, Sender, is_whole, number_of

posix_ipc = pytest.importorskip("posix_ipc", reason='needs posix_ipc; run: pip install "framebus[msg]"')

LARGE = (("image", "|u1", (400, 1000), "C"),)  # fifty messages of the usual size
SMALL = np.arange(60, dtype=np.uint8)


@pytest.fixture
def url(channel_name: str) -> Iterator[str]:
    try:
        framebus.source(f"msg:{channel_name}").close()
    except framebus.EndpointError as error:
        pytest.skip(f"{error}; a kernel with CONFIG_POSIX_MQUEUE=y has message queues")
    yield f"msg:{channel_name}"
    with pytest.raises(posix_ipc.ExistentialError):
        posix_ipc.MessageQueue(f"/framebus.{channel_name}")


@pytest.mark.parametrize("round_", range(5))
def test_a_sender_killed_within_a_frame_is_noticed_after_all_its_whole_frames(url: str, round_: int) -> None:
    with framebus.source(url) as source, Sender(url) as sender:
        sender.begin_flood(1, 100_000, shapes=[LARGE[0][2]], timeout=None)
        received = [source.recv(30).array for _ in range(3 + round_)]
        sender.kill()
        received += until_death(source)
        assert all(is_whole(array) for array in received)
        assert [number_of(array) for array in received] == list(range(1, len(received) + 1))
        with pytest.raises(framebus.PublisherDied, match="has ended without closing"):
            source.recv(30)
        with framebus.sink(url) as sink:
            sink.send(SMALL)
            assert (source.recv(30).array == SMALL).all()


def test_the_other_senders_go_on_when_one_is_killed(url: str) -> None:
    with framebus.source(url) as source, Sender(url) as victim, Sender(url) as other:
        victim.begin_flood(1, 100_000, shapes=[LARGE[0][2]], timeout=None)
        source.recv(30)
        other.begin_flood(200_000, 20, shapes=[LARGE[0][2]], timeout=None)
        victim.kill()
        arrays = [source.recv(30).array]
        while number_of(arrays[-1]) != 200_019:
            arrays.append(source.recv(30).array)
        assert all(is_whole(array) for array in arrays)
        numbers = [number for array in arrays if (number := number_of(array)) is not None and number >= 200_000]
        assert numbers == list(range(200_000, 200_020))
        other.answer()
        other.close()
        with pytest.raises(framebus.ChannelClosed):
            source.recv(30)


def test_the_next_receiver_finds_the_next_frame_when_one_is_killed_within_one(url: str) -> None:
    with ExitStack() as running:
        receiver = running.enter_context(Receiver(url))
        sender = running.enter_context(Sender(url))
        receiver.begin_collect(timeout=None, report_every=1)
        sender.begin_flood(1, 100_000, shapes=[LARGE[0][2]], timeout=None)
        receiver.expect("progress")
        receiver.expect("progress")
        receiver.kill()
        with framebus.source(url) as source:
            arrays = [source.recv(30).array for _ in range(5)]
            assert all(is_whole(array) for array in arrays)
            first = number_of(arrays[0])
            assert first is not None
            assert [number_of(array) for array in arrays] == list(range(first, first + 5))
            sender.kill()


def test_a_queue_whose_programs_were_all_killed_is_replaced_by_the_next_that_comes(url: str) -> None:
    with Receiver(url) as receiver, Sender(url) as sender:
        receiver.freeze()
        sender.send(1)
        receiver.kill()
        sender.kill()
    with framebus.source(url) as source, framebus.sink(url) as sink:
        sink.send(SMALL)
        assert (source.recv(30).array == SMALL).all(), "a frame of the dead sender came"


@pytest.mark.parametrize("keep", ["sink", "_"], ids=["kept", "let go"])
def test_a_program_that_comes_to_its_last_line_has_closed_its_end(url: str, keep: str) -> None:
    with framebus.source(url) as source:
        program = f"import framebus; {keep} = framebus.sink({url!r}); {keep}.send(b'x'); _ = None"
        subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
        assert source.recv(30).array.tolist() == [ord("x")]
        with pytest.raises(framebus.ChannelClosed):
            source.recv(30)


def test_a_forked_child_that_ends_does_not_close_what_its_parent_opened(url: str) -> None:
    with framebus.source(url) as source, framebus.sink(url) as sink:
        code = (
            "import framebus, os, sys\n"
            f"sink = framebus.sink({url!r})\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    sys.exit(0)\n"
            "os.waitpid(child, 0)\n"
            "sink.send(b'x')\n"
        )
        sink.close()
        subprocess.run([sys.executable, "-c", code], check=True)
        assert source.recv(30).array.tolist() == [ord("x")]


@needs_root
def test_the_queue_of_another_user_is_refused(url: str) -> None:
    with framebus.source(url):
        code = (
            "import framebus, os, posix_ipc\n"  # before it may no longer read them
            "from framebus.endpoint.kinds.msg import open_sink\n"
            "os.setgroups([]); os.setgid(1234); os.setuid(1234)\n"
            "try:\n"
            f"    open_sink({url.removeprefix('msg:')!r})\n"
            "except framebus.PermissionDenied as error:\n"
            "    print(error, error.errno, error.filename)\n"
        )
        run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert "is a queue of another user" in run.stdout
        assert run.stdout.endswith(f" {errno.EACCES} /dev/mqueue/framebus.{url.removeprefix('msg:')}\n")


@needs_root
def test_a_queue_that_another_user_made_and_opened_to_all_is_refused(channel_name: str) -> None:
    code = (
        "import os, posix_ipc\n"
        "os.setgroups([]); os.setgid(1234); os.setuid(1234); os.umask(0)\n"
        f"posix_ipc.MessageQueue('/framebus.{channel_name}', posix_ipc.O_CREX, 0o666, max_messages=2, "
        "max_message_size=256)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    try:
        with pytest.raises(framebus.PermissionDenied, match="a queue of user 1234") as refusal:
            framebus.source(f"msg:{channel_name}")
        assert refusal.value.errno == errno.EPERM
        assert os.geteuid() == 0
    finally:
        posix_ipc.unlink_message_queue(f"/framebus.{channel_name}")
