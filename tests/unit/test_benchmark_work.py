# SPDX-License-Identifier: Apache-2.0
"""What the two ends of a measurement do for each frame: the source is written in full, and every byte is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from benchmarks.compare.sending import Pacer, Work, send_half
from benchmarks.compare.task import ALL_FROM, SIZES, SeenReport, Task
from benchmarks.compare.watching import END, WARM, Watch
from benchmarks.peers.peer import STAMP, Image, Unable, brightest, filled, shade, write_ends

pytestmark = pytest.mark.repository

PACED = Task("latency", "640x480", 500.0, 5.0, frames=6)
FAST = Task("throughput", "640x480", 0.0, 5.0, frames=6, lossless=True)
LENT = Task("latency", "64 B", 500.0, 5.0, frames=6, in_place=True)


class Recorder:
    """A sender that keeps a copy of each frame, and spoils the array afterwards, as it may not be relied upon."""

    def __init__(self, busy: Callable[[], None] = lambda: None) -> None:
        self.frames: list[Image] = []
        self._busy = busy

    def send(self, image: Image) -> None:
        self.frames.append(image.copy())
        image.fill(0)
        self._busy()

    def close(self) -> None:
        """Nothing."""


class LendingRecorder(Recorder):
    def send_in_place(self, number: int, time_ns: int) -> None:
        image = np.zeros(64, np.uint8)
        write_ends(image, number, time_ns)
        self.frames.append(image)


def sent(task: Task, sender: Recorder, first: int = 0) -> list[tuple[int, int, Image]]:
    send_half(Work(sender, task), first, task, Pacer(0.002))
    return [(*STAMP.unpack_from(image), image.reshape(-1)[STAMP.size :]) for image in sender.frames]


def test_the_source_is_written_in_full_before_each_send() -> None:
    found = sent(PACED, Recorder())
    assert [number for number, _, _ in found] == list(range(6))
    for number, _, rest in found:
        assert set(np.unique(rest)) == {shade(number)}


class Clock:
    """Takes the place of the module `time`: time passes only where a test says so."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.cpu_ns = 0

    def work(self, ns: int) -> None:
        self.now_ns += ns
        self.cpu_ns += ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def process_time(self) -> float:
        return self.cpu_ns / 1e9

    thread_time = process_time

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


def test_writing_the_source_counts_neither_as_latency_nor_as_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("benchmarks.compare.sending.time", clock)
    recorder = Recorder(busy=lambda: clock.work(3000))
    work = Work(recorder, PACED)
    write, written = work.write, []

    def slow(number: int) -> None:
        write(number)
        clock.work(1_000_000)
        written.append(clock.now_ns)

    monkeypatch.setattr(work, "write", slow)
    half = send_half(work, 0, PACED, Pacer(0.002))
    assert [STAMP.unpack_from(image)[1] for image in recorder.frames] == written
    assert half.calls_us == [3.0] * 6
    assert half.cpu_s == pytest.approx(6 * 3e-6)


def test_as_fast_as_it_goes_number_time_and_last_element_are_written() -> None:
    found = sent(FAST, Recorder())
    assert [(number, rest[-1]) for number, _, rest in found] == [(number, shade(number)) for number in range(6)]


def test_a_loan_gets_number_time_and_last_element() -> None:
    found = sent(LENT, LendingRecorder())
    assert [(number, rest[-1]) for number, _, rest in found] == [(number, shade(number)) for number in range(6)]
    with pytest.raises(Unable, match="has no loans"):
        Work(Recorder(), LENT)


def frame(number: int, shape: tuple[int, ...] = SIZES["640x480"], time_ns: int | None = None) -> Image:
    image = np.full(shape, shade(number), np.uint8)
    STAMP.pack_into(image, 0, number, time.monotonic_ns() if time_ns is None else time_ns)
    return image


def watched(task: Task, images: list[Image]) -> SeenReport:
    """The report of a receiver that is shown these frames between a warm-up and the end."""
    told: list[Any] = []
    watch = Watch(task, told.append)
    for image in (frame(WARM, task.shape), *images, frame(END, task.shape)):
        watch.look(image)
    assert watch.done
    warm, report = told
    assert warm == "warm"
    assert isinstance(report, SeenReport)
    return report


def both_halves(change: Callable[[Image], None], at: int) -> SeenReport:
    """Three frames in each half, of which one is changed."""
    images = [frame(number) for number in (0, 1, 2, ALL_FROM, ALL_FROM + 1, ALL_FROM + 2)]
    change(images[at])
    return watched(PACED, images)


def test_both_halves_are_reported_apart() -> None:
    report = both_halves(lambda _: None, 0)
    assert [half.frames for half in report.halves] == [3, 3]
    assert [len(half.ages_us) for half in report.halves] == [3, 3]
    assert (report.disorder, report.broken) == (0, 0)


@pytest.mark.parametrize("place", [STAMP.size, 1000, 460_800, 921_598])
def test_every_byte_is_read_in_the_second_half(place: int) -> None:
    def spoil(image: Image) -> None:
        image.reshape(-1)[place] = 255

    assert both_halves(spoil, 4).broken == 1
    assert both_halves(spoil, 1).broken == 0, "only two elements are touched in the first half"


def test_all_bytes_of_each_size_are_read() -> None:
    for shape in SIZES.values():
        image = filled(shape)
        image.fill(1)
        size = image.size
        for place in {STAMP.size, size // 3, size // 2 + 1, size - 1}:
            image.reshape(-1)[place] = 9
            assert brightest(image) == 9
            image.reshape(-1)[place] = 1


def test_the_age_is_taken_after_every_byte_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("benchmarks.compare.watching.time", clock)

    def slow(image: Image) -> int:
        clock.work(20_000)
        return brightest(image)

    monkeypatch.setattr("benchmarks.compare.watching.brightest", slow)
    told: list[Any] = []
    watch = Watch(PACED, told.append)
    for number in (WARM, 0, 1, ALL_FROM, ALL_FROM + 1, END):
        watch.look(frame(number, time_ns=clock.now_ns - 7000))
    report = told[-1]
    assert [half.ages_us for half in report.halves] == [[7.0, 7.0], [27.0, 27.0]]
    assert [half.cpu_s for half in report.halves] == [0.0, pytest.approx(40e-6)], "reading is work of the second half"


@pytest.mark.parametrize("task", [PACED, FAST, LENT], ids=lambda task: task.kind + str(task.in_place))
def test_the_last_element_of_another_frame_is_noticed(task: Task) -> None:
    images = [frame(number, task.shape) for number in range(3)]
    images[1].reshape(-1)[-1] = shade(0)
    assert watched(task, images).broken == 1


def test_frames_that_were_lost_between_the_halves_are_no_disorder() -> None:
    report = watched(PACED, [frame(number) for number in (0, 3, ALL_FROM + 2)])
    assert ([half.frames for half in report.halves], report.disorder) == ([2, 1], 0)


def test_a_receiver_that_saw_no_frame_of_the_first_half_reports_the_second() -> None:
    report = watched(PACED, [frame(ALL_FROM)])
    assert [half.frames for half in report.halves] == [0, 1]


def test_a_frame_of_the_first_half_after_the_second_has_begun_is_out_of_order() -> None:
    assert watched(PACED, [frame(number) for number in (0, ALL_FROM, 1)]).disorder == 1


def test_pages_are_mapped_before_counting_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def noting(image: Image) -> int:
        read.append(STAMP.unpack_from(image)[0])
        return brightest(image)

    monkeypatch.setattr("benchmarks.compare.watching.brightest", noting)
    watched(PACED, [frame(0), frame(ALL_FROM)])
    assert read == [WARM, ALL_FROM]


def test_neighbouring_frames_have_different_shades() -> None:
    numbers = [WARM, END, *range(600), *range(ALL_FROM, ALL_FROM + 600)]
    assert all(1 <= shade(number) <= 250 for number in numbers)
    assert all(shade(number) != shade(number + 1) for number in numbers)
