# SPDX-License-Identifier: Apache-2.0
"""pipe: between programs: a pipeline, children, and a real ffmpeg at the other end, reading and writing."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.paths import PROGRAMS

import framebus
from framebus.testing.process import WATCHDOG_S

FILTER = [sys.executable, "-W", "error", str(PROGRAMS / "pipe_filter.py")]
BGR = np.random.default_rng(1).integers(0, 255, (5, 48, 64, 3), dtype=np.uint8)
FFMPEG = ["ffmpeg", "-nostdin", "-v", "error"]
SHAPE_OF_RAW = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", "64x48", "-r", "25"]
RAW = {"mode": "byte", "width": 64, "height": 48, "pixel_format": "BGR8"}
Y4M = {"mode": "byte", "format": "y4m"}

PIXELS = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
PLANES = ["-f", "yuv4mpegpipe", "-"]

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg; run: scripts/system-packages")


def pattern(size: str, rate: str = "25") -> list[str]:
    """A command that makes a moving picture; what to make of it follows."""
    return [*FFMPEG, "-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}"]


def opened_source(url: str, **options: Any) -> Any:
    return framebus.source(url, **options)


def opened_sink(url: str, **options: Any) -> Any:
    return framebus.sink(url, **options)


def send_for_ever(sink: Any, image: Any) -> None:
    while True:
        sink.send(image, timeout=WATCHDOG_S)


@contextmanager
def filtering(**options: object) -> Iterator[tuple[Any, Any, subprocess.Popen[bytes]]]:
    """A sink into a running pipe_filter, a source of what comes out of it, and the program."""
    into, out = os.pipe(), os.pipe()
    with ExitStack() as opened:
        program = subprocess.Popen(
            [*FILTER, json.dumps(options)],
            stdin=into[0],
            stdout=out[1],
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": ""},  # what is printed before the stream begins stays in Python
        )
        opened.enter_context(program)
        opened.callback(program.kill)
        os.close(into[0])
        os.close(out[1])
        source = opened.enter_context(opened_source(f"pipe:fd/{out[0]}"))
        yield opened.enter_context(opened_sink(f"pipe:fd/{into[1]}")), source, program


# Pipelines


def test_frames_pass_through_a_program_that_prints_meanwhile() -> None:
    with filtering() as (sink, source, program):
        for number, image in enumerate(BGR):
            sink.send({"image": image, "n": np.array(number)}, meta={"n": number}, seq=10 + number)
        sink.close()
        frames = list(source)
        assert [(frame.seq, frame.meta) for frame in frames] == [(10 + n, {"n": n}) for n in range(5)]
        np.testing.assert_array_equal([frame.arrays["image"] for frame in frames], ~BGR)
        assert program.stderr is not None
        printed = program.stderr.read().decode()
        assert program.wait(WATCHDOG_S) == 0, printed
    for line in ("printed before the stream begins", "printed by Python", "written by C", "printed by a child"):
        assert line in printed


def test_a_program_killed_in_a_pipeline_is_noticed_on_both_sides() -> None:
    with filtering(die_after=2) as (sink, source, _):
        sink.send(BGR[0])
        sink.send(BGR[1])
        assert [source.recv(WATCHDOG_S).seq, source.recv(WATCHDOG_S).seq] == [1, 2]
        with pytest.raises(framebus.PublisherDied):
            source.recv(WATCHDOG_S)
        with pytest.raises(framebus.ChannelClosed, match="no program reads"):
            send_for_ever(sink, BGR[0])


def test_a_program_that_reads_no_further_closes_the_pipe_although_it_lives_on() -> None:
    with filtering(read=1) as (sink, source, program):
        sink.send(BGR[0])
        assert len(list(source)) == 1
        with pytest.raises(framebus.ChannelClosed):
            send_for_ever(sink, BGR[0])
        assert program.wait(WATCHDOG_S) == 0


@pytest.mark.parametrize(
    ("redirection", "url", "says"),
    [
        ("2>&1 | cat >&2", "pipe:stdout", "without 2>&1"),
        (">&-", "pipe:stdout", "is not open"),
        ("<&-", "pipe:stdin", "is not open"),
        ("</dev/null >/dev/null", "pipe:stdout;pipe:", "taken over before"),
    ],
)
def test_standard_streams_that_can_not_carry_frames_are_refused(redirection: str, url: str, says: str) -> None:
    code = (
        "import framebus; "
        f"ends = [framebus.source(u) if u == 'pipe:stdin' else framebus.sink(u) for u in '{url}'.split(';')]"
    )
    command = f'"{sys.executable}" -c "{code}" {redirection}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=WATCHDOG_S, check=False)
    assert "EndpointError" in done.stderr
    assert says in done.stderr


# Children


def test_a_child_is_written_to_and_waited_for(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with opened_sink("pipe:", argv=["cp", "/dev/stdin", copy], mode="byte") as sink:
        for image in BGR:
            sink.send(image)
    assert copy.read_bytes() == BGR.tobytes()


def test_a_child_is_read_from_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(BGR.tobytes())
    with opened_source("pipe:", argv=["cat", tmp_path / "pixels"], **RAW) as source:
        np.testing.assert_array_equal([frame.array for frame in source], BGR)


@pytest.mark.parametrize(
    ("script", "says"), [("exit 3", "status 3"), ("kill -9 $$", "SIGKILL"), ("head -c 100 /dev/zero", "middle")]
)
def test_a_child_that_fails_is_no_orderly_end_of_its_pixels(script: str, says: str) -> None:
    with opened_source("pipe:", argv=["sh", "-c", script], **RAW) as source:
        with pytest.raises(framebus.PublisherDied, match=says):
            source.recv(WATCHDOG_S)


def test_a_child_that_fails_on_its_frames_is_told_at_close_or_at_send() -> None:
    sink = opened_sink("pipe:", argv=["sh", "-c", "cat >/dev/null; exit 3"], mode="byte")
    sink.send(BGR[0])
    with pytest.raises(framebus.EndpointError, match="status 3"):
        sink.close()
    sink = opened_sink("pipe:", argv=["sh", "-c", "exit 4"], mode="byte")
    with pytest.raises(framebus.ChannelClosed, match="status 4"):
        send_for_ever(sink, BGR)
    sink.close()


def test_a_child_that_does_not_end_is_stopped() -> None:
    # `exec`, so that the one that is stopped is the one that sleeps.
    sink = opened_sink("pipe:", argv=["sleep", "1000"], mode="byte", linger=0.1)
    with pytest.raises(framebus.EndpointError, match="did not end within"):
        sink.close()
    source = opened_source(
        "pipe:", argv=["sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.1; done"], **RAW
    )
    source.close()  # also one that does not want to


# Interrupts


class Interrupt(Exception):
    """What Ctrl-C is to a program that goes on after it."""


def in_the_rain(seed: int, call: Callable[[], Any]) -> Any:
    """Calls, while signals come for the main thread at random moments; None if one came between two calls in it."""
    go, stop, dice = threading.Event(), threading.Event(), random.Random(seed)

    def fall() -> None:
        go.wait(WATCHDOG_S)
        while not stop.wait(dice.uniform(0.0001, 0.003)):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    def interrupt(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    drops = threading.Thread(target=fall)
    drops.start()
    found = None
    with suppress(Interrupt):
        go.set()
        found = call()
    while not stop.is_set():
        with suppress(Interrupt):
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            stop.set()
    drops.join(WATCHDOG_S)
    signal.signal(signal.SIGUSR1, before)
    return found


def send_numbered(sink: Any, count: int) -> int:
    """Sends frames that are full of their number, over interrupts; returns how many of those there were."""
    interrupts = 0
    for number in range(count):
        try:
            sink.send(np.full(700_000, number, np.uint8), meta={"n": number})
        except Interrupt:
            interrupts += 1
        except (framebus.EndpointError, framebus.ChannelClosed):
            break
    return interrupts


def receive_numbered(source: Any) -> tuple[list[int], int, str]:
    """Receives them, over interrupts; returns their numbers, how many interrupts there were, and how it ended."""
    numbers: list[int] = []
    interrupts = 0
    while True:
        try:
            frame = source.recv(WATCHDOG_S)
        except Interrupt:
            interrupts += 1
        except framebus.Error as error:
            return numbers, interrupts, type(error).__name__
        else:
            assert frame.array.min() == frame.array.max() == frame.meta["n"]
            numbers.append(frame.meta["n"])


def test_a_signal_handler_may_close_the_end_that_is_in_use() -> None:
    reading, writing = os.pipe()
    source, sink = opened_source(f"pipe:fd/{reading}"), opened_sink(f"pipe:fd/{writing}")
    before = signal.signal(signal.SIGUSR1, lambda *_: sink.close())
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1))
    timer.start()
    with pytest.raises(framebus.ChannelClosed, match="was closed"):
        sink.send(np.zeros(4 << 20, np.uint8))
    timer.join(WATCHDOG_S)
    signal.signal(signal.SIGUSR1, before)
    with pytest.raises(framebus.PublisherDied, match="middle of a frame"):
        source.recv(WATCHDOG_S)
    source.close()


@pytest.mark.parametrize("role", ["sink", "source"])
def test_interrupts_at_any_moment_never_deliver_a_frame_that_is_not_whole(role: str) -> None:
    """The stream goes on with whole frames, or both ends say that it is over."""
    outcomes = [interrupted_stream(role, seed) for seed in range(20)]
    assert sum(interrupts for interrupts, _ in outcomes) > 0, "no interrupt came inside a call"
    assert {ended for _, ended in outcomes} <= {"ChannelClosed", "PublisherDied", "EndpointError", "interrupted"}


def interrupted_stream(role: str, seed: int) -> tuple[int, str]:
    """Sends 50 frames, one end under a rain of signals; returns how many came there, and how the receiver ended."""
    reading, writing = os.pipe()
    results: list[Any] = []
    with opened_source(f"pipe:fd/{reading}") as source, opened_sink(f"pipe:fd/{writing}") as sink:
        if role == "sink":
            other = threading.Thread(target=lambda: results.append(receive_numbered(source)))
            other.start()
            interrupts = in_the_rain(seed, lambda: send_numbered(sink, 50)) or 0
            sink.close()
            other.join(WATCHDOG_S)
            numbers, _, ended = results[0]
        else:
            other = threading.Thread(target=lambda: (send_numbered(sink, 50), sink.close()))
            other.start()
            found = in_the_rain(seed, lambda: receive_numbered(source))
            numbers, interrupts, ended = found or ([], 0, "interrupted")
            source.close()
            other.join(WATCHDOG_S)
    assert not other.is_alive()
    assert numbers == sorted(set(numbers))
    return interrupts, ended


# ffmpeg


@needs_ffmpeg
def test_ffmpeg_reads_raw_pixels_and_writes_them_back(tmp_path: Path) -> None:
    clip = str(tmp_path / "clip.mkv")
    with opened_sink("pipe:", argv=[*FFMPEG, *SHAPE_OF_RAW, "-i", "-", "-c:v", "ffv1", clip], mode="byte") as sink:
        for image in BGR:
            sink.send(image, pixel_format="BGR8")
    back = [*FFMPEG, "-i", clip, *PIXELS]
    with opened_source("pipe:", argv=back, **RAW) as source:
        np.testing.assert_array_equal([frame.array for frame in source], BGR)


@needs_ffmpeg
@pytest.mark.parametrize(
    "pix_fmt", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv411p", "gray", "yuv420p10le", "gray16le", "yuva444p"]
)
def test_the_planes_of_ffmpegs_y4m_are_those_of_its_raw_pixels(pix_fmt: str) -> None:
    made = [*pattern("66x50", "30000/1001"), "-frames:v", "3", "-pix_fmt", pix_fmt]
    raw = subprocess.run([*made, "-f", "rawvideo", "-"], capture_output=True, check=True, timeout=WATCHDOG_S).stdout
    with opened_source("pipe:", argv=[*made, "-strict", "-1", *PLANES], **Y4M) as source:
        frames = list(source)
    assert len(frames) == 3
    assert b"".join(array.tobytes() for frame in frames for array in frame.arrays.values()) == raw
    assert float(source.header.fps) == pytest.approx(29.97, abs=0.01)
    assert source.header.full_range == (pix_fmt.startswith(("yuvj", "gray")))


@needs_ffmpeg
@pytest.mark.parametrize(("form", "pix_fmt"), [("RGB8", "rgb24"), ("BGR8", "bgr24")])
def test_colours_made_of_ffmpegs_y4m_are_those_that_ffmpeg_makes(form: str, pix_fmt: str) -> None:
    made = [*pattern("64x48"), "-frames:v", "2", "-pix_fmt", "yuv444p"]
    theirs = [*made, *PLANES]
    back = [
        *FFMPEG,
        "-i",
        "-",
        "-sws_flags",
        "accurate_rnd+full_chroma_int",
        "-f",
        "rawvideo",
        "-pix_fmt",
        pix_fmt,
        "-",
    ]
    stream = subprocess.run(theirs, capture_output=True, check=True, timeout=WATCHDOG_S).stdout
    pixels = subprocess.run(back, input=stream, capture_output=True, check=True, timeout=WATCHDOG_S).stdout
    expected = np.frombuffer(pixels, np.uint8).reshape(2, 48, 64, 3)
    with opened_source("pipe:", argv=theirs, pixel_format=form, **Y4M) as source:
        found = np.array([frame.array for frame in source])
    assert np.abs(found.astype(int) - expected).max() <= 2  # both round, each in its own way


@needs_ffmpeg
@pytest.mark.parametrize(
    ("form", "pix_fmt", "most"), [("RGB8", "rgb24", 3), ("BGR8", "bgr24", 3), ("Mono8", "gray", 0)]
)
def test_ffmpeg_reads_the_y4m_that_a_sink_writes(tmp_path: Path, form: str, pix_fmt: str, most: int) -> None:
    out = tmp_path / "pixels"
    images = BGR if form != "Mono8" else BGR[:, :, :, 0]
    argv = [*FFMPEG, "-f", "yuv4mpegpipe", "-i", "-", "-sws_flags", "accurate_rnd+full_chroma_int"]
    with opened_sink("pipe:", argv=[*argv, "-f", "rawvideo", "-pix_fmt", pix_fmt, str(out)], fps=30, **Y4M) as sink:
        for image in images:
            sink.send(image, pixel_format=form)
    found = np.frombuffer(out.read_bytes(), np.uint8).reshape(images.shape)
    assert np.abs(found.astype(int) - images).max() <= most


@needs_ffmpeg
def test_an_ffmpeg_that_is_killed_or_refuses_its_arguments_has_died() -> None:
    endless = [*pattern("64x48"), *PIXELS]
    with opened_source("pipe:", argv=endless, **RAW) as source:
        source.recv(WATCHDOG_S)
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        (pid,) = (pid for pid in children if Path(f"/proc/{pid}/comm").read_text() == "ffmpeg\n")
        os.kill(int(pid), signal.SIGKILL)
        with pytest.raises(framebus.PublisherDied):
            list(source)
    with opened_source("pipe:", argv=[*FFMPEG, "-i", "no such file", "-f", "rawvideo", "-"], **RAW) as source:
        with pytest.raises(framebus.PublisherDied, match=r"'ffmpeg'.* ended with status"):
            source.recv(WATCHDOG_S)
