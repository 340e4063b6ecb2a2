# SPDX-License-Identifier: Apache-2.0
"""The crash helpers by themselves, on a channel; and what the suite says to somebody who applies it in a wrong way."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

import framebus
from framebus import testing
from framebus.testing import conformance, process, specimen
from framebus.testing.conformance.pair import Pair


def test_a_sender_can_be_asked_stopped_and_killed(channel_name: str) -> None:
    with testing.Sender(channel_name) as sender:
        with framebus.Subscriber(channel_name, reconnect=False) as subscriber:
            assert sender.send(1) == 1
            frame = subscriber.recv(10)
            assert testing.number_of(frame.array) == 1
            assert testing.is_whole(frame.array)
            assert sender.statistics()["frames"] == 1
            sender.freeze()
            sender.tell("send", number=2, arrays=[["image", "|u1", [8], "C"]], given={})
            with pytest.raises(framebus.Timeout):
                subscriber.recv(0.1)
            sender.resume()
            assert testing.number_of(subscriber.recv(10).array) == 2
            assert sender.answer() == 2
            sender.kill()
            with pytest.raises(framebus.PublisherDied):
                subscriber.recv(10)
            assert sender.wait() == -signal.SIGKILL


def test_a_receiver_tells_all_about_a_frame_and_what_it_was_refused_with(channel_name: str) -> None:
    image = specimen.make(5, "<u2", (4, 6))
    with framebus.Publisher(channel_name) as publisher, testing.Receiver(channel_name) as receiver:
        publisher.send({"depth": image}, meta={"gain": 2}, pixel_format="Mono16", timestamp_ns=1, wall_time_ns=2)
        found = receiver.recv(10)
        assert found["arrays"] == specimen.facts({"depth": image})
        assert {name: found[name] for name in ("number", "meta", "pixel_format", "timestamp_ns", "wall_time_ns")} == {
            "number": 5,
            "meta": {"gain": 2},
            "pixel_format": "Mono16",
            "timestamp_ns": 1,
            "wall_time_ns": 2,
        }
        with pytest.raises(testing.Refused) as refused:
            receiver.recv(0)
        assert refused.value.error == "Timeout"
        assert {"TimeoutError", "OSError", "Error"} <= {*refused.value.kinds}
        receiver.interrupt()
        assert receiver.wait() == -signal.SIGINT


def test_a_program_whose_end_cannot_be_opened_says_why_and_is_gone(channel_name: str) -> None:
    with pytest.raises(testing.Refused) as refused:
        testing.Receiver(channel_name)
    assert refused.value.error == "ChannelNotFound"
    assert "LookupError" in refused.value.kinds


def test_a_program_that_hangs_says_where_it_stands(channel_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with framebus.Publisher(channel_name), testing.Receiver(channel_name) as receiver:
        monkeypatch.setattr(process, "WATCHDOG_S", 0.5)
        receiver.tell("recv", timeout=None)
        with pytest.raises(AssertionError) as error:
            receiver.answer()
    assert f"the source of '{channel_name}'" in str(error.value)
    assert "did not say 'answer'" in str(error.value)
    assert "in recv" in str(error.value)


@pytest.mark.parametrize("change", range(8))
def test_one_byte_of_another_frame_is_noticed(change: int) -> None:
    image = specimen.make(1000, "|u1", (6, 4, 3))
    assert testing.is_whole(image)
    other = specimen.make(1001, "|u1", (6, 4, 3))
    at = 8 + change
    assert image.flat[at] != other.flat[at]
    image.flat[at] = other.flat[at]
    assert not testing.is_whole(image)


@pytest.mark.parametrize("layout", specimen.LAYOUTS)
def test_a_layout_changes_how_an_array_lies_in_memory_and_not_what_it_is(layout: str) -> None:
    made = specimen.make(3, "<u2", (4, 6), layout)
    assert np.array_equal(made, specimen.make(3, "<u2", (4, 6)))
    assert made.flags.c_contiguous == (layout == "C")


def test_a_suite_without_a_link_says_what_to_define(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match=r"Suite must define link\(self, tmp_path\)"):
        conformance.Suite().link(tmp_path)


def test_a_link_must_say_which_delivery_it_has_and_change_abilities_that_there_are() -> None:
    with pytest.raises(AssertionError, match="say which in Link"):
        Pair(conformance.Link("camera0", "camera0"))
    with pytest.raises(TypeError, match="deliver"):
        Pair(conformance.Link("camera0", "camera0", changes={"deliver": "every"}))
    with pytest.raises(AssertionError, match="no endpoint for pigeon: is registered"):
        Pair(conformance.Link("pigeon:", "pigeon:"))


def test_a_mechanism_that_does_not_take_every_image_must_say_which_it_takes() -> None:
    link = conformance.Link("camera0", "camera0", changes={"delivery": "every", "dtypes": "uint8"})
    with pytest.raises(AssertionError, match="it takes uint8: define carries"):
        conformance.Suite().pair_of(link)
