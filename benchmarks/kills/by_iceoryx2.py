# SPDX-License-Identifier: Apache-2.0
"""iceoryx2: publish-subscribe of byte slices, and an event service that wakes the reader, as in its examples.

Defaults throughout: dead nodes are cleaned up when another node is made or another program opens the service. Where
the publisher waits for its reader, overflow is off and it retries until the frame is delivered. Files and segments get
a prefix of their own, so that what is left can be counted; the one that stays at the end is the management segment that
all nodes of a prefix share.
"""

from __future__ import annotations

import ctypes
import shutil
import time
from pathlib import Path
from typing import Any

import iceoryx2 as iox2  # type: ignore[import-untyped]
import numpy as np

from benchmarks.kills.rival import BYTES, SHAPE, Image

TITLE = "iceoryx2"

Shared = tuple[str, bool]
SENT = 4


def root_of(name: str) -> Path:
    return Path("/tmp") / f"iceoryx2-{name}"


class Port:
    """A node, and the two services of one channel."""

    def __init__(self, shared: Shared) -> None:
        name, self.waits = shared
        iox2.set_log_level(iox2.LogLevel.Fatal)
        config = iox2.config.default()
        config.global_cfg.prefix = iox2.FileName.new(f"{name}_")
        config.global_cfg.root_path = iox2.Path.new(f"{root_of(name)}/")
        self.node = iox2.NodeBuilder.new().config(config).create(iox2.ServiceType.Ipc)
        service = iox2.ServiceName.new("frames")
        builder = self.node.service_builder(service).publish_subscribe(iox2.Slice[ctypes.c_uint8])
        self.frames = builder.enable_safe_overflow(not self.waits).open_or_create()
        self.events = self.node.service_builder(service).event().open_or_create()


class Sender(Port):
    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        factory = self.frames.publisher_builder().initial_max_slice_len(BYTES)
        if self.waits:
            factory = factory.backpressure_strategy(iox2.BackpressureStrategy.RetryUntilDelivered)
        self._publisher = factory.create()
        self._notifier = self.events.notifier_builder().create()
        self._loan: Any = None

    def send(self, image: Image) -> None:
        sample = self._publisher.loan_slice_uninit(BYTES)
        np.copyto(_array(sample), image)
        sample.assume_init().send()
        self._notifier.notify_with_custom_event_id(iox2.EventId.new(SENT))

    def fill_half(self, image: Image) -> None:
        self._loan = self._publisher.loan_slice_uninit(BYTES)
        _array(self._loan)[:540] = image[:540]

    def close(self) -> None:
        if self._loan is not None:
            self._loan.delete()
        self._publisher.delete()
        self._notifier.delete()


class Receiver(Port):
    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._subscriber = self.frames.subscriber_builder().create()
        self._listener = self.events.listener_builder().create()
        self._sample: Any = None

    def recv(self, timeout: float) -> Image | None:
        end = time.monotonic() + timeout
        while True:
            sample = self._newest()
            if sample is not None:
                self._sample = sample
                return _array(sample)
            left = end - time.monotonic()
            if left <= 0:
                return None
            self._listener.timed_wait(iox2.Duration.from_millis(max(1, int(left * 1000))))

    def _newest(self) -> Any:
        self._sample = None
        newest = self._subscriber.receive()
        while not self.waits and newest is not None:
            later = self._subscriber.receive()
            if later is None:
                break
            newest = later
        return newest

    def hold(self, timeout: float) -> bool:
        return self.recv(timeout) is not None

    def close(self) -> None:
        self._sample = None
        self._subscriber.delete()
        self._listener.delete()


def _array(sample: Any) -> Image:
    return np.frombuffer(sample.payload().as_memory_view(), np.uint8).reshape(SHAPE)


def prepare(name: str, waits: bool) -> Shared:
    return name, waits


def open_sender(shared: Shared) -> Sender:
    return Sender(shared)


def open_receiver(shared: Shared) -> Receiver:
    return Receiver(shared)


def left_over(shared: Shared) -> list[str]:
    files = [path for path in root_of(shared[0]).rglob("*") if path.is_file()]
    return [str(path) for path in [*files, *Path("/dev/shm").glob(f"{shared[0]}_*")]]


def remove(shared: Shared) -> None:
    for path in left_over(shared):
        Path(path).unlink(missing_ok=True)
    shutil.rmtree(root_of(shared[0]), ignore_errors=True)
