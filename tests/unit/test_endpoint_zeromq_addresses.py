# SPDX-License-Identifier: Apache-2.0
"""Where the ends of tcp:// and ipc:// may be: this machine alone unless told otherwise, and nobody else's place."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebus

pytest.importorskip("zmq", reason='needs pyzmq: pip install "framebus[zmq]"')

LONG = 30.0  # against hangs only
IMAGE = np.arange(640 * 480, dtype=np.uint32).reshape(480, 640)
PUBLIC = ["tcp://*:0", "tcp://0.0.0.0:0", "tcp://192.0.2.1:0", "tcp://[::]:0", "tcp://eth0:0"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/socket"


def test_port_0_is_any_free_one_and_the_sink_tells_which() -> None:
    with framebus.sink("tcp://127.0.0.1:0", wait_for=1) as sink, framebus.source(sink.url) as source:
        port = int(sink.url.rpartition(":")[2])
        assert sink.url == f"tcp://127.0.0.1:{port}"
        assert port > 0
        sink.send(IMAGE, timeout=LONG)
        assert np.array_equal(source.recv(LONG).array, IMAGE)


@pytest.mark.parametrize("open_url", [framebus.sink, lambda url: framebus.source(url, bind=True)])
@pytest.mark.parametrize("public", PUBLIC)
def test_binding_where_other_machines_can_connect_takes_public(open_url: Any, public: str) -> None:
    with pytest.raises(framebus.EndpointError, match=r"public=true.*curve_secret_key"):
        open_url(public)


def test_public_allows_to_bind_anywhere() -> None:
    with framebus.sink("tcp://*:0?public=true", wait_for=1) as sink:
        port = sink.url.rpartition(":")[2]
        with framebus.source(f"tcp://127.0.0.1:{port}") as source:
            sink.send(IMAGE, timeout=LONG)
            assert source.recv(LONG).seq == 1


@pytest.mark.parametrize("loopback", ["tcp://localhost:0", "tcp://127.9.9.9:0", "tcp://lo:0"])
def test_loopback_by_any_name_needs_no_leave(loopback: str) -> None:
    with framebus.sink(loopback) as sink:
        assert int(sink.url.rpartition(":")[2]) > 0, "the port that it got"


@pytest.mark.parametrize(
    "wrong",
    ["tcp:127.0.0.1:1", "tcp://127.0.0.1", "tcp://:7000", "tcp://127.0.0.1:70000", "tcp://a/b:1", "ipc:x", "ipc://"],
)
def test_what_is_no_address_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(framebus.InvalidUrl, match="such as"):
        framebus.sink(wrong)


@pytest.mark.parametrize("nowhere", ["tcp://127.0.0.1:0", "tcp://*:7000", "tcp://0.0.0.0:7000"])
def test_connecting_takes_a_host_and_a_port(nowhere: str) -> None:
    with pytest.raises(framebus.InvalidUrl, match="bind=true"):
        framebus.source(nowhere)


def test_a_port_in_use_is_refused_with_what_to_do() -> None:
    with framebus.sink("tcp://127.0.0.1:0") as sink:
        with pytest.raises(framebus.EndpointError, match="another port"):
            framebus.sink(sink.url)


def test_a_file_at_the_path_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "socket").write_text("mine")
    with pytest.raises(framebus.EndpointError, match="not a socket"):
        framebus.sink(f"ipc://{tmp_path}/socket")
    assert (tmp_path / "socket").read_text() == "mine"


def test_a_path_that_a_running_program_has_bound_is_refused(url: str) -> None:
    with framebus.sink(url, wait_for=1) as sink:
        with pytest.raises(framebus.EndpointError, match="running program"):
            framebus.sink(url)
        with framebus.source(url) as source:
            sink.send(IMAGE, timeout=LONG)
            assert source.recv(LONG).seq == 1


def test_a_socket_that_a_killed_program_left_is_replaced(tmp_path: Path, url: str) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/socket")
    assert (tmp_path / "socket").is_socket()
    framebus.sink(url).close()


@pytest.mark.parametrize("mode", ["latest", "every"])
def test_an_address_is_free_again_after_close(mode: str) -> None:
    with framebus.sink("tcp://127.0.0.1:0", mode=mode) as sink:
        address = sink.url
    for _ in range(5):
        with framebus.sink(address, mode=mode) as again:
            assert again.url == address


@pytest.mark.parametrize(
    "wrong", ["hwm=0", "linger=-1", "linger=nan", "heartbeat=-1", "wait_for=-1", "mode=newest", "speed=3"]
)
def test_options_out_of_range_are_refused(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong.partition("=")[0]):
        framebus.sink(f"{url}?{wrong}")
