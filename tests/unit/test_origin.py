# SPDX-License-Identifier: Apache-2.0
"""What a source says of its own about a frame is read as metadata, travels with it, and is no reason to refuse it."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import framebus
from framebus import Deadline, Frame, OutgoingFrame
from framebus.endpoint import wire
from framebus.frames import metadata
from framebus.frames.outgoing import outgoing_frame

IMAGE = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64).astype(np.uint8)


class Source(framebus.BaseSource):
    """One frame with metadata of the user's, and with its own."""

    def __init__(self, meta: dict[str, Any], origin: dict[str, Any]) -> None:
        super().__init__("test:source")
        self.given = [Frame({"image": IMAGE}, seq=1, timestamp_ns=2, wall_time_ns=3, meta=meta, origin=origin)]

    def _receive(self, deadline: Deadline) -> Frame:  # noqa: ARG002 - it never waits
        if not self.given:
            raise framebus.ChannelClosed("over")
        return self.given.pop()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "in").mkdir()
    for number in range(3):
        Image.fromarray(np.full((48, 64, 3), number * 40, np.uint8)).save(tmp_path / f"in/{number}.png")
    return tmp_path


def test_a_frame_says_which_metadata_are_its_sources(folder: Path) -> None:
    with framebus.source(f"images:{folder}/in") as source:
        frame = source.recv()
    assert frame.meta == frame.origin == {"file": str(folder / "in/0.png")}
    frame.meta["file"] = "mine"
    assert frame.origin == {}, "what was changed is the user's"


@pytest.mark.parametrize("through", ["pickle", "copy", "wire", "channel"])
def test_the_difference_survives(through: str, channel_name: str) -> None:
    frame = Source({"user": 1}, {"file": "a.png", "index": 3}).recv()
    if through == "pickle":
        meta = pickle.loads(pickle.dumps(frame.meta))
    elif through == "copy":
        meta = frame.copy().meta
    elif through == "wire":
        head, _ = wire.encode(outgoing_frame(frame.array, 1, 2, 3, frame.meta, None))
        meta = wire.describe(head[wire.HEAD.size :], wire.decode_head(head)).meta
    else:
        with framebus.Publisher(channel_name) as publisher, framebus.Subscriber(channel_name) as subscriber:
            publisher.send(frame.array, meta=frame.meta)
            with subscriber.recv(timeout=60) as received:
                meta = received.meta
    assert meta == {"user": 1, "file": "a.png", "index": 3}
    assert metadata.of_the_user(meta) == {"user": 1}
    assert json.loads(json.dumps(meta)) == meta


@pytest.mark.parametrize("sink", ["video:{}/t.mkv?fps=10", "images:{}/out-{{seq}}.png"])
@pytest.mark.parametrize("source", ["images:{}/in", "video:{}/in.mkv?pace=fast"])
def test_a_file_is_relayed_into_another_one_without_lossy(folder: Path, source: str, sink: str) -> None:
    if source.startswith("video"):
        framebus.relay(f"images:{folder}/in", f"video:{folder}/in.mkv?fps=10")
    report = framebus.relay(source.format(folder), sink.format(folder))
    assert report.frames == 3


def test_it_is_no_reason_either_behind_a_channel(folder: Path, channel_name: str) -> None:
    with framebus.Publisher(channel_name, slots=8) as publisher:
        with framebus.Subscriber(channel_name, every=True) as subscriber:
            framebus.relay(f"images:{folder}/in", publisher)
            report = framebus.relay(subscriber, f"images:{folder}/out-{{seq}}.png", limit=3)
    assert report.frames == 3


@pytest.mark.parametrize("origin", [{}, {"file": "a.png"}], ids=["alone", "beside the source's"])
def test_metadata_of_the_users_are_refused_as_before(tmp_path: Path, origin: dict[str, Any]) -> None:
    with pytest.raises(framebus.EndpointError, match="can't carry metadata"):
        framebus.relay(Source({"gain": 2}, origin), f"images:{tmp_path}/{{seq}}.png")
    assert list(tmp_path.iterdir()) == []


def test_a_transform_that_takes_the_metadata_over_changes_nothing(folder: Path) -> None:
    def copied(frame: Frame) -> Frame:
        return Frame({"image": frame.array}, seq=frame.seq, timestamp_ns=1, wall_time_ns=1, meta=dict(frame.meta))

    assert framebus.relay(f"images:{folder}/in", f"images:{folder}/{{seq}}.png", transform=copied).frames == 3

    def marked(frame: Frame) -> Frame:
        meta = {**frame.meta, "user": 1}
        return Frame({"image": frame.array}, seq=frame.seq, timestamp_ns=1, wall_time_ns=1, meta=meta)

    with pytest.raises(framebus.EndpointError, match="can't carry metadata"):
        framebus.relay(f"images:{folder}/in", f"images:{folder}/{{seq}}.png", transform=marked)


def test_a_sink_that_carries_metadata_gets_all_of_them() -> None:
    class Kept(framebus.BaseSink):
        def _send(self, frame: OutgoingFrame, deadline: Deadline) -> None:  # noqa: ARG002 - it never waits
            self.frame = frame

    with Kept("test:kept") as sink:
        framebus.relay(Source({"user": 1}, {"file": "a.png"}), sink)
    assert sink.frame.meta == {"user": 1, "file": "a.png"}


def test_the_reserved_key_is_refused_and_nonsense_in_it_harmless() -> None:
    with pytest.raises(ValueError, match="is reserved for a source's bookkeeping"):
        metadata.encode({metadata.ORIGIN_KEY: ["a"], "a": 1})
    for nonsense in (b"7", b'[7,"b"]', b'{"a":1}', b'["framebus:origin"]'):
        assert metadata.decode(b'{"a":1,"framebus:origin":' + nonsense + b"}") == {"a": 1}


def test_a_name_that_is_not_text_is_no_reason_to_refuse_a_frame(tmp_path: Path, channel_name: str) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Image.fromarray(IMAGE).save(name)
    with framebus.Publisher(channel_name) as publisher:
        assert framebus.relay(f"images:{tmp_path}", publisher).frames == 1
